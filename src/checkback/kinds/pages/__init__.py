"""``page.analyze``: a web page loaded once in Chromium, measured, and analysed without a model."""
