"""What the chart asks of Kubernetes, against what nodes have."""
