"""Ways in besides HTTP: events of buckets, and messages of other Celery applications."""
