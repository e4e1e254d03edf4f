"""What a worker does beside its jobs: removing what has expired, measuring the disk, counting."""
