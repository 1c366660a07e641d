"""What every request passes: limits of bodies, origins, headers, metrics, traces."""
