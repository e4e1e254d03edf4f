"""The snapshot of a page: elements, styles, selectors."""
