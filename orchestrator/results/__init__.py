"""What a finished job gives back: transcripts, recordings, names of speakers."""
