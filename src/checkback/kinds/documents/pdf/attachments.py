"""The files that a PDF carries: in its name tree, and pinned to its pages. Their names are made
plain.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pikepdf
from pikepdf import Pdf

from checkback.kinds.documents import failures
from checkback.storage.uploads import plain_name

MAX_FILES = 500
MAX_BYTES = 1 << 30


def attached_files(pdf: Pdf) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file, each once. Raises the failure too_large past 500 files or 1
    GiB.
    """
    seen: set[tuple[int, int]] = set()
    size = 0
    for specification in _specifications(pdf):
        if specification.obj.objgen in seen and specification.obj.objgen != (0, 0):
            continue
        seen.add(specification.obj.objgen)
        content = specification.get_file().read_bytes()
        size += len(content)
        if len(seen) > MAX_FILES or size > MAX_BYTES:
            raise failures.too_large("What the document carries", f"{MAX_FILES} files, 1 GiB")
        yield plain_name(specification.filename or "", default="attachment"), content


def _specifications(pdf: Pdf) -> Iterator[Any]:
    for name in list(pdf.attachments):
        specification: Any = pdf.attachments.get(name)
        if specification is not None:
            yield specification
    for page in pdf.pages:
        annotations: Any = page.obj.get("/Annots")
        for annotation in (
            cast("Any", annotations) if isinstance(annotations, pikepdf.Array) else ()
        ):
            if (
                isinstance(annotation, pikepdf.Dictionary)
                and annotation.get("/Subtype") == "/FileAttachment"
            ):
                holder: Any = annotation.get("/FS")
                if isinstance(holder, pikepdf.Dictionary) and "/EF" in holder:
                    yield _Pinned(holder)


class _Pinned:
    """A file specification that only an annotation knows."""

    def __init__(self, holder: Any) -> None:
        self.obj = holder
        self.filename = str(holder.get("/UF") or holder.get("/F") or "")

    def get_file(self) -> _Pinned:
        return self

    def read_bytes(self) -> bytes:
        embedded = self.obj.get("/EF")
        stream: Any = embedded.get("/UF") or embedded.get("/F")
        return bytes(stream.read_bytes())
