"""How many workers each pool should have: what is measured, the policy, what is published.

survey (every open run) → backlog → policy → published load → KEDA, or the local fleet
"""
