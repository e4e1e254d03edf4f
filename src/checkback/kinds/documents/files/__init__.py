"""Source files of a document job: fetch, recognize, limit."""
