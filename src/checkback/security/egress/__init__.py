"""The proxy through which jobs reach the network."""
