"""The HTTP API: routes that parse requests and call the rest of the orchestrator."""
