"""Arguments of the document kinds."""
