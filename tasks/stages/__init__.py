"""The Celery task of each stage: fetch, call gpu_worker, store, return a receipt."""
