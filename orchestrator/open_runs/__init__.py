"""The runs that have not ended: what each needs next, and which units were lost."""
