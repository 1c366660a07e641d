"""What the transcripts of whole clusters say, and what is not computed again."""
