"""Audio: decode files in a child process, find speech in samples, and cut files into chunks."""
