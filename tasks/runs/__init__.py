"""A job's run as data: its stages and units, options, records and their keys."""
