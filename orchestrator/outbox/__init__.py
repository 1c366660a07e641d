"""What is owed when a run has ended: its transcript in a bucket, a webhook to its submitter."""
