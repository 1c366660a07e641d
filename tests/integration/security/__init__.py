"""Attacks on a cluster by its tenants, their files and its neighbours."""
