"""A PDF's text, page by page; by Poppler's pdftotext where PDFium refuses a file that it can read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pypdfium2

from checkback.kinds.documents import failures, programs
from checkback.kinds.documents.args import TextArgs
from checkback.kinds.documents.glyphs import Word
from checkback.kinds.documents.layout import layout_text, lines_of, unwrapped
from checkback.kinds.documents.profile_options import ProfileOptions
from checkback.kinds.documents.reading import TextReader, open_pdf
from checkback.kinds.documents.work import DocumentWork

MAX_TEXT_BYTES = 50 << 20
FALLBACK_SECONDS = 120.0
_PASSWORD_ERROR = 4


def read_text(work: DocumentWork, args: TextArgs) -> tuple[str, int, dict[str, Any]]:
    """The text with CRLF lines and form feeds between pages, how many pages there are, and further facts."""
    try:
        return _by_pdfium(work, args)
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) == _PASSWORD_ERROR or args.pages or args.rect:
            raise
        text = _by_poppler(work, args)
        if text is None:
            raise
    return text, text.count("\f") + 1, {"read_by": "pdftotext"}


def page_text(words: Sequence[Word], unwrap: bool, options: ProfileOptions) -> str:
    """A page's text as it was asked for: with its layout kept, line by line, or paragraph by paragraph."""
    if unwrap or options.unwrap:
        return unwrapped(lines_of(words))
    if not options.preserve_formatting:
        return "\n".join(line.text for line in lines_of(words))
    text = layout_text(words)
    return "\n".join(line.strip() for line in text.split("\n")) if options.trim_spaces else text


def _by_pdfium(work: DocumentWork, args: TextArgs) -> tuple[str, int, dict[str, Any]]:
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


def _by_poppler(work: DocumentWork, args: TextArgs) -> str | None:
    """The text by another reader, or None where there is none, or where it cannot read the file either."""
    program = programs.find_program("pdftotext")
    if program is None:
        return None
    target = work.folder / "poppler.txt"
    password = args.password.get_secret_value() if args.password else ""
    options = ["-upw", password] if password else []
    command = [
        program,
        "-layout",
        "-enc",
        "UTF-8",
        "-eol",
        "dos",
        *options,
        str(work.source.path),
        str(target),
    ]
    finished = programs.run(command, work.folder, seconds=FALLBACK_SECONDS)
    if finished.code != 0 or not target.is_file() or target.stat().st_size > MAX_TEXT_BYTES:
        return None
    text = target.read_text("utf-8", "replace").removesuffix("\f")
    return text if text.strip() else None
