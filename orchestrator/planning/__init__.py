"""Plan a cluster before it runs: how many workers, how long jobs wait, what it costs. Pure."""
