"""Collections: many files that were submitted together, under one id.

A collection's lines are an artifact, written once before the collection is accepted. A duty of the
reconciler makes a job of each line, with an idempotency key of collection and line, so that doing
it twice is harmless. What became of the lines is written in pieces. A round is one pass over all
lines, or over those that a retry names.
"""
