"""The text of a PDF, page by page; of a damaged file, the text of its readable pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pypdfium2

from checkback.kinds.documents import failures
from checkback.kinds.documents.args.common import TextArgs
from checkback.kinds.documents.args.profiles import ProfileOptions
from checkback.kinds.documents.job_context import DocumentWork
from checkback.kinds.documents.pdf.text.lines import layout_text, lines_of, unwrapped
from checkback.kinds.documents.pdf.text.reader import TextReader, open_pdf, pages_of
from checkback.kinds.documents.pdf.text.words import Word

MAX_TEXT_BYTES = 50 << 20
_PASSWORD_ERROR = 4


def read_text(work: DocumentWork, args: TextArgs) -> tuple[str, int, dict[str, Any]]:
    """The text with CRLF lines and form feeds between pages, the number of pages, and further
    facts.

    Pages that cannot be opened are left out and listed, unless ``pages`` or ``rect`` is given.
    """
    try:
        return _read(work, args)
    except pypdfium2.PdfiumError as error:
        if _is_final(error, args):
            raise
        opened, broken = _sorted_pages(work, args)
        if not opened:
            raise
    work.ctx.log(
        f"{len(broken)} of {len(opened) + len(broken)} pages cannot be opened and are left out."
    )
    readable = args.model_copy(update={"pages": ",".join(map(str, opened))})
    text, count, facts = _read(work, readable)
    return text, count, {**facts, "unreadable_pages": broken}


def _is_final(error: pypdfium2.PdfiumError, args: TextArgs) -> bool:
    """Whether no page may be left out: without the password, or if the caller chose the pages."""
    is_locked = getattr(error, "err_code", None) == _PASSWORD_ERROR
    return is_locked or bool(args.pages or args.rect)


def page_text(words: Sequence[Word], unwrap: bool, options: ProfileOptions) -> str:
    """The text of a page: with its layout, line by line, or paragraph by paragraph."""
    if unwrap or options.unwrap:
        return unwrapped(lines_of(words))
    if not options.preserve_formatting:
        return "\n".join(line.text for line in lines_of(words))
    text = layout_text(words)
    return "\n".join(map(str.strip, text.split("\n"))) if options.trim_spaces else text


def _sorted_pages(work: DocumentWork, args: TextArgs) -> tuple[list[int], list[int]]:
    """The pages that can be opened, and those that cannot. Raises PdfiumError if the file
    cannot.
    """
    with open_pdf(work.source.path, args) as document:
        indexes = pages_of(document, "")
        opened = [index for index in indexes if _opens(document, index)]
    broken = sorted(set(indexes) - set(opened))
    return opened, broken


def _opens(document: Any, index: int) -> bool:
    try:
        document[index].close()
    except pypdfium2.PdfiumError:
        return False
    return True


def _read(work: DocumentWork, args: TextArgs) -> tuple[str, int, dict[str, Any]]:
    reader = TextReader(work, args)
    pages: list[str] = []
    size = 0
    with open_pdf(work.source.path, args) as document:
        for content in reader.pages(document):
            text = page_text(content.words, args.unwrap, work.options)
            size += len(text)
            if size > MAX_TEXT_BYTES:
                raise failures.too_large("The text", f"{MAX_TEXT_BYTES >> 20} MB")
            pages.append(text.replace("\n", "\r\n"))
        return "\r\n\f".join(pages) + "\r\n", len(document), reader.facts()
