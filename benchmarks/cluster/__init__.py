"""Figures of whole clusters: overhead, memory, the API, recovery."""
