"""What is collected from a loaded page."""
