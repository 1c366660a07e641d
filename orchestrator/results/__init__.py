"""What users get of a finished job: transcripts, recordings, names of speakers."""
