"""The files attached to a PDF, in its name tree and on its pages, with plain file names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pikepdf
from pikepdf import Name, Pdf

from checkback.kinds.documents import failures
from checkback.kinds.documents.pdf.annotations import annotations_of, has_subtype
from checkback.storage.uploads import plain_name

MAX_FILES = 500
MAX_BYTES = 1 << 30
_DIRECT_OBJECT = (0, 0)


def attached_files(pdf: Pdf) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file, each once. Raises the failure ``too_large`` for more than 500
    files or 1 GiB.
    """
    seen: set[tuple[int, int]] = set()
    files = 0
    size = 0
    for specification in _specifications(pdf):
        object_id = specification.obj.objgen
        if object_id in seen and object_id != _DIRECT_OBJECT:
            continue
        seen.add(object_id)
        files += 1
        content = specification.get_file().read_bytes()
        size += len(content)
        _check_limits(files, size)
        yield plain_name(specification.filename or "", default="attachment"), content


def _check_limits(files: int, size: int) -> None:
    if files > MAX_FILES or size > MAX_BYTES:
        raise failures.too_large("The set of attached files", f"{MAX_FILES} files or 1 GiB")


def _specifications(pdf: Pdf) -> Iterator[Any]:
    named: Iterator[Any] = map(pdf.attachments.get, list(pdf.attachments))
    yield from (specification for specification in named if specification is not None)
    for page in pdf.pages:
        yield from _page_attachments(page)


def _page_attachments(page: pikepdf.Page) -> Iterator[_PageAttachment]:
    for annotation in annotations_of(page):
        if has_subtype(annotation, Name.FileAttachment):
            holder: Any = annotation.get("/FS")
            if isinstance(holder, pikepdf.Dictionary) and "/EF" in holder:
                yield _PageAttachment(holder)


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
