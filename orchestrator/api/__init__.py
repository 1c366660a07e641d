"""The HTTP API: routes that take requests apart and hand them to the rest of the orchestrator."""
