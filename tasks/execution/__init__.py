"""How a worker runs one unit: lease, attempts, retries, watchdog, receipt."""
