"""Determines the type of a file by its first bytes, and of a ZIP by its entries, not by its
name.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable
from enum import StrEnum
from itertools import filterfalse, takewhile
from pathlib import Path

HEAD = 4096


class FileType(StrEnum):
    """The file types that document jobs distinguish."""

    PDF = "pdf"
    DOCX = "docx"
    XLSX = "xlsx"
    XLSB = "xlsb"
    PPTX = "pptx"
    ODT = "odt"
    ODS = "ods"
    ODP = "odp"
    #: An old Word, Excel or PowerPoint file.
    DOC = "doc"
    XLS = "xls"
    PPT = "ppt"
    #: An Office file inside an encrypted container.
    ENCRYPTED_OFFICE = "encrypted_office"
    MSG = "msg"
    RTF = "rtf"
    EML = "eml"
    HTML = "html"
    SVG = "svg"
    XML = "xml"
    TEXT = "text"
    JPEG = "jpeg"
    PNG = "png"
    GIF = "gif"
    TIFF = "tiff"
    WEBP = "webp"
    BMP = "bmp"
    ZIP = "zip"
    UNKNOWN = "unknown"


IMAGES = frozenset(
    {FileType.JPEG, FileType.PNG, FileType.GIF, FileType.TIFF, FileType.WEBP, FileType.BMP}
)
SPREADSHEETS = frozenset({FileType.XLSX, FileType.XLSB, FileType.XLS, FileType.ODS})

_BEGINNINGS = (
    (re.compile(rb".{0,1019}%PDF-", re.DOTALL), FileType.PDF),
    (re.compile(rb"\{\\rtf"), FileType.RTF),
    (re.compile(rb"\xff\xd8\xff"), FileType.JPEG),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), FileType.PNG),
    (re.compile(rb"GIF8[79]a"), FileType.GIF),
    (re.compile(rb"II\*\0|MM\0\*"), FileType.TIFF),
    (re.compile(rb"BM.{24}", re.DOTALL), FileType.BMP),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), FileType.WEBP),
)
"""How the files of each type begin. A PDF may have other bytes before its header."""
_MARKUP = (
    (re.compile(rb"<!doctype html|<.*<html|<html", re.DOTALL), FileType.HTML),
    (re.compile(rb"<.*<svg|<svg", re.DOTALL), FileType.SVG),
    (re.compile(rb"<\?xml"), FileType.XML),
)
"""How texts of each type begin, in lower case."""
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OLE_STREAMS = (
    ("__properties_version1.0", FileType.MSG),
    ("EncryptedPackage", FileType.ENCRYPTED_OFFICE),
    ("WordDocument", FileType.DOC),
    ("Workbook", FileType.XLS),
    ("Book", FileType.XLS),
    ("PowerPoint Document", FileType.PPT),
)
_OPENDOCUMENT = {
    b"application/vnd.oasis.opendocument.text": FileType.ODT,
    b"application/vnd.oasis.opendocument.spreadsheet": FileType.ODS,
    b"application/vnd.oasis.opendocument.presentation": FileType.ODP,
}
_OFFICE_FOLDERS = (
    ("word/", FileType.DOCX),
    ("xl/", FileType.XLSX),
    ("ppt/", FileType.PPTX),
)
"""The folder of the document in each Office format."""
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_HEADER_LINE = re.compile(rb"[A-Za-z][A-Za-z0-9-]*:[ \t]?.*")
_CONTINUED_LINE = re.compile(rb"[ \t].*\S", re.DOTALL)
_MAIL_HEADERS = frozenset(
    {
        b"from",
        b"to",
        b"subject",
        b"date",
        b"received",
        b"message-id",
        b"mime-version",
        b"return-path",
    }
)


def sniff(path: Path) -> FileType:
    """The type of the file. Reads its beginning, and the directory of a ZIP or OLE container."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    return _by_beginning(_BEGINNINGS, head) or _in_container(path, head) or _in_text(head)


def _by_beginning(
    types: Iterable[tuple[re.Pattern[bytes], FileType]], content: bytes
) -> FileType | None:
    """The first type whose files begin like this content."""
    for beginning, file_type in types:
        if beginning.match(content):
            return file_type
    return None


def _in_container(path: Path, head: bytes) -> FileType | None:
    """The type of a ZIP or OLE container; None for any other file."""
    if head.startswith(_ZIP):
        return _in_zip(path)
    if head.startswith(_OLE):
        return _in_ole(path)
    return None


def _in_zip(path: Path) -> FileType:
    try:
        with zipfile.ZipFile(path) as archive:
            return _by_entries(archive)
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError, ValueError, EOFError):
        return FileType.UNKNOWN


def _by_entries(archive: zipfile.ZipFile) -> FileType:
    names = set(archive.namelist())
    open_document = _open_document_type(archive, names)
    if open_document is not None:
        return open_document
    return _office_type(names) if "[Content_Types].xml" in names else FileType.ZIP


def _office_type(names: set[str]) -> FileType:
    if "xl/workbook.bin" in names:
        return FileType.XLSB
    for folder, file_type in _OFFICE_FOLDERS:
        if any(name.startswith(folder) for name in names):
            return file_type
    return FileType.ZIP


def _open_document_type(archive: zipfile.ZipFile, names: set[str]) -> FileType | None:
    if "mimetype" not in names or archive.getinfo("mimetype").file_size >= 200:
        return None
    return _OPENDOCUMENT.get(archive.read("mimetype").strip())


def _in_ole(path: Path) -> FileType:
    """The type of an OLE container: its directory has the names of its streams in UTF-16."""
    with path.open("rb") as file:
        content = file.read(64 << 20)
    for stream, file_type in _OLE_STREAMS:
        if stream.encode("utf-16-le") in content:
            return file_type
    return FileType.UNKNOWN


def _in_text(head: bytes) -> FileType:
    if head.startswith(_UTF_16):
        return FileType.TEXT
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    markup = _by_beginning(_MARKUP, start[:1024].lower())
    return markup or _without_markup(head, start)


def _without_markup(head: bytes, start: bytes) -> FileType:
    """A mail or another text; unknown if it is binary or blank."""
    if _is_mail(start):
        return FileType.EML
    if b"\0" in head or not head.strip():
        return FileType.UNKNOWN
    return FileType.TEXT


def _is_mail(head: bytes) -> bool:
    """Whether the text begins with header fields, of which at least two are those of e-mails."""
    lines = filterfalse(_CONTINUED_LINE.match, head.splitlines())
    header = takewhile(_HEADER_LINE.fullmatch, lines)
    fields = {line.partition(b":")[0].lower() for line in header}
    return len(fields & _MAIL_HEADERS) >= 2
