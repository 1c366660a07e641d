"""The services of a cluster as the control plane sees them: queues, jobs, store."""
