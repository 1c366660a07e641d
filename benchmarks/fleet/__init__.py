"""A simulated fleet of GPU workers: arrivals → queue → workers, under one scaler or another."""
