"""What a worker does next to its jobs: it removes what has expired, measures, and counts."""
