"""Scores and findings."""
