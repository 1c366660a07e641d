"""What each run used: device time, energy, audio, bytes. For accounts, budgets and bills.

The facts are the receipts in and beside the artifacts of units, which outlive Redis. An artifact
is written once, so its receipt is counted once: in the record of the run that the receipt names.
For every other run that needed the artifact it is a cache hit.

    figures.py   sums of what was used
    record.py    the record of one run, and what makes it from receipts; pure
    evidence.py  reads the receipts of a run that ended without `assemble`
"""
