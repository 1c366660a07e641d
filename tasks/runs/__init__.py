"""A run of a job as data: its stages and units, its options, its records and their keys."""
