"""PDF.co's HTTP API."""
