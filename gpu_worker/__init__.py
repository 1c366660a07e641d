"""Audio and models. Takes arrays, returns dataclasses; knows no Celery, Redis, S3 or HTTP."""

import os

# ONNX Runtime, which detects speech, reports its use to its makers (1.31, found by a proxy that
# counts requests). Only this variable prevents it; its own `disable_telemetry_events` does not.
# The library reads it when it is loaded, so it is set before any module of this package is loaded.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
