"""Drawing on PDF pages and filling forms."""
