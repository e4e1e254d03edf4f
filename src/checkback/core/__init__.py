"""The words every other part speaks: job record, states, errors, ids. Standard library only."""
