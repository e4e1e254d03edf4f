"""What the kernel keeps a job's process from."""
