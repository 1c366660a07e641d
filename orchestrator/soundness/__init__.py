"""Whether a store is sound, and what makes it so: after a restore from a copy above all.

A copy of a bucket in use is a mixture: each key is as it was at a moment of its own. `findings.py`
decides what is unsound about what was found and what to do, without any effect; the reconciler and
`scriptorium store` use it both.
"""
