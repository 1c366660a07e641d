"""What the engines give of the same windows, and how long they take."""
