"""The ways in. Each door translates and calls the service; none imports another."""
