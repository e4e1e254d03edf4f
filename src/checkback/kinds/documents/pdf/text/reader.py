"""Opens a PDF and yields its pages one by one, with the recognized words of scanned pages."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pypdfium2

from checkback.core.errors import JobFailed
from checkback.kinds.documents import failures
from checkback.kinds.documents.args.common import DocumentArgs, TextArgs, revealed
from checkback.kinds.documents.args.pages_argument import page_list
from checkback.kinds.documents.args.profiles import Recognition
from checkback.kinds.documents.args.rect_argument import Rect, parse_rect
from checkback.kinds.documents.files.sniff import FileType, sniff
from checkback.kinds.documents.job_context import MAX_PAGES, DocumentWork
from checkback.kinds.documents.pdf.ocr_layer import find_tesseract
from checkback.kinds.documents.pdf.text.ocr import OCR_DPI, recognized_words
from checkback.kinds.documents.pdf.text.words import (
    Frame,
    PageText,
    Word,
    frame_of,
    read_words,
    within,
)

_MAY_COPY = 1 << 4
"""Bit 5 of the permissions (ISO 32000-1, table 22)."""


@dataclass(frozen=True, slots=True)
class PageContent:
    """One page with its words."""

    index: int
    words: Sequence[Word]
    frame: Frame
    #: PDFium's page, open only until the next page is requested.
    page: Any
    #: Whether the words were recognized in an image.
    recognized: bool = False


@contextmanager
def open_pdf(path: Path, args: DocumentArgs) -> Generator[Any]:
    """The PDF, opened by PDFium. Raises the failures of another type of file and of missing
    permissions.
    """
    if sniff(path) is not FileType.PDF:
        raise failures.invalid_document()
    document = pypdfium2.PdfDocument(path, password=revealed(args.password) or None)
    try:
        _check_permissions(document, args)
        yield document
    finally:
        document.close()


def _check_permissions(document: Any, args: DocumentArgs) -> None:
    if args.options.check_permissions and not _may_be_read(document):
        raise failures.permission_denied()


def _may_be_read(document: Any) -> bool:
    """Whether the permissions allow copying content. The owner password allows everything."""
    return bool(pypdfium2.raw.FPDF_GetDocPermissions(document.raw) & _MAY_COPY)


def pages_of(document: Any, spec: str) -> list[int]:
    """The pages that an argument names. Raises the failures of too many and of invalid pages."""
    indexes = page_list(spec, len(document))
    if len(indexes) > MAX_PAGES:
        raise failures.too_many_pages(MAX_PAGES)
    return indexes


def each_page(
    document: Any, indexes: Sequence[int], work: DocumentWork
) -> Iterator[tuple[int, Any]]:
    """Each page with its index. It is closed before the next one is opened, to limit memory."""
    for done, index in enumerate(indexes):
        page = document[index]
        try:
            yield index, page
        finally:
            page.close()
        work.page_done(done + 1, len(indexes))


@dataclass(slots=True)
class TextReader:
    """Reads pages with their words. Scanned pages are recognized, if that is possible."""

    work: DocumentWork
    args: TextArgs
    #: Pages without text that could not be recognized.
    unread: list[int] = field(default_factory=list[int])
    recognized: list[int] = field(default_factory=list[int])
    program: str | None = None
    missing: JobFailed | None = None

    def pages(self, document: Any) -> Iterator[PageContent]:
        """The pages that the arguments name, in order."""
        rect = parse_rect(self.args.rect)
        indexes = pages_of(document, self.args.pages)
        for index, page in each_page(document, indexes, self.work):
            yield self._content_of(document, index, page, rect)
        if self.missing is not None and len(self.unread) == len(indexes):
            raise self.missing  # not a single page could be read

    def _content_of(self, document: Any, index: int, page: Any, rect: Rect | None) -> PageContent:
        """A page with its own words, or with those that were recognized."""
        text = read_words(page, rect)
        if self._needs_no_recognition(text, page):
            return PageContent(index, text.words, text.frame, page)
        return self._recognize(document, index, page, rect, text.frame)

    def facts(self) -> dict[str, Any]:
        """What the result reports about scanned pages."""
        facts: dict[str, Any] = {}
        if self.recognized:
            facts["recognised_pages"] = self.recognized
        if self.unread:
            facts["pages_without_text"] = self.unread
        return facts

    def _needs_no_recognition(self, text: PageText, page: Any) -> bool:
        """Whether the page's own text is used."""
        recognition = self.work.options.recognition
        if recognition is Recognition.OFF:
            return True
        has_text = recognition is Recognition.AUTO and bool(text.text.strip())
        return has_text or not _has_content(page)

    def _recognize(
        self, document: Any, index: int, page: Any, rect: Rect | None, frame: Frame
    ) -> PageContent:
        program = self._tesseract()
        if program is None:
            self.unread.append(index)
            return PageContent(index, (), frame, page)
        dpi = self.work.options.ocr_dpi or OCR_DPI
        words = recognized_words(program, document, index, self.args.lang, self.work.folder, dpi)
        self.recognized.append(index)
        return PageContent(index, within(words, rect), frame_of(page), page, recognized=True)

    def _tesseract(self) -> str | None:
        """The path of Tesseract; None if it cannot be used, and the reason in ``missing``."""
        if self.program is None and self.missing is None:
            try:
                self.program = find_tesseract(self.args.lang, self.work.folder)
            except JobFailed as failure:
                self.missing = failure
        return self.program


def _has_content(page: Any) -> bool:
    """Whether the page has any drawing: an empty page needs no recognition."""
    return next(iter(page.get_objects(max_depth=2)), None) is not None
