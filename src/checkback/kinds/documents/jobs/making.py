"""Registers the kinds that make PDFs out of PDFs and pictures.

The libraries are imported when a job runs: doors import this module to list their tools.
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
from checkback.kinds.documents.job_context import MAX_PAGES, PHASES, document_work
from checkback.kinds.registry import MemoryLimit, job

if TYPE_CHECKING:
    from collections.abc import Generator

    from pikepdf import Pdf

GIB = 1 << 30
OCR_SECONDS = 2700.0


@job(
    "pdf.merge",
    title="Merge PDFs",
    queue="documents",
    network=True,
    sandbox=True,
    attempts=2,
    memory_bytes=2 * GIB,
    memory_limit=MemoryLimit.RESIDENT,
    phases=PHASES,
)
async def merge(args: ManySourcesArgs, ctx: JobContext) -> dict[str, Any]:
    """Join PDFs, office files, pictures, mails, HTML and ZIP files of them into one PDF.

    Form fields, bookmarks, links and attachments are kept.
    """
    with document_work(args, ctx) as work:
        from checkback.kinds.documents.files.sniff import FileType, sniff
        from checkback.kinds.documents.office.converter import converter, unpack
        from checkback.kinds.documents.pdf.merge import merge as merge_parts

        parts: list[Path] = []
        made: dict[Path, list[Path]] = {}  # a source that is named several times is converted once
        async with converter(work.folder, ctx.environment, ctx.log, ctx.warn) as files:
            for number, source in enumerate(work.sources):
                if source.path not in made and sniff(source.path) is FileType.ZIP:
                    folder = work.folder / f"unpacked-{number}"
                    folder.mkdir()
                    found = unpack(source.path, folder)
                    made[source.path] = [await files.to_pdf(path, name) for path, name in found]
                elif source.path not in made:
                    made[source.path] = [await files.to_pdf(source.path, source.name)]
                parts += made[source.path]
                ctx.progress(10 + 40 * (number + 1) / len(work.sources))
        if not parts:
            raise failures.invalid_document("ZIP with documents")
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


@job(
    "pdf.split",
    title="Split a PDF",
    queue="documents",
    network=True,
    sandbox=True,
    attempts=2,
    memory_bytes=2 * GIB,
    memory_limit=MemoryLimit.ADDRESS_SPACE,
    deterministic=True,
    phases=PHASES,
)
def split(args: SplitArgs, ctx: JobContext) -> dict[str, Any]:
    """Split a PDF into several, one for each part that pages names; * makes one of every page."""
    with document_work(args, ctx) as work:
        from checkback.kinds.documents.args.pages_argument import page_groups
        from checkback.kinds.documents.pdf.split import part_suffix
        from checkback.kinds.documents.pdf.split import split as split_pages

        with _opened(work.source.path, args) as pdf:
            count = len(pdf.pages)
            groups = page_groups(args.pages, count, 1)
            if len(groups) > MAX_PAGES or sum(map(len, groups)) > 4 * MAX_PAGES:
                raise failures.too_many_pages(MAX_PAGES)
            for done, (group, content) in enumerate(
                zip(groups, split_pages(pdf, groups), strict=True), 1
            ):
                work.output(content, "pdf", suffix=part_suffix(group))
                work.page_done(done, len(groups))
        return work.result(page_count=count)


@job(
    "pdf.edit",
    title="Edit a PDF",
    queue="documents",
    network=True,
    sandbox=True,
    attempts=2,
    memory_bytes=2 * GIB,
    memory_limit=MemoryLimit.ADDRESS_SPACE,
    deterministic=True,
    phases=PHASES,
)
def edit(args: EditArgs, ctx: JobContext) -> dict[str, Any]:
    """Add text, links, pictures and form fields to a PDF, and fill in its form."""
    with document_work(args, ctx, more=[image.url for image in args.images]) as work:
        from checkback.kinds.documents.pdf.edit.edit import edit as edit_pages

        with _opened(work.source.path, args) as pdf:
            edit_pages(pdf, args, [source.path for source in work.more], ctx.log)
            work.output(_saved(pdf, work.folder), "pdf")
            return work.result(page_count=len(pdf.pages))


@job(
    "pdf.add_password",
    title="Add a password",
    queue="documents",
    network=True,
    sandbox=True,
    attempts=2,
    memory_bytes=2 * GIB,
    memory_limit=MemoryLimit.ADDRESS_SPACE,
    deterministic=True,
    phases=PHASES,
)
def add_password(args: AddPasswordArgs, ctx: JobContext) -> dict[str, Any]:
    """Protect a PDF with passwords, and say what may be done without the owner's."""
    with document_work(args, ctx) as work:
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
        protection = encryption(
            revealed(args.owner_password),
            revealed(args.user_password),
            args.encryption_algorithm,
            allowed,
        )
        target = work.folder / "protected.pdf"
        with _opened(work.source.path, args) as pdf:
            pdf.save(target, encryption=protection)
            count = len(pdf.pages)
        work.output(target, "pdf")
        return work.result(page_count=count)


@job(
    "pdf.remove_password",
    title="Remove the password",
    queue="documents",
    network=True,
    sandbox=True,
    attempts=2,
    memory_bytes=2 * GIB,
    memory_limit=MemoryLimit.ADDRESS_SPACE,
    deterministic=True,
    phases=PHASES,
)
def remove_password(args: DocumentArgs, ctx: JobContext) -> dict[str, Any]:
    """Take the protection off a PDF, with the password that opens it."""
    with document_work(args, ctx) as work:
        target = work.folder / "open.pdf"
        with _opened(work.source.path, args) as pdf:
            pdf.save(target, encryption=False)
            count = len(pdf.pages)
        work.output(target, "pdf")
        return work.result(page_count=count)


@job(
    "pdf.make_searchable",
    title="Make searchable",
    queue="documents",
    network=True,
    sandbox=True,
    attempts=2,
    deadline_seconds=OCR_SECONDS,
    memory_bytes=2 * GIB,
    memory_limit=MemoryLimit.ADDRESS_SPACE,
    deterministic=True,
    phases=PHASES,
)
def make_searchable(args: SearchableArgs, ctx: JobContext) -> dict[str, Any]:
    """Recognise the text of scanned pages and put it under them; other pages stay as they are."""
    with document_work(args, ctx) as work:
        from checkback.kinds.documents.pdf import ocr_layer

        with _opened(work.source.path, args) as pdf, _drawn(work.source.path, args) as document:
            recognised = ocr_layer.make_searchable(
                document, pdf, _pages(args, len(pdf.pages)), args.lang, work.folder, work.page_done
            )
            work.output(_saved(pdf, work.folder), "pdf")
            return work.result(page_count=len(pdf.pages), recognised_pages=recognised)


@job(
    "pdf.make_unsearchable",
    title="Make unsearchable",
    queue="documents",
    network=True,
    sandbox=True,
    attempts=2,
    deadline_seconds=OCR_SECONDS,
    memory_bytes=2 * GIB,
    memory_limit=MemoryLimit.ADDRESS_SPACE,
    deterministic=True,
    phases=PHASES,
)
def make_unsearchable(args: PagesArgs, ctx: JobContext) -> dict[str, Any]:
    """Turn pages into pictures of themselves, so that their text cannot be searched or copied."""
    with document_work(args, ctx) as work:
        from checkback.kinds.documents.pdf import rasterize

        with _opened(work.source.path, args) as pdf, _drawn(work.source.path, args) as document:
            rasterize.make_unsearchable(document, pdf, _pages(args, len(pdf.pages)), work.page_done)
            work.output(_saved(pdf, work.folder), "pdf")
            return work.result(page_count=len(pdf.pages))


@job(
    "image.to_pdf",
    title="Pictures to PDF",
    queue="documents",
    network=True,
    sandbox=True,
    attempts=2,
    memory_bytes=2 * GIB,
    memory_limit=MemoryLimit.ADDRESS_SPACE,
    deterministic=True,
    phases=PHASES,
)
def image_to_pdf(args: ImageToPdfArgs, ctx: JobContext) -> dict[str, Any]:
    """Make one PDF of pictures, each frame a page: JPEG, PNG, GIF, TIFF, WebP or BMP."""
    with document_work(args, ctx) as work:
        import pikepdf

        from checkback.kinds.documents.args.pages_argument import page_list
        from checkback.kinds.documents.files.sniff import IMAGES, sniff
        from checkback.kinds.documents.pdf.from_images import image_to_pages
        from checkback.kinds.documents.pdf.split import select_pages

        with pikepdf.new() as pdf:
            for done, source in enumerate(work.sources, 1):
                if sniff(source.path) not in IMAGES:
                    raise failures.invalid_document("picture")
                image_to_pages(source.path, pdf, max_pages=MAX_PAGES - len(pdf.pages))
                work.page_done(done, len(work.sources))
            target = work.folder / "pictures.pdf"
            with select_pages(pdf, page_list(args.pages, len(pdf.pages))) as chosen:
                chosen.save(target)
                count = len(chosen.pages)
        work.output(target, "pdf")
        return work.result(page_count=count)


def revealed(secret: SecretStr | None) -> str:
    """A password as text; "" for none."""
    return secret.get_secret_value() if secret is not None else ""


@contextmanager
def _opened(path: Path, args: DocumentArgs) -> Generator[Pdf]:
    """The source for changing. Raises the failures of a wrong password and of too many pages."""
    from checkback.kinds.documents.files.sniff import FileType, sniff
    from checkback.kinds.documents.pdf.merge import open_with

    if sniff(path) is not FileType.PDF:
        raise failures.invalid_document()
    with open_with(path, revealed(args.password)) as pdf:
        forbidden = not (pdf.owner_password_matched or pdf.allow.modify_other)
        if args.options.check_permissions and pdf.is_encrypted and forbidden:
            raise failures.permission_denied()
        if len(pdf.pages) > MAX_PAGES:
            raise failures.too_many_pages(MAX_PAGES)
        yield pdf


@contextmanager
def _drawn(path: Path, args: DocumentArgs) -> Generator[Any]:
    """The source for drawing its pages, form fields included."""
    import pypdfium2

    document = pypdfium2.PdfDocument(path, password=revealed(args.password) or None)
    try:
        document.init_forms()
        yield document
    finally:
        document.close()


def _pages(args: PagesArgs, count: int) -> list[int]:
    from checkback.kinds.documents.args.pages_argument import page_list

    return page_list(args.pages, count)


def _saved(pdf: Pdf, folder: Path) -> Path:
    """The changed document as a file, protected as it was before."""
    target = folder / "changed.pdf"
    pdf.save(target, encryption=pdf.is_encrypted)
    return target
