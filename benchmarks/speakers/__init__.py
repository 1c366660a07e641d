"""How right, fast and large the diarization is."""
