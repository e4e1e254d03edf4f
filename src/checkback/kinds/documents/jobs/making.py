"""Registers the kinds that make PDFs from PDFs and images.

The libraries are imported when a job runs: the APIs import this module to list their tools.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from checkback.kinds.context import JobContext
from checkback.kinds.documents import failures
from checkback.kinds.documents.args.common import DocumentArgs, ManySourcesArgs, PagesArgs
from checkback.kinds.documents.args.making_args import (
    AddPasswordArgs,
    EditArgs,
    ImageToPdfArgs,
    SearchableArgs,
    SplitArgs,
)
from checkback.kinds.documents.job_context import MAX_PAGES, DocumentWork, document_work
from checkback.kinds.documents.jobs.document_job import OCR_SECONDS, document_job, program_job

if TYPE_CHECKING:
    from collections.abc import Generator

    from pikepdf import Encryption, Pdf

    from checkback.kinds.documents.files.source import SourceFile
    from checkback.kinds.documents.office.converter import Converter


@program_job("pdf.merge", title="Merge PDFs")
async def merge(args: ManySourcesArgs, ctx: JobContext) -> dict[str, Any]:
    """Join PDFs, office files, images, e-mails, HTML and ZIP files of them into one PDF.

    Form fields, bookmarks, links and attachments are kept.
    """
    with document_work(args, ctx) as work:
        from checkback.kinds.documents.office.converter import converter
        from checkback.kinds.documents.pdf.merge import merge as merge_parts

        async with converter(work.folder, ctx.environment, ctx.log, ctx.warn) as files:
            parts = await _converted_sources(files, work)
        if not parts:
            raise failures.invalid_document("a ZIP file with documents")
        target = work.folder / "merged.pdf"
        count = merge_parts(
            parts,
            target,
            password=revealed(args.password),
            max_pages=MAX_PAGES,
            part_done=lambda done, total: ctx.progress(50 + 45 * done / total),
        )
        work.output(target, "pdf")
        return work.result(page_count=count)


async def _converted_sources(files: Converter, work: DocumentWork) -> list[Path]:
    """The PDFs of all sources, in order. A source that is named several times is converted once."""
    parts: list[Path] = []
    converted: dict[Path, list[Path]] = {}
    for number, source in enumerate(work.sources):
        if source.path not in converted:
            folder = work.folder / f"unpacked-{number}"
            converted[source.path] = await _converted_source(files, source, folder)
        parts += converted[source.path]
        work.ctx.progress(10 + 40 * (number + 1) / len(work.sources))
    return parts


async def _converted_source(files: Converter, source: SourceFile, folder: Path) -> list[Path]:
    """The PDF of a source; of a ZIP file, the PDF of each file in it."""
    from checkback.kinds.documents.files.sniff import FileType, sniff
    from checkback.kinds.documents.office.converter import unpack

    if sniff(source.path) is not FileType.ZIP:
        return [await files.to_pdf(source.path, source.name)]
    folder.mkdir()
    return [await files.to_pdf(path, name) for path, name in unpack(source.path, folder)]


@document_job("pdf.split", title="Split a PDF", outputs="many")
def split(args: SplitArgs, ctx: JobContext) -> dict[str, Any]:
    """Split a PDF into several: one for each part of `pages`, or one for each page with *."""
    with document_work(args, ctx) as work:
        from checkback.kinds.documents.args.pages_argument import page_groups

        with _opened(work.source.path, args) as pdf:
            count = len(pdf.pages)
            groups = page_groups(args.pages, count, 1)
            _check_number(groups)
            _output_parts(work, pdf, groups)
        return work.result(page_count=count)


def _check_number(groups: list[list[int]]) -> None:
    """Raise the failure of too many parts, or of too many pages in all parts together."""
    if len(groups) > MAX_PAGES or sum(map(len, groups)) > 4 * MAX_PAGES:
        raise failures.too_many_pages(MAX_PAGES)


def _output_parts(work: DocumentWork, pdf: Pdf, groups: list[list[int]]) -> None:
    from checkback.kinds.documents.pdf.split import part_suffix
    from checkback.kinds.documents.pdf.split import split as split_pages

    parts = split_pages(pdf, groups)
    for done, (group, content) in enumerate(zip(groups, parts, strict=True), 1):
        work.output(content, "pdf", suffix=part_suffix(group))
        work.page_done(done, len(groups))


@document_job("pdf.edit", title="Edit a PDF")
def edit(args: EditArgs, ctx: JobContext) -> dict[str, Any]:
    """Add text, links, images and form fields to a PDF, and fill in its form."""
    image_urls = [image.url for image in args.images]
    with document_work(args, ctx, more=image_urls) as work:
        from checkback.kinds.documents.pdf.edit.edit import edit as edit_pages

        with _opened(work.source.path, args) as pdf:
            edit_pages(pdf, args, [source.path for source in work.more], ctx.log)
            return _output_changed(work, pdf)


@document_job("pdf.add_password", title="Add a password")
def add_password(args: AddPasswordArgs, ctx: JobContext) -> dict[str, Any]:
    """Protect a PDF with passwords, and set what readers may do without the owner password."""
    with document_work(args, ctx) as work:
        return _output_protected(work, args, _encryption(args))


@document_job("pdf.remove_password", title="Remove the password")
def remove_password(args: DocumentArgs, ctx: JobContext) -> dict[str, Any]:
    """Remove the protection of a PDF, with the password that opens it."""
    with document_work(args, ctx) as work:
        return _output_protected(work, args, False)


def _encryption(args: AddPasswordArgs) -> Encryption:
    from checkback.kinds.documents.pdf.passwords import Allowed, encryption

    allowed = Allowed(
        accessibility=args.allow_accessibility_support,
        assembly=args.allow_assembly_document,
        printing=args.allow_print_document,
        printing_in_full=args.print_quality != "LowResolution",
        forms=args.allow_fill_forms,
        changes=args.allow_modify_document,
        copying=args.allow_content_extraction,
        comments=args.allow_modify_annotations,
    )
    return encryption(
        revealed(args.owner_password),
        revealed(args.user_password),
        args.encryption_algorithm,
        allowed,
    )


def _output_protected(
    work: DocumentWork, args: DocumentArgs, encryption: Encryption | bool
) -> dict[str, Any]:
    """Save the source with another protection, and return the job's result."""
    target = work.folder / "saved.pdf"
    with _opened(work.source.path, args) as pdf:
        pdf.save(target, encryption=encryption)
        count = len(pdf.pages)
    work.output(target, "pdf")
    return work.result(page_count=count)


@document_job("pdf.make_searchable", title="Make searchable", deadline_seconds=OCR_SECONDS)
def make_searchable(args: SearchableArgs, ctx: JobContext) -> dict[str, Any]:
    """Recognize the text of scanned pages and put it under them. Other pages are unchanged."""
    with document_work(args, ctx) as work:
        from checkback.kinds.documents.pdf import ocr_layer

        path = work.source.path
        with _opened(path, args) as pdf, _opened_for_drawing(path, args) as document:
            pages = _page_list(args.pages, len(pdf.pages))
            recognized = ocr_layer.make_searchable(
                document, pdf, pages, args.lang, work.folder, work.page_done
            )
            return _output_changed(work, pdf, recognised_pages=recognized)


@document_job("pdf.make_unsearchable", title="Make unsearchable", deadline_seconds=OCR_SECONDS)
def make_unsearchable(args: PagesArgs, ctx: JobContext) -> dict[str, Any]:
    """Rasterize pages, so that their text can no longer be selected or searched."""
    with document_work(args, ctx) as work:
        from checkback.kinds.documents.pdf import rasterize

        path = work.source.path
        with _opened(path, args) as pdf, _opened_for_drawing(path, args) as document:
            pages = _page_list(args.pages, len(pdf.pages))
            rasterize.make_unsearchable(document, pdf, pages, work.page_done)
            return _output_changed(work, pdf)


@document_job("image.to_pdf", title="Images to PDF")
def image_to_pdf(args: ImageToPdfArgs, ctx: JobContext) -> dict[str, Any]:
    """Make one PDF from JPEG, PNG, GIF, TIFF, WebP or BMP images, with one page for each frame."""
    with document_work(args, ctx) as work:
        import pikepdf

        from checkback.kinds.documents.pdf.split import save_pages

        target = work.folder / "images.pdf"
        with pikepdf.new() as pdf:
            _add_images(work, pdf)
            pages = _page_list(args.pages, len(pdf.pages))
            count = save_pages(pdf, pages, target)
        work.output(target, "pdf")
        return work.result(page_count=count)


def _add_images(work: DocumentWork, pdf: Pdf) -> None:
    from checkback.kinds.documents.files.sniff import IMAGES, sniff
    from checkback.kinds.documents.pdf.from_images import image_to_pages

    for done, source in enumerate(work.sources, 1):
        if sniff(source.path) not in IMAGES:
            raise failures.invalid_document("an image")
        image_to_pages(source.path, pdf, max_pages=MAX_PAGES - len(pdf.pages))
        work.page_done(done, len(work.sources))


def revealed(secret: SecretStr | None) -> str:
    """A password as text; an empty text without a password."""
    return secret.get_secret_value() if secret is not None else ""


@contextmanager
def _opened(path: Path, args: DocumentArgs) -> Generator[Pdf]:
    """The source, to be changed.

    Raises the failures of a wrong password, of missing permissions and of too many pages.
    """
    from checkback.kinds.documents.files.sniff import FileType, sniff
    from checkback.kinds.documents.pdf.merge import open_with

    if sniff(path) is not FileType.PDF:
        raise failures.invalid_document()
    with open_with(path, revealed(args.password)) as pdf:
        if args.options.check_permissions and not _may_be_modified(pdf):
            raise failures.permission_denied()
        if len(pdf.pages) > MAX_PAGES:
            raise failures.too_many_pages(MAX_PAGES)
        yield pdf


def _may_be_modified(pdf: Pdf) -> bool:
    return not pdf.is_encrypted or pdf.owner_password_matched or pdf.allow.modify_other


@contextmanager
def _opened_for_drawing(path: Path, args: DocumentArgs) -> Generator[Any]:
    """The source, for drawing its pages with their form fields."""
    import pypdfium2

    document = pypdfium2.PdfDocument(path, password=revealed(args.password) or None)
    try:
        document.init_forms()
        yield document
    finally:
        document.close()


def _page_list(pages: str, count: int) -> list[int]:
    from checkback.kinds.documents.args.pages_argument import page_list

    return page_list(pages, count)


def _output_changed(work: DocumentWork, pdf: Pdf, **facts: Any) -> dict[str, Any]:
    """Save the changed document, protected as it was before, and return the job's result."""
    target = work.folder / "changed.pdf"
    pdf.save(target, encryption=pdf.is_encrypted)
    work.output(target, "pdf")
    return work.result(page_count=len(pdf.pages), **facts)
