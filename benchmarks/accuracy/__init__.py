"""Accuracy on real speech: words, text, word times and speakers, ours and three peers'."""
