"""Registers the kinds that make PDFs from other files, and other files from spreadsheets.

The libraries are imported when a job runs: the APIs import this module to list their tools.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from checkback.core.errors import JobFailed
from checkback.kinds.context import JobContext
from checkback.kinds.documents import failures
from checkback.kinds.documents.args.common import revealed
from checkback.kinds.documents.args.converting_args import (
    EmailToPdfArgs,
    HtmlToPdfArgs,
    PrintArgs,
    ToPdfArgs,
    WebpageToPdfArgs,
    WorkbookArgs,
    WorksheetArgs,
)
from checkback.kinds.documents.job_context import MAX_PAGES, DocumentWork, document_work
from checkback.kinds.documents.jobs.document_job import document_job, program_job
from checkback.kinds.pages.jobs.analyze import warm_browser
from checkback.security.addresses import AddressPolicy, check_url

if TYPE_CHECKING:
    from pikepdf import Pdf

    from checkback.kinds.browser.session import BrowserSession
    from checkback.kinds.documents.mail.message import Attachment
    from checkback.kinds.documents.office.converter import Converter
    from checkback.kinds.documents.web.print import PrintOptions

BROWSER_BYTES = 1_500_000_000


@program_job("document.to_pdf", title="Document to PDF")
async def document_to_pdf(args: ToPdfArgs, ctx: JobContext) -> dict[str, Any]:
    """Make a PDF from a Word, RTF, OpenDocument, PowerPoint, text, HTML or image file."""
    with document_work(args, ctx) as work:
        from checkback.kinds.documents.office.converter import converter

        source = work.source
        async with converter(work.folder, ctx.environment, ctx.log, ctx.warn) as files:
            pdf = await files.to_pdf(source.path, source.name, autosize=args.autosize)
        return _output_pages(work, pdf, args.pages)


@program_job("csv.to_pdf", title="CSV to PDF")
def csv_to_pdf(args: ToPdfArgs, ctx: JobContext) -> dict[str, Any]:
    """Make a PDF from a CSV file or a spreadsheet."""
    with document_work(args, ctx) as work:
        pdf = _spreadsheet_to_pdf(work, "", autosize=args.autosize)
        return _output_pages(work, pdf, args.pages)


@program_job("excel.to_pdf", title="Excel to PDF")
def excel_to_pdf(args: WorkbookArgs, ctx: JobContext) -> dict[str, Any]:
    """Make a PDF from all worksheets of a spreadsheet, or from one of them."""
    with document_work(args, ctx) as work:
        pdf = _spreadsheet_to_pdf(work, args.worksheet_index, autosize=args.autosize)
        return _output_pages(work, pdf, "")


def _spreadsheet_to_pdf(work: DocumentWork, worksheet_index: str, *, autosize: bool) -> Path:
    from checkback.kinds.documents.sheets.to_pdf import sheet_to_pdf

    return sheet_to_pdf(
        work.source.path,
        work.folder,
        worksheet_index=worksheet_index,
        autosize=autosize,
        max_pages=MAX_PAGES,
        log=work.ctx.log,
        warn=work.ctx.warn,
    )


def _add_worksheet_kind(format_name: str, title: str) -> None:
    def convert(args: WorksheetArgs, ctx: JobContext) -> dict[str, Any]:
        with document_work(args, ctx) as work:
            from checkback.kinds.documents.sheets.read import read_sheet
            from checkback.kinds.documents.sheets.sheet_export import FORMATS

            sheet = read_sheet(work.source.path, args.worksheet_index)
            content = FORMATS[format_name](sheet)
            work.output(content, format_name)
            return work.result(body=content, rows=len(sheet.rows), worksheet=sheet.index)

    convert.__qualname__ = f"worksheet_to_{format_name}"
    convert.__doc__ = f"Convert a worksheet of an xls, xlsx, xlsb, ods or CSV file to {title}."
    document_job(f"excel.to_{format_name}", title=f"Excel to {title}")(convert)


for _format_name, _title in (
    ("csv", "CSV"),
    ("json", "JSON"),
    ("html", "HTML"),
    ("txt", "text"),
    ("xml", "XML"),
):
    _add_worksheet_kind(_format_name, _title)


def admit(args: WebpageToPdfArgs, policy: AddressPolicy) -> None:
    """Refuse an address that no job can reach, before the job is accepted."""
    check_url(args.url, policy)


@program_job(
    "webpage.to_pdf",
    title="Web page to PDF",
    memory_bytes=BROWSER_BYTES,
    concurrency=2,
    warm=warm_browser,
    admit=admit,
)
async def webpage_to_pdf(args: WebpageToPdfArgs, ctx: JobContext) -> dict[str, Any]:
    """Open a web page in a real browser and print it to PDF."""
    with document_work(args, ctx, offline=False) as work:
        from checkback.kinds.documents.files.names import stem_of_url
        from checkback.kinds.documents.web.print import print_page

        egress = ctx.egress
        if egress is None:
            raise failures.source_unreachable()
        login = _login(args)

        async def print_it(session: BrowserSession) -> bytes:
            return await print_page(session, egress, args.url, _print_options(args), login=login)

        content = await _in_browser(ctx, print_it)
        work.name = work.name or stem_of_url(args.url)
        return _output_printed(work, content)


def _login(args: WebpageToPdfArgs) -> tuple[str, str] | None:
    """User name and password for the page's server."""
    if not args.httpusername:
        return None
    return args.httpusername, revealed(args.httppassword)


@program_job(
    "html.to_pdf",
    title="HTML to PDF",
    memory_bytes=BROWSER_BYTES,
    concurrency=2,
    warm=warm_browser,
)
async def html_to_pdf(args: HtmlToPdfArgs, ctx: JobContext) -> dict[str, Any]:
    """Print HTML to PDF in a real browser, which loads what the HTML refers to by http(s) URLs."""
    with document_work(args, ctx, offline=False) as work:
        from checkback.kinds.documents.web.print import print_html

        async def print_it(session: BrowserSession) -> bytes:
            return await print_html(session, args.html, _print_options(args), egress=ctx.egress)

        return _output_printed(work, await _in_browser(ctx, print_it))


@program_job("email.to_pdf", title="E-mail to PDF")
async def email_to_pdf(args: EmailToPdfArgs, ctx: JobContext) -> dict[str, Any]:
    """Make a PDF from an eml or msg e-mail, with its attachments as pages or as attached files.

    Nothing that the e-mail refers to is loaded.
    """
    with document_work(args, ctx) as work:
        from checkback.kinds.documents.files.sniff import sniff
        from checkback.kinds.documents.mail.message import read_mail
        from checkback.kinds.documents.office.converter import converter
        from checkback.kinds.documents.web.print import PrintOptions

        mail = read_mail(work.source.path, sniff(work.source.path))
        options = PrintOptions(
            margins=args.margins, paper_size=args.paper_size, orientation=args.orientation
        )
        body = work.folder / "mail.pdf"
        parts, unconverted = [body], mail.attachments
        async with converter(work.folder, ctx.environment, ctx.log, ctx.warn) as files:
            body.write_bytes(await files.print_html(mail.to_html(), options))
            if args.convert_attachments:
                pages, unconverted = await _converted(files, mail.attachments, work)
                parts += pages
        embedded = unconverted if args.embed_attachments else []
        return _output_mail(work, parts, embedded, len(mail.attachments))


async def _converted(
    files: Converter, attachments: list[Attachment], work: DocumentWork
) -> tuple[list[Path], list[Attachment]]:
    """The PDFs of the attachments that can be shown as pages, and the attachments that cannot."""
    import pikepdf

    converted: list[Path] = []
    unconverted: list[Attachment] = []
    for number, attachment in enumerate(attachments, 1):
        path = work.folder / f"attachment-{number}"
        path.write_bytes(attachment.content)
        try:
            part = await files.to_pdf(path, attachment.name)
            with pikepdf.open(part):
                converted.append(part)
        except (JobFailed, pikepdf.PdfError, pikepdf.PasswordError) as error:
            reason = error.code if isinstance(error, JobFailed) else "protected or damaged"
            work.ctx.log(f"attachment {number} is not shown as pages: {reason}")
            unconverted.append(attachment)
        work.page_done(number, len(attachments))
    return converted, unconverted


def _output_mail(
    work: DocumentWork, parts: list[Path], embedded: list[Attachment], count: int
) -> dict[str, Any]:
    import pikepdf

    from checkback.kinds.documents.pdf.merge import merge

    target = work.folder / "whole.pdf"
    page_count = merge(parts, target, max_pages=MAX_PAGES)
    if embedded:
        with pikepdf.open(target, allow_overwriting_input=True) as pdf:
            _embed(pdf, embedded)
            pdf.save()
    work.output(target, "pdf")
    return work.result(page_count=page_count, attachments=count, embedded=len(embedded))


def _embed(pdf: Pdf, attachments: list[Attachment]) -> None:
    from pikepdf import AttachedFileSpec

    for number, attachment in enumerate(attachments, 1):
        name = attachment.name
        if name in pdf.attachments:
            name = f"{number}-{name}"
        pdf.attachments[name] = AttachedFileSpec(
            pdf, attachment.content, filename=name, mime_type=attachment.media_type
        )


async def _in_browser(ctx: JobContext, print_it: Callable[[BrowserSession], Any]) -> bytes:
    """Call ``print_it`` with the warm browser, or with a new one if there is no warm browser."""
    from checkback.kinds.browser.session import browser_session

    if ctx.resource is not None:
        return await print_it(ctx.resource)
    async with browser_session(ctx.environment) as session:
        return await print_it(session)


def _print_options(args: PrintArgs) -> PrintOptions:
    from checkback.kinds.documents.web.print import PrintOptions

    return PrintOptions(**{name: getattr(args, name) for name in PrintArgs.model_fields})


def _output_printed(work: DocumentWork, content: bytes) -> dict[str, Any]:
    pdf = work.folder / "printed.pdf"
    pdf.write_bytes(content)
    return _output_pages(work, pdf, "")


def _output_pages(work: DocumentWork, path: Path, pages: str) -> dict[str, Any]:
    """Keep the PDF, or the selected pages of it, and return the job's result."""
    import pikepdf

    from checkback.kinds.documents.args.pages_argument import page_list
    from checkback.kinds.documents.pdf.split import save_pages

    with pikepdf.open(path) as pdf:
        count = len(pdf.pages)
        if pages.strip():
            path = work.folder / "selected.pdf"
            count = save_pages(pdf, page_list(pages, count), path)
    work.output(path, "pdf")
    return work.result(page_count=count)
