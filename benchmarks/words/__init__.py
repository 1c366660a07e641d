"""What text and word times lose, by windows, beams, loudness and alignment."""
