"""Web pages as PDF."""
