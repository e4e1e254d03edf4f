"""A browser for one job: start, load a page, devtools, network."""
