"""Any file that a document job may be given, as a PDF: for merging, and for
attachments of mails.
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


class Converter:
    """Makes PDFs of files of all kinds, without a network. Made by ``converter``.

    A browser is started with the first file that needs one, and ends with the converter.
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

    async def to_pdf(
        self, path: Path, name: str, *, autosize: bool = False, password: str = ""
    ) -> Path:
        """The path of a PDF of this file; of the file itself when it is one.

        ``name`` only tells a CSV file from other texts. Raises the failures of the converters, and
        unsupported for what nothing here can show.
        """
        file_type = sniff(path)
        folder = Path(mkdtemp(prefix="part-", dir=self._folder))
        target = folder / "part.pdf"
        if file_type is FileType.PDF:
            return path
        if file_type in IMAGES:
            with pikepdf.new() as pdf:
                image_to_pages(path, pdf, max_pages=MAX_PAGES)
                pdf.save(target)
            return target
        if file_type is FileType.ENCRYPTED_OFFICE:
            raise failures.password_needed()
        if file_type in SPREADSHEETS or (
            file_type is FileType.TEXT and name.lower().endswith((".csv", ".tsv"))
        ):
            return sheet_to_pdf(
                path, folder, autosize=autosize, max_pages=MAX_PAGES, log=self._log, warn=self._warn
            )
        if file_type in libreoffice.OFFICE:
            return libreoffice.office_to_pdf(path, file_type, folder, warn=self._warn)
        if file_type in (FileType.TEXT, FileType.XML):
            text_to_pdf(read_text(path), target, max_pages=MAX_PAGES)
            return target
        if file_type in (FileType.HTML, FileType.SVG):
            target.write_bytes(await self.print_html(read_text(path), PrintOptions()))
            return target
        if file_type in (FileType.EML, FileType.MSG):
            mail = read_mail(path, file_type)
            target.write_bytes(await self.print_html(mail.to_html(), PrintOptions()))
            return target
        if file_type is FileType.UNKNOWN:
            raise failures.invalid_document("document")
        raise failures.unsupported("This kind of file")

    async def print_html(self, html: str, options: PrintOptions) -> bytes:
        """The PDF of HTML, with nothing loaded and no script run."""
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


def unpack(path: Path, folder: Path) -> Iterator[tuple[Path, str]]:
    """The files of a ZIP in its own order, each as a path in ``folder`` and its plain name.

    Nothing is written where an entry's name says, links and folders are left out, and the sizes
    that count are those that come out. Raises the failures too_large, unsupported and
    password_needed.
    """
    with zipfile.ZipFile(path) as archive:
        entries = [entry for entry in archive.infolist() if _is_file(entry)]
        if len(archive.infolist()) > MAX_ENTRIES:
            raise failures.too_large("The ZIP file", f"{MAX_ENTRIES} entries")
        if sum(entry.file_size for entry in entries) > MAX_UNPACKED_BYTES:
            # Its own word is enough; nothing of it is written.
            raise unpacked_too_large("The unpacked ZIP file")
        left = MAX_UNPACKED_BYTES
        for number, entry in enumerate(entries):
            if entry.flag_bits & 1:
                raise failures.password_needed()
            target = folder / f"entry-{number}"
            try:
                left -= _unpack_one(archive, entry, target, left)
            except (NotImplementedError, RuntimeError):
                raise failures.unsupported("A way in which this ZIP file is packed") from None
            if sniff(target) is FileType.ZIP:
                raise failures.unsupported("A ZIP file inside a ZIP file", "Unpack it first.")
            yield target, PurePosixPath(entry.filename.replace("\\", "/")).name


def _unpack_one(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, most: int) -> int:
    size = 0
    with archive.open(entry) as packed, target.open("xb") as file:
        while chunk := packed.read(CHUNK):
            size += len(chunk)
            if size > most:
                raise unpacked_too_large("The unpacked ZIP file")
            file.write(chunk)
    return size


def _is_file(entry: zipfile.ZipInfo) -> bool:
    """Whether it is a file that somebody put there: no folder, no link, none of macOS's shadows."""
    mode = entry.external_attr >> 16
    if entry.is_dir() or (mode and not stat.S_ISREG(mode) and stat.S_IFMT(mode) != 0):
        return False
    path = PurePosixPath(entry.filename.replace("\\", "/"))
    return "__MACOSX" not in path.parts and not path.name.startswith(".") and bool(path.name)
