"""Fairness, scaling, metrics, traces and secrets of a running cluster."""
