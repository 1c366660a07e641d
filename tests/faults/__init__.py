"""Faults that tests load into real workers, as celery plugins (`--include`)."""
