"""Processes die, Redis and brokers fail, versions meet: nothing is lost."""
