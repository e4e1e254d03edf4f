"""The files attached to a PDF, in its name tree and on its pages, with plain file names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pikepdf
from pikepdf import Pdf

from checkback.kinds.documents import failures
from checkback.storage.uploads import plain_name

MAX_FILES = 500
MAX_BYTES = 1 << 30
_DIRECT_OBJECT = (0, 0)


def attached_files(pdf: Pdf) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file, each once. Raises the failure ``too_large`` for more than 500
    files or 1 GiB.
    """
    seen: set[tuple[int, int]] = set()
    size = 0
    for specification in _specifications(pdf):
        object_id = specification.obj.objgen
        if object_id in seen and object_id != _DIRECT_OBJECT:
            continue
        seen.add(object_id)
        content = specification.get_file().read_bytes()
        size += len(content)
        if len(seen) > MAX_FILES or size > MAX_BYTES:
            raise failures.too_large("The set of attached files", f"{MAX_FILES} files or 1 GiB")
        yield plain_name(specification.filename or "", default="attachment"), content


def _specifications(pdf: Pdf) -> Iterator[Any]:
    for name in list(pdf.attachments):
        specification: Any = pdf.attachments.get(name)
        if specification is not None:
            yield specification
    for page in pdf.pages:
        for annotation in _file_annotations(page):
            holder: Any = annotation.get("/FS")
            if isinstance(holder, pikepdf.Dictionary) and "/EF" in holder:
                yield _PageAttachment(holder)


def _file_annotations(page: pikepdf.Page) -> Iterator[Any]:
    annotations: Any = page.obj.get("/Annots")
    if not isinstance(annotations, pikepdf.Array):
        return
    for annotation in cast("Any", annotations):
        is_dictionary = isinstance(annotation, pikepdf.Dictionary)
        if is_dictionary and annotation.get("/Subtype") == "/FileAttachment":
            yield annotation


class _PageAttachment:
    """A file specification that only an annotation refers to."""

    def __init__(self, holder: Any) -> None:
        self.obj = holder
        self.filename = str(holder.get("/UF") or holder.get("/F") or "")

    def get_file(self) -> _PageAttachment:
        return self

    def read_bytes(self) -> bytes:
        embedded = self.obj.get("/EF")
        stream: Any = embedded.get("/UF") or embedded.get("/F")
        return bytes(stream.read_bytes())
