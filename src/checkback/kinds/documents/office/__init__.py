"""Office files and LibreOffice."""
