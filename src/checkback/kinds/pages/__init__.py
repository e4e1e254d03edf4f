"""``page.analyze``: a web page loaded once in Chromium, measured, and analyzed without a model."""
