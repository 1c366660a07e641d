"""The middleware of every request: body limits, origins, headers, metrics, traces."""
