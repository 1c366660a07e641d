"""The Celery application of this process: what `celery -A tasks.app` and the tasks use."""

from __future__ import annotations

from config.settings import settings
from tasks.broker import make_app

app = make_app(settings())
