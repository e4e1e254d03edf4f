"""Converts any file that document jobs accept to PDF: for merging, and for the attachments of
e-mails.
"""

from __future__ import annotations

import stat
import zipfile
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path, PurePosixPath
from tempfile import mkdtemp

import pikepdf

from checkback.kinds.browser.session import BrowserSession, browser_session
from checkback.kinds.context import Environment
from checkback.kinds.documents import failures
from checkback.kinds.documents.files.archive_limits import MAX_UNPACKED_BYTES, unpacked_too_large
from checkback.kinds.documents.files.sniff import IMAGES, SPREADSHEETS, FileType, sniff
from checkback.kinds.documents.job_context import MAX_PAGES
from checkback.kinds.documents.mail.message import read_mail
from checkback.kinds.documents.office import libreoffice
from checkback.kinds.documents.pdf.from_images import image_to_pages
from checkback.kinds.documents.pdf.from_text import read_text, text_to_pdf
from checkback.kinds.documents.sheets.to_pdf import sheet_to_pdf
from checkback.kinds.documents.web.print import PrintOptions, print_html

MAX_ENTRIES = 1000
CHUNK = 1 << 20
_ENCRYPTED = 1
"""The flag of an encrypted entry."""


class Converter:
    """Converts files of all kinds to PDF, without a network. Use ``converter`` to make one.

    A browser is started for the first file that needs one, and ends with the converter.
    """

    def __init__(
        self,
        folder: Path,
        environment: Environment,
        log: Callable[[str], None],
        warn: libreoffice.Warn,
        stack: AsyncExitStack,
    ) -> None:
        self._folder = folder
        self._environment = environment
        self._log = log
        self._warn = warn
        self._stack = stack
        self._browser: BrowserSession | None = None

    async def to_pdf(self, path: Path, name: str, *, autosize: bool = False) -> Path:
        """The path of the PDF of this file; the file itself if it is a PDF.

        ``name`` only distinguishes CSV files from other texts. Raises the failures of the
        converters, and ``unsupported`` for a file that cannot be converted.
        """
        file_type = sniff(path)
        folder = Path(mkdtemp(prefix="part-", dir=self._folder))
        if file_type is FileType.PDF:
            return path
        if file_type is FileType.ENCRYPTED_OFFICE:
            raise failures.password_needed()
        if _is_sheet(file_type, name):
            return sheet_to_pdf(
                path, folder, autosize=autosize, max_pages=MAX_PAGES, log=self._log, warn=self._warn
            )
        if file_type in libreoffice.OFFICE:
            return libreoffice.office_to_pdf(path, file_type, folder, warn=self._warn)
        target = folder / "part.pdf"
        await self._write_pdf(path, file_type, target)
        return target

    async def _write_pdf(self, path: Path, file_type: FileType, target: Path) -> None:
        """Write the PDF of an image, a text, HTML or an e-mail to ``target``."""
        if file_type in IMAGES:
            _image_to_pdf(path, target)
        elif file_type in (FileType.TEXT, FileType.XML):
            text_to_pdf(read_text(path), target, max_pages=MAX_PAGES)
        else:
            html = _html_of(path, file_type)
            target.write_bytes(await self.print_html(html, PrintOptions()))

    async def print_html(self, html: str, options: PrintOptions) -> bytes:
        """The PDF of HTML. Nothing is loaded and no script runs."""
        if self._browser is None:
            self._browser = await self._stack.enter_async_context(
                browser_session(self._environment)
            )
        return await print_html(self._browser, html, options, egress=None)


@asynccontextmanager
async def converter(
    folder: Path, environment: Environment, log: Callable[[str], None], warn: libreoffice.Warn
) -> AsyncGenerator[Converter]:
    """A converter that works below ``folder``; its browser ends with the block."""
    async with AsyncExitStack() as stack:
        yield Converter(folder, environment, log, warn, stack)


def _is_sheet(file_type: FileType, name: str) -> bool:
    is_csv = file_type is FileType.TEXT and name.lower().endswith((".csv", ".tsv"))
    return is_csv or file_type in SPREADSHEETS


def _image_to_pdf(path: Path, target: Path) -> None:
    with pikepdf.new() as pdf:
        image_to_pages(path, pdf, max_pages=MAX_PAGES)
        pdf.save(target)


def _html_of(path: Path, file_type: FileType) -> str:
    """The HTML of an HTML or SVG file or of an e-mail. Raises the failures of other types."""
    if file_type in (FileType.HTML, FileType.SVG):
        return read_text(path)
    if file_type in (FileType.EML, FileType.MSG):
        return read_mail(path, file_type).to_html()
    if file_type is FileType.UNKNOWN:
        raise failures.invalid_document("a readable document")
    raise failures.unsupported("This type of file")


def unpack(path: Path, folder: Path) -> Iterator[tuple[Path, str]]:
    """The files of a ZIP in its own order, each as a path in ``folder`` and its plain name.

    Nothing is written to the path that an entry names, links and folders are left out, and the
    sizes that count are those of the unpacked files. Raises the failures ``too_large``,
    ``unsupported`` and ``password_needed``.
    """
    with zipfile.ZipFile(path) as archive:
        bytes_left = MAX_UNPACKED_BYTES
        for number, entry in enumerate(_files_in(archive)):
            target = folder / f"entry-{number}"
            bytes_left -= _unpack_one(archive, entry, target, bytes_left)
            if sniff(target) is FileType.ZIP:
                raise failures.unsupported("A ZIP file inside a ZIP file", "Unpack it first.")
            yield target, PurePosixPath(entry.filename.replace("\\", "/")).name


def _files_in(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The files of a ZIP. Raises the failure ``too_large`` for too many entries or bytes."""
    if len(archive.infolist()) > MAX_ENTRIES:
        raise failures.too_large("The ZIP file", f"{MAX_ENTRIES} entries")
    files = [entry for entry in archive.infolist() if _is_file(entry)]
    # The sizes that the ZIP declares suffice to refuse it before anything is written.
    if sum(entry.file_size for entry in files) > MAX_UNPACKED_BYTES:
        raise unpacked_too_large("The unpacked ZIP file")
    return files


def _unpack_one(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, max_bytes: int
) -> int:
    """Unpack one file and return its size."""
    if entry.flag_bits & _ENCRYPTED:
        raise failures.password_needed()
    try:
        return _copy_out(archive, entry, target, max_bytes)
    except (NotImplementedError, RuntimeError):
        raise failures.unsupported("The compression method of this ZIP file") from None


def _copy_out(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, max_bytes: int
) -> int:
    size = 0
    with archive.open(entry) as packed, target.open("xb") as file:
        while chunk := packed.read(CHUNK):
            size += len(chunk)
            if size > max_bytes:
                raise unpacked_too_large("The unpacked ZIP file")
            file.write(chunk)
    return size


def _is_file(entry: zipfile.ZipInfo) -> bool:
    """Whether it is an ordinary file: not a folder, a link, a hidden file or a shadow of macOS."""
    mode = entry.external_attr >> 16
    if entry.is_dir() or (stat.S_IFMT(mode) and not stat.S_ISREG(mode)):
        return False
    path = PurePosixPath(entry.filename.replace("\\", "/"))
    return "__MACOSX" not in path.parts and not path.name.startswith(".") and bool(path.name)
