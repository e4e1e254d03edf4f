"""Text of PDF pages."""
