"""Kinds for jobs at PDF.co: run a job there, or follow one that runs there already."""
