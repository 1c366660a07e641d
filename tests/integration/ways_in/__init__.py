"""Every way in, as its users meet it: command line, API, page, Celery, buckets."""
