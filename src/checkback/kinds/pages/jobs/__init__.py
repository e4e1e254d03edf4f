"""The page kinds."""
