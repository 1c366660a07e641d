"""The control plane's access to a cluster: queues, jobs, outbox, store."""
