"""Reading, making and changing PDF files."""
