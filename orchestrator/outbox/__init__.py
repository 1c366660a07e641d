"""Deliver what an ended run owes: its transcript into a bucket, a webhook to its submitter."""
