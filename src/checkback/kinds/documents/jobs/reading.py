"""Registers the kinds that read PDFs.

The libraries are imported when a job runs: doors import this module to list their tools.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from checkback.kinds.context import JobContext
from checkback.kinds.documents import failures
from checkback.kinds.documents.args.common import DocumentArgs, PagesArgs, TextArgs
from checkback.kinds.documents.args.reading_args import FindTextArgs, ImageArgs, InvoiceArgs
from checkback.kinds.documents.job_context import PHASES, DocumentWork, document_work
from checkback.kinds.registry import MemoryLimit, job

if TYPE_CHECKING:
    from checkback.kinds.documents.pdf.text.text_export import TextPage

LINE_END = "\r\n"
DEFAULT_DPI = 120.0
OCR_SECONDS = 2700.0

_reading_job = functools.partial(
    job,
    queue="documents",
    network=True,
    sandbox=True,
    attempts=2,
    memory_bytes=2 << 30,
    memory_limit=MemoryLimit.ADDRESS_SPACE,
    deterministic=True,
    phases=PHASES,
)


@_reading_job("pdf.to_text", title="PDF to text", deadline_seconds=OCR_SECONDS)
def to_text(args: TextArgs, ctx: JobContext) -> dict[str, Any]:
    """Read the text of a PDF with its layout kept: UTF-8, a form feed between pages.

    Pages without text are recognised by Tesseract.
    """
    with document_work(args, ctx) as work:
        from checkback.kinds.documents.pdf.text.plain import read_text

        text, count, facts = read_text(work, args)
        work.output(text, "txt")
        return work.result(page_count=count, body=text, inline=args.inline, **facts)


@_reading_job("pdf.to_json", title="PDF to JSON", deadline_seconds=OCR_SECONDS)
def to_json(args: TextArgs, ctx: JobContext) -> dict[str, Any]:
    """Read a PDF as JSON: rows and columns of text, with fonts and places."""
    from checkback.kinds.documents.pdf.text import text_export

    return _formatted(args, ctx, "json", lambda pages, _: text_export.to_json(pages))


@_reading_job("pdf.to_xml", title="PDF to XML", deadline_seconds=OCR_SECONDS)
def to_xml(args: TextArgs, ctx: JobContext) -> dict[str, Any]:
    """Read a PDF as XML: rows and columns of text, with fonts and places."""
    from checkback.kinds.documents.pdf.text import text_export

    return _formatted(args, ctx, "xml", lambda pages, _: text_export.to_xml(pages))


@_reading_job("pdf.to_html", title="PDF to HTML", deadline_seconds=OCR_SECONDS)
def to_html(args: TextArgs, ctx: JobContext) -> dict[str, Any]:
    """Read a PDF as HTML whose text stands where it stands on the pages."""
    from checkback.kinds.documents.pdf.text import text_export

    return _formatted(args, ctx, "html", text_export.to_html)


@_reading_job("pdf.to_csv", title="PDF to CSV", deadline_seconds=OCR_SECONDS)
def to_csv(args: TextArgs, ctx: JobContext) -> dict[str, Any]:
    """Read the tables of a PDF, ruled or not, as CSV; text beside them becomes rows, too."""
    with document_work(args, ctx) as work:
        from checkback.kinds.documents.pdf.tables.table_export import write_csv

        pages, facts = _rows(work, args)
        text = write_csv(pages, work.options.csv_separator, work.options.csv_quotation)
        work.output(text, "csv")
        return work.result(page_count=len(pages), body=text, inline=args.inline, **facts)


@_reading_job("pdf.to_xlsx", title="PDF to XLSX", deadline_seconds=OCR_SECONDS)
def to_xlsx(args: TextArgs, ctx: JobContext) -> dict[str, Any]:
    """Read the tables of a PDF as an Excel file with a worksheet for each page."""
    with document_work(args, ctx) as work:
        from checkback.kinds.documents.pdf.tables.table_export import write_xlsx

        pages, facts = _rows(work, args)
        target = work.folder / "tables.xlsx"
        write_xlsx(pages, target)
        work.output(target, "xlsx")
        return work.result(page_count=len(pages), **facts)


@_reading_job("pdf.to_xls", title="PDF to XLS", deadline_seconds=OCR_SECONDS)
def to_xls(args: TextArgs, ctx: JobContext) -> dict[str, Any]:
    """Read the tables of a PDF as an old Excel file with a worksheet for each page."""
    with document_work(args, ctx) as work:
        from checkback.kinds.documents.pdf.tables.table_export import write_xls

        pages, facts = _rows(work, args)
        target = work.folder / "tables.xls"
        write_xls(pages, target)
        work.output(target, "xls")
        return work.result(page_count=len(pages), **facts)


@_reading_job("pdf.to_image", title="PDF to image", deadline_seconds=OCR_SECONDS)
def to_image(args: ImageArgs, ctx: JobContext) -> dict[str, Any]:
    """Draw the pages of a PDF as pictures: one file for each page, or one TIFF of them all."""
    with document_work(args, ctx) as work:
        from checkback.kinds.documents.pdf.to_images import draw_pages

        dpi = args.resolution_dpi or work.options.dpi or DEFAULT_DPI
        return work.result(page_count=draw_pages(work, args, dpi))


@_reading_job("pdf.info", title="PDF information")
def info(args: DocumentArgs, ctx: JobContext) -> dict[str, Any]:
    """Tell a PDF's page count, texts, dates, page size, protection and permissions."""
    return _informed(args, ctx, fields=False)


@_reading_job("pdf.form_fields", title="PDF form fields")
def form_fields(args: DocumentArgs, ctx: JobContext) -> dict[str, Any]:
    """Tell the fields of a PDF's form with their names, types, values and pages."""
    return _informed(args, ctx, fields=True)


@_reading_job("pdf.find_text", title="Find text in a PDF")
def find_text(args: FindTextArgs, ctx: JobContext) -> dict[str, Any]:
    """Find a text in a PDF, literally, as whole words or by a regular
    expression, and tell where.
    """
    with document_work(args, ctx) as work:
        from checkback.kinds.documents.pdf.text import search as finding
        from checkback.kinds.documents.pdf.text.reader import each_page, open_pdf, pages_of
        from checkback.kinds.documents.pdf.text.words import read_words

        pattern = finding.pattern_of(args.search, args.matching, regex=args.regex)
        found: list[finding.Match] = []
        with open_pdf(work.source.path, args) as document:
            count = len(document)
            for index, page in each_page(document, pages_of(document, args.pages), work):
                found += finding.matches_of(page, read_words(page, cut=False), pattern, index)
        work.output(json.dumps(found, ensure_ascii=False), "json")
        return work.result(page_count=count, body=found, matches=len(found))


@_reading_job("pdf.find_tables", title="Find tables in a PDF")
def find_tables(args: PagesArgs, ctx: JobContext) -> dict[str, Any]:
    """Find the tables of a PDF, ruled or not, and tell where they stand and
    what is in their cells.
    """
    with document_work(args, ctx) as work:
        from checkback.kinds.documents.pdf.tables.tables import described, tables_of
        from checkback.kinds.documents.pdf.text.reader import TextReader, open_pdf

        reader = TextReader(work, _as_text_args(args))
        with open_pdf(work.source.path, args) as document:
            tables = [
                described(table, content.index)
                for content in reader.pages(document)
                for table in tables_of(content, work.options.tables)
            ]
            count = len(document)
        body = {"tables": tables}
        work.output(json.dumps(body, ensure_ascii=False), "json")
        return work.result(page_count=count, body=body, **reader.facts())


@_reading_job("pdf.parse_invoice", title="Parse an invoice", deadline_seconds=OCR_SECONDS)
def parse_invoice(args: InvoiceArgs, ctx: JobContext) -> dict[str, Any]:
    """Read the fields of an invoice by rules, without a model; what is not found is null."""
    with document_work(args, ctx) as work:
        from checkback.kinds.documents.invoice.parser import parse_invoice as parse
        from checkback.kinds.documents.pdf.tables.tables import tables_of
        from checkback.kinds.documents.pdf.text.lines import Line, lines_of
        from checkback.kinds.documents.pdf.text.reader import TextReader, open_pdf

        lines: list[Line] = []
        tables: list[Any] = []
        reader = TextReader(work, _as_text_args(args, lang=args.lang))
        with open_pdf(work.source.path, args) as document:
            count = len(document)
            if count > 100:
                raise failures.too_many_pages(100)
            for content in reader.pages(document):
                lines += lines_of(content.words)
                tables += tables_of(content)
        body = parse(lines, tables)
        work.output(json.dumps(body, ensure_ascii=False, indent=1), "json")
        return work.result(page_count=count, body=body, **reader.facts())


@_reading_job("pdf.extract_attachments", title="Extract attachments")
def extract_attachments(args: DocumentArgs, ctx: JobContext) -> dict[str, Any]:
    """Take the files out that a PDF carries, also those pinned to its pages."""
    with document_work(args, ctx) as work:
        from checkback.kinds.documents.pdf.attachments import attached_files

        with _structure(work, args) as pdf:
            for name, content in attached_files(pdf):
                work.output(content, "", name=name)
            return work.result(page_count=len(pdf.pages))


def _formatted(
    args: TextArgs, ctx: JobContext, extension: str, write: Callable[[list[TextPage], str], str]
) -> dict[str, Any]:
    with document_work(args, ctx) as work:
        from checkback.kinds.documents.pdf.text.reader import TextReader, open_pdf
        from checkback.kinds.documents.pdf.text.text_export import text_pages

        reader = TextReader(work, args)
        with open_pdf(work.source.path, args) as document:
            pages = list(text_pages(reader.pages(document)))
            count = len(document)
        text = write(pages, work.source.stem)
        work.output(text, extension)
        return work.result(page_count=count, body=text, inline=args.inline, **reader.facts())


def _rows(
    work: DocumentWork, args: TextArgs
) -> tuple[list[tuple[int, list[list[str]]]], dict[str, Any]]:
    """The rows of each page, and what to tell of scanned ones."""
    from checkback.kinds.documents.pdf.tables.tables import grouped, rows_of
    from checkback.kinds.documents.pdf.text.reader import TextReader, open_pdf

    reader = TextReader(work, args)
    options = work.options
    grouping = args.line_grouping if options.line_grouping is None else options.line_grouping
    with open_pdf(work.source.path, args) as document:
        pages = [
            (content.index, grouped(rows_of(content, options.tables), grouping))
            for content in reader.pages(document)
        ]
    return pages, reader.facts()


def _informed(args: DocumentArgs, ctx: JobContext, *, fields: bool) -> dict[str, Any]:
    with document_work(args, ctx) as work:
        from checkback.kinds.documents.pdf import info as information

        with _structure(work, args) as pdf:
            given = args.password is not None
            found = information.information(work.source.path, pdf, password_given=given)
            if fields:
                found["FieldsInfo"] = {"Fields": information.form_fields(pdf)}
        body = {"info": found}
        work.output(json.dumps(body, ensure_ascii=False, indent=1), "json")
        return work.result(page_count=found["PageCount"], body=body)


def _structure(work: DocumentWork, args: DocumentArgs) -> Any:
    """The document's structure. Raises the failure of another type of file."""
    from checkback.kinds.documents.files.sniff import FileType, sniff
    from checkback.kinds.documents.pdf.merge import open_with

    if sniff(work.source.path) is not FileType.PDF:
        raise failures.invalid_document()
    password = args.password.get_secret_value() if args.password else ""
    return open_with(work.source.path, password)


def _as_text_args(args: DocumentArgs, *, lang: str = "eng") -> TextArgs:
    pages = args.pages if isinstance(args, PagesArgs) else ""
    given = {"url": args.url, "password": args.password, "pages": pages, "lang": lang}
    given["profiles"] = args.profiles
    return TextArgs.model_validate(given)
