"""Registers every document kind.

Doors import this module to list their tools, so it and the modules of kinds stay light: the libraries for
documents are imported when a job runs, and a server without the extra ``documents`` still lists the kinds.
"""

from __future__ import annotations

from checkback.kinds import registry
from checkback.kinds.documents import converting_kinds as converting_kinds
from checkback.kinds.documents import fetch_kind as fetch_kind
from checkback.kinds.documents import making_kinds as making_kinds
from checkback.kinds.documents import reading_kinds as reading_kinds

# A child is forked from a process that has them: 10 ms a job instead of 400.
registry.preload("pypdfium2", "pypdfium2.raw", "pikepdf", "PIL.Image", "python_calamine")
