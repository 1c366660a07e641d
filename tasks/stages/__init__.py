"""One Celery task for each stage: fetch, call gpu_worker, store, return a receipt."""
