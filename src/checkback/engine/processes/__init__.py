"""The processes that run jobs: the fork server, its children, and their limits."""
