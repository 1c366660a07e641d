"""Decide how many workers each pool should have: measuring, policy, publishing.

survey (every open run) → backlog → policy → published load → KEDA, or the local fleet
"""
