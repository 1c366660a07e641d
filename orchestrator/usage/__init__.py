"""The accounts: what tenants used by day and stage, what it costs, and when to stop.

They are made of the records of runs in the store (`tasks/usage`), and of nothing in Redis.

    counting.py   write the record of a run that ended without one
    accounts.py   sums of records, and the packs that they are kept in; pure
    reading.py    read records and packs, and add them up
    packing.py    put records into packs, so that a month is few objects
    prices.py     what an operator charges; pure
    report.py     rows by day, tenant and stage; pure
    table.py      rows as CSV and JSON; pure
    budgets.py    warn and stop
    books.py      these together, as the control plane has them
"""
