"""How long a worker takes from its start to its first text."""
