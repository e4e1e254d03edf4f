"""Kinds for jobs that live at PDF.co: run one there, or follow one that is there already."""
