"""Our job record in the words of others: pure functions, one file for each vocabulary."""
