"""HTTP requests to addresses that users give; they must not reach our own network."""
