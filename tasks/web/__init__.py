"""Requests to addresses that users name, which must not reach our own network."""
