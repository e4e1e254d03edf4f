"""Registers every document kind.

The APIs import this module to list their tools, so this module and the modules of the kinds stay
light: the document libraries are imported when a job runs, and a server without the extra
``documents`` still lists the kinds.
"""

from __future__ import annotations

from checkback.kinds import registry
from checkback.kinds.documents.jobs import converting as converting
from checkback.kinds.documents.jobs import fetch as fetch
from checkback.kinds.documents.jobs import making as making
from checkback.kinds.documents.jobs import reading as reading

# A child is forked from a process that has imported them: 10 ms per job instead of 400.
registry.preload("pypdfium2", "pypdfium2.raw", "pikepdf", "PIL.Image", "python_calamine")
