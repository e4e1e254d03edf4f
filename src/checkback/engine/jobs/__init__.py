"""Jobs in the store: adding, reading, listing, counting."""
