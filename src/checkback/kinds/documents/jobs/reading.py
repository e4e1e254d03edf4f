"""Registers the kinds that read PDFs.

The libraries are imported when a job runs: the APIs import this module to list their tools.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from checkback.kinds.context import JobContext
from checkback.kinds.documents import failures
from checkback.kinds.documents.args.common import DocumentArgs, PagesArgs, TextArgs
from checkback.kinds.documents.args.reading_args import FindTextArgs, ImageArgs, InvoiceArgs
from checkback.kinds.documents.job_context import DocumentWork, document_work
from checkback.kinds.documents.jobs.document_job import OCR_SECONDS, document_job
from checkback.kinds.documents.jobs.making import revealed

if TYPE_CHECKING:
    from pikepdf import Pdf

    from checkback.kinds.documents.pdf.text.text_export import TextPage

DEFAULT_DPI = 120.0
MAX_INVOICE_PAGES = 100


@document_job("pdf.to_text", title="PDF to text", deadline_seconds=OCR_SECONDS)
def to_text(args: TextArgs, ctx: JobContext) -> dict[str, Any]:
    """Extract the text of a PDF with its layout, as UTF-8 with a form feed between pages.

    Tesseract recognizes pages without text.
    """
    with document_work(args, ctx) as work:
        from checkback.kinds.documents.pdf.text.plain import read_text

        text, count, facts = read_text(work, args)
        work.output(text, "txt")
        return work.result(page_count=count, body=text, inline=args.inline, **facts)


@document_job("pdf.to_json", title="PDF to JSON", deadline_seconds=OCR_SECONDS)
def to_json(args: TextArgs, ctx: JobContext) -> dict[str, Any]:
    """Extract the text of a PDF as JSON: rows and columns, with fonts and positions."""
    from checkback.kinds.documents.pdf.text import text_export

    return _exported(args, ctx, "json", lambda pages, _: text_export.to_json(pages))


@document_job("pdf.to_xml", title="PDF to XML", deadline_seconds=OCR_SECONDS)
def to_xml(args: TextArgs, ctx: JobContext) -> dict[str, Any]:
    """Extract the text of a PDF as XML: rows and columns, with fonts and positions."""
    from checkback.kinds.documents.pdf.text import text_export

    return _exported(args, ctx, "xml", lambda pages, _: text_export.to_xml(pages))


@document_job("pdf.to_html", title="PDF to HTML", deadline_seconds=OCR_SECONDS)
def to_html(args: TextArgs, ctx: JobContext) -> dict[str, Any]:
    """Extract the text of a PDF as HTML, positioned as on the pages."""
    from checkback.kinds.documents.pdf.text import text_export

    return _exported(args, ctx, "html", text_export.to_html)


@document_job("pdf.to_csv", title="PDF to CSV", deadline_seconds=OCR_SECONDS)
def to_csv(args: TextArgs, ctx: JobContext) -> dict[str, Any]:
    """Extract the tables of a PDF, with or without ruling lines, as CSV.

    Text outside of the tables becomes rows too.
    """
    with document_work(args, ctx) as work:
        from checkback.kinds.documents.pdf.tables.table_export import write_csv

        pages, facts = _rows(work, args)
        text = write_csv(pages, work.options.csv_separator, work.options.csv_quotation)
        work.output(text, "csv")
        return work.result(page_count=len(pages), body=text, inline=args.inline, **facts)


@document_job("pdf.to_xlsx", title="PDF to XLSX", deadline_seconds=OCR_SECONDS)
def to_xlsx(args: TextArgs, ctx: JobContext) -> dict[str, Any]:
    """Extract the tables of a PDF as an Excel file with a worksheet for each page."""
    with document_work(args, ctx) as work:
        from checkback.kinds.documents.pdf.tables.table_export import write_xlsx

        pages, facts = _rows(work, args)
        target = work.folder / "tables.xlsx"
        write_xlsx(pages, target)
        work.output(target, "xlsx")
        return work.result(page_count=len(pages), **facts)


@document_job("pdf.to_xls", title="PDF to XLS", deadline_seconds=OCR_SECONDS)
def to_xls(args: TextArgs, ctx: JobContext) -> dict[str, Any]:
    """Extract the tables of a PDF as an Excel 97 file with a worksheet for each page."""
    with document_work(args, ctx) as work:
        from checkback.kinds.documents.pdf.tables.table_export import write_xls

        pages, facts = _rows(work, args)
        target = work.folder / "tables.xls"
        write_xls(pages, target)
        work.output(target, "xls")
        return work.result(page_count=len(pages), **facts)


@document_job("pdf.to_image", title="PDF to image", deadline_seconds=OCR_SECONDS, outputs="many")
def to_image(args: ImageArgs, ctx: JobContext) -> dict[str, Any]:
    """Render the pages of a PDF as images: one file for each page, or one TIFF of all pages."""
    with document_work(args, ctx) as work:
        from checkback.kinds.documents.pdf.to_images import draw_pages

        dpi = args.resolution_dpi or work.options.dpi or DEFAULT_DPI
        return work.result(page_count=draw_pages(work, args, dpi))


@document_job("pdf.info", title="PDF information")
def info(args: DocumentArgs, ctx: JobContext) -> dict[str, Any]:
    """Read the page count, metadata, dates, page size, protection and permissions of a PDF."""
    return _information(args, ctx, with_fields=False)


@document_job("pdf.form_fields", title="PDF form fields")
def form_fields(args: DocumentArgs, ctx: JobContext) -> dict[str, Any]:
    """List the form fields of a PDF with their names, types, values and pages."""
    return _information(args, ctx, with_fields=True)


@document_job("pdf.find_text", title="Find text in a PDF")
def find_text(args: FindTextArgs, ctx: JobContext) -> dict[str, Any]:
    """Find a text in a PDF, literally, as whole words or by a regular expression.

    Returns the page and the position of each match.
    """
    with document_work(args, ctx) as work:
        from checkback.kinds.documents.pdf.text import search
        from checkback.kinds.documents.pdf.text.reader import each_page, open_pdf, pages_of
        from checkback.kinds.documents.pdf.text.words import read_words

        pattern = search.pattern_of(args.search, args.matching, regex=args.regex)
        matches: list[search.Match] = []
        with open_pdf(work.source.path, args) as document:
            count = len(document)
            for index, page in each_page(document, pages_of(document, args.pages), work):
                matches += search.matches_of(page, read_words(page, cut=False), pattern, index)
        work.output(json.dumps(matches, ensure_ascii=False), "json")
        return work.result(page_count=count, body=matches, matches=len(matches))


@document_job("pdf.find_tables", title="Find tables in a PDF")
def find_tables(args: PagesArgs, ctx: JobContext) -> dict[str, Any]:
    """Find the tables of a PDF, with or without ruling lines.

    Returns the position and the cells of each table.
    """
    with document_work(args, ctx) as work:
        from checkback.kinds.documents.pdf.tables.tables import described_tables
        from checkback.kinds.documents.pdf.text.reader import TextReader, open_pdf

        reader = TextReader(work, _as_text_args(args))
        tables: list[dict[str, Any]] = []
        with open_pdf(work.source.path, args) as document:
            count = len(document)
            for content in reader.pages(document):
                tables += described_tables(content, work.options.tables)
        body = {"tables": tables}
        work.output(json.dumps(body, ensure_ascii=False), "json")
        return work.result(page_count=count, body=body, **reader.facts())


@document_job("pdf.parse_invoice", title="Parse an invoice", deadline_seconds=OCR_SECONDS)
def parse_invoice(args: InvoiceArgs, ctx: JobContext) -> dict[str, Any]:
    """Read the fields of an invoice by rules, without a model. Fields that are not found
    are null.
    """
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
            if count > MAX_INVOICE_PAGES:
                raise failures.too_many_pages(MAX_INVOICE_PAGES)
            for content in reader.pages(document):
                lines += lines_of(content.words)
                tables += tables_of(content)
        body = parse(lines, tables)
        work.output(json.dumps(body, ensure_ascii=False, indent=1), "json")
        return work.result(page_count=count, body=body, **reader.facts())


@document_job("pdf.extract_attachments", title="Extract attachments", outputs="many")
def extract_attachments(args: DocumentArgs, ctx: JobContext) -> dict[str, Any]:
    """Extract the files attached to a PDF, and those attached to its pages."""
    with document_work(args, ctx) as work:
        from checkback.kinds.documents.pdf.attachments import attached_files

        with _opened(work, args) as pdf:
            for name, content in attached_files(pdf):
                work.output(content, "", name=name)
            return work.result(page_count=len(pdf.pages))


def _exported(
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
    """The rows of each page, and what the result reports about scanned pages."""
    from checkback.kinds.documents.pdf.tables.tables import grouped, rows_of
    from checkback.kinds.documents.pdf.text.reader import TextReader, open_pdf

    reader = TextReader(work, args)
    options = work.options
    grouping = args.line_grouping if options.line_grouping is None else options.line_grouping
    pages: list[tuple[int, list[list[str]]]] = []
    with open_pdf(work.source.path, args) as document:
        for content in reader.pages(document):
            rows = rows_of(content, options.tables)
            pages.append((content.index, grouped(rows, grouping)))
    return pages, reader.facts()


def _information(args: DocumentArgs, ctx: JobContext, *, with_fields: bool) -> dict[str, Any]:
    with document_work(args, ctx) as work:
        from checkback.kinds.documents.pdf import info as pdf_info

        has_password = args.password is not None
        with _opened(work, args) as pdf:
            facts = pdf_info.information(work.source.path, pdf, password_given=has_password)
            if with_fields:
                facts["FieldsInfo"] = {"Fields": pdf_info.form_fields(pdf)}
        body = {"info": facts}
        work.output(json.dumps(body, ensure_ascii=False, indent=1), "json")
        return work.result(page_count=facts["PageCount"], body=body)


def _opened(work: DocumentWork, args: DocumentArgs) -> Pdf:
    """The source as pikepdf opens it. Raises the failure of another type of file."""
    from checkback.kinds.documents.files.sniff import FileType, sniff
    from checkback.kinds.documents.pdf.merge import open_with

    if sniff(work.source.path) is not FileType.PDF:
        raise failures.invalid_document()
    return open_with(work.source.path, revealed(args.password))


def _as_text_args(args: DocumentArgs, *, lang: str = "eng") -> TextArgs:
    """The arguments of a kind that reads text, from those of another kind."""
    return TextArgs.model_validate(
        {
            "url": args.url,
            "password": args.password,
            "pages": args.pages if isinstance(args, PagesArgs) else "",
            "lang": lang,
            "profiles": args.profiles,
        }
    )
