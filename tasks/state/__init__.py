"""What Redis holds about units: leases, attempts, receipts, speeds, cancellations, claims."""
