"""What all other parts share: job record, states, errors, ids. Standard library only."""
