"""Audio and models: arrays in, dataclasses out."""

import os

# ONNX Runtime, which detects speech, reports its use to its makers (1.31, found by a proxy that
# counts). Only this variable keeps it from that, and not its own `disable_telemetry_events`; it is
# read when the library is loaded, so it is set before any module of this package is.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
