"""Measurements that a person starts; none of them runs in CI."""
