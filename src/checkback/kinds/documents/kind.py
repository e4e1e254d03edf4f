"""Registers every document kind; light, because doors import it to list their tools."""
