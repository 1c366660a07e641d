"""The audit trail: who did what to which job or key, from where; written once, never changed."""
