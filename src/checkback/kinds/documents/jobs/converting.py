"""Registers the kinds that make PDFs of other files, and other files of spreadsheets.

The libraries are imported when a job runs: doors import this module to list their tools.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from checkback.core.errors import JobFailed
from checkback.kinds.context import JobContext
from checkback.kinds.documents import failures
from checkback.kinds.documents.args.converting_args import (
    EmailToPdfArgs,
    HtmlToPdfArgs,
    PrintArgs,
    ToPdfArgs,
    WebpageToPdfArgs,
    WorkbookArgs,
    WorksheetArgs,
)
from checkback.kinds.documents.job_context import MAX_PAGES, PHASES, DocumentWork, document_work
from checkback.kinds.documents.jobs.making import revealed
from checkback.kinds.pages.jobs.analyze import warm_browser
from checkback.kinds.registry import MemoryLimit, job
from checkback.security.addresses import AddressPolicy, check_url

if TYPE_CHECKING:
    from checkback.kinds.browser.session import BrowserSession
    from checkback.kinds.documents.mail.message import Attachment
    from checkback.kinds.documents.office.converter import Converter
    from checkback.kinds.documents.web.print import PrintOptions

GIB = 1 << 30
BROWSER_BYTES = 1_500_000_000
OFFICE_BYTES = 2 * GIB


@job(
    "document.to_pdf",
    title="Document to PDF",
    queue="documents",
    network=True,
    sandbox=True,
    attempts=2,
    memory_bytes=OFFICE_BYTES,
    memory_limit=MemoryLimit.RESIDENT,
    phases=PHASES,
)
async def document_to_pdf(args: ToPdfArgs, ctx: JobContext) -> dict[str, Any]:
    """Make a PDF of a Word, RTF, OpenDocument, PowerPoint, text, HTML or picture file."""
    with document_work(args, ctx) as work:
        from checkback.kinds.documents.office.converter import converter

        async with converter(work.folder, ctx.environment, ctx.log, ctx.warn) as files:
            made = await files.to_pdf(work.source.path, work.source.name, autosize=args.autosize)
        return _finish(work, made, args.pages)


@job(
    "csv.to_pdf",
    title="CSV to PDF",
    queue="documents",
    network=True,
    sandbox=True,
    attempts=2,
    memory_bytes=OFFICE_BYTES,
    memory_limit=MemoryLimit.RESIDENT,
    phases=PHASES,
)
def csv_to_pdf(args: ToPdfArgs, ctx: JobContext) -> dict[str, Any]:
    """Make a PDF of a CSV file or a spreadsheet."""
    with document_work(args, ctx) as work:
        from checkback.kinds.documents.sheets.to_pdf import sheet_to_pdf

        made = sheet_to_pdf(
            work.source.path,
            work.folder,
            autosize=args.autosize,
            max_pages=MAX_PAGES,
            log=ctx.log,
            warn=ctx.warn,
        )
        return _finish(work, made, args.pages)


@job(
    "excel.to_pdf",
    title="Excel to PDF",
    queue="documents",
    network=True,
    sandbox=True,
    attempts=2,
    memory_bytes=OFFICE_BYTES,
    memory_limit=MemoryLimit.RESIDENT,
    phases=PHASES,
)
def excel_to_pdf(args: WorkbookArgs, ctx: JobContext) -> dict[str, Any]:
    """Make a PDF of a spreadsheet, of all its worksheets or of one."""
    with document_work(args, ctx) as work:
        from checkback.kinds.documents.sheets.to_pdf import sheet_to_pdf

        made = sheet_to_pdf(
            work.source.path,
            work.folder,
            worksheet_index=args.worksheet_index,
            autosize=args.autosize,
            max_pages=MAX_PAGES,
            log=ctx.log,
            warn=ctx.warn,
        )
        return _finish(work, made, "")


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
    convert.__doc__ = f"Turn a worksheet of an xls, xlsx, xlsb, ods or CSV file into {title}."
    job(
        f"excel.to_{format_name}",
        title=f"Excel to {title}",
        queue="documents",
        network=True,
        sandbox=True,
        attempts=2,
        memory_bytes=2 * GIB,
        memory_limit=MemoryLimit.ADDRESS_SPACE,
        deterministic=True,
        phases=PHASES,
    )(convert)


for _name, _title in (
    ("csv", "CSV"),
    ("json", "JSON"),
    ("html", "HTML"),
    ("txt", "text"),
    ("xml", "XML"),
):
    _add_worksheet_kind(_name, _title)


def admit(args: WebpageToPdfArgs, policy: AddressPolicy) -> None:
    """Refuse an address at the door that no job could reach anyway."""
    check_url(args.url, policy)


@job(
    "webpage.to_pdf",
    title="Web page to PDF",
    queue="documents",
    network=True,
    sandbox=True,
    attempts=2,
    warm=warm_browser,
    concurrency=2,
    memory_bytes=BROWSER_BYTES,
    memory_limit=MemoryLimit.RESIDENT,
    admit=admit,
    phases=PHASES,
)
async def webpage_to_pdf(args: WebpageToPdfArgs, ctx: JobContext) -> dict[str, Any]:
    """Open a web page in a real browser and print it to PDF."""
    with document_work(args, ctx, offline=False) as work:
        from checkback.kinds.documents.files.names import stem_of_url
        from checkback.kinds.documents.web.print import print_page

        egress = ctx.egress
        if egress is None:
            raise failures.source_unreachable()
        login = (args.httpusername, revealed(args.httppassword)) if args.httpusername else None

        async def show(session: BrowserSession) -> bytes:
            return await print_page(session, egress, args.url, _print_options(args), login=login)

        content = await _in_browser(ctx, show)
        work.name = work.name or stem_of_url(args.url)
        return _keep(work, content)


@job(
    "html.to_pdf",
    title="HTML to PDF",
    queue="documents",
    network=True,
    sandbox=True,
    attempts=2,
    warm=warm_browser,
    concurrency=2,
    memory_bytes=BROWSER_BYTES,
    memory_limit=MemoryLimit.RESIDENT,
    phases=PHASES,
)
async def html_to_pdf(args: HtmlToPdfArgs, ctx: JobContext) -> dict[str, Any]:
    """Print HTML to PDF in a real browser; what it refers to by http(s) addresses is loaded."""
    with document_work(args, ctx, offline=False) as work:
        from checkback.kinds.documents.web.print import print_html

        async def show(session: BrowserSession) -> bytes:
            return await print_html(session, args.html, _print_options(args), egress=ctx.egress)

        return _keep(work, await _in_browser(ctx, show))


@job(
    "email.to_pdf",
    title="E-mail to PDF",
    queue="documents",
    network=True,
    sandbox=True,
    attempts=2,
    memory_bytes=OFFICE_BYTES,
    memory_limit=MemoryLimit.RESIDENT,
    phases=PHASES,
)
async def email_to_pdf(args: EmailToPdfArgs, ctx: JobContext) -> dict[str, Any]:
    """Make a PDF of an e-mail, eml or msg, with its attachments as pages or as files inside.

    Nothing that the mail refers to is loaded.
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
        parts, left = [body], list(mail.attachments)
        async with converter(work.folder, ctx.environment, ctx.log, ctx.warn) as files:
            body.write_bytes(await files.print_html(mail.to_html(), options))
            if args.convert_attachments:
                made, left = await _converted(files, mail.attachments, work)
                parts += made
        return _finish_mail(
            work, parts, left if args.embed_attachments else [], len(mail.attachments)
        )


async def _converted(
    files: Converter, attachments: list[Attachment], work: DocumentWork
) -> tuple[list[Path], list[Attachment]]:
    """The PDFs of the attachments that can be shown as pages, and the attachments that cannot."""
    import pikepdf

    made: list[Path] = []
    left: list[Attachment] = []
    for number, attachment in enumerate(attachments):
        path = work.folder / f"attachment-{number}"
        path.write_bytes(attachment.content)
        try:
            part = await files.to_pdf(path, attachment.name)
            with pikepdf.open(part):
                made.append(part)
        except (JobFailed, pikepdf.PdfError, pikepdf.PasswordError) as error:
            reason = error.code if isinstance(error, JobFailed) else "protected or damaged"
            work.ctx.log(f"attachment {number + 1} is not shown as pages: {reason}")
            left.append(attachment)
        work.page_done(number + 1, len(attachments))
    return made, left


def _finish_mail(
    work: DocumentWork, parts: list[Path], embedded: list[Attachment], count: int
) -> dict[str, Any]:
    import pikepdf

    from checkback.kinds.documents.pdf.merge import merge

    target = work.folder / "whole.pdf"
    pages = merge(parts, target, max_pages=MAX_PAGES)
    if embedded:
        with pikepdf.open(target, allow_overwriting_input=True) as pdf:
            for number, attachment in enumerate(embedded, 1):
                name = (
                    attachment.name
                    if attachment.name not in pdf.attachments
                    else f"{number}-{attachment.name}"
                )
                pdf.attachments[name] = pikepdf.AttachedFileSpec(
                    pdf, attachment.content, filename=name, mime_type=attachment.media_type
                )
            pdf.save()
    work.output(target, "pdf")
    return work.result(page_count=pages, attachments=count, embedded=len(embedded))


async def _in_browser(ctx: JobContext, show: Callable[[BrowserSession], Any]) -> bytes:
    """What ``show`` makes with the warm browser, or with one of its own where there is none."""
    from checkback.kinds.browser.session import browser_session

    if ctx.resource is not None:
        return await show(ctx.resource)
    async with browser_session(ctx.environment) as session:
        return await show(session)


def _print_options(args: PrintArgs) -> PrintOptions:
    from checkback.kinds.documents.web.print import PrintOptions

    return PrintOptions(**{name: getattr(args, name) for name in PrintArgs.model_fields})


def _keep(work: DocumentWork, content: bytes) -> dict[str, Any]:
    made = work.folder / "printed.pdf"
    made.write_bytes(content)
    return _finish(work, made, "")


def _finish(work: DocumentWork, made: Path, pages: str) -> dict[str, Any]:
    """Keep the PDF that was made, or the pages of it that were asked for."""
    import pikepdf

    from checkback.kinds.documents.args.pages_argument import page_list
    from checkback.kinds.documents.pdf.split import select_pages

    with pikepdf.open(made) as pdf:
        count = len(pdf.pages)
        if pages.strip():
            target = work.folder / "chosen.pdf"
            with select_pages(pdf, page_list(pages, count)) as chosen:
                chosen.save(target)
                count = len(chosen.pages)
            made = target
    work.output(made, "pdf")
    return work.result(page_count=count)
