"""Our job record in the formats of other APIs: pure functions, one file for each format."""
