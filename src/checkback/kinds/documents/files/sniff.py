"""Determines the type of a file by its first bytes, and of a ZIP by its entries, not by its
name.
"""

from __future__ import annotations

import re
import zipfile
from enum import StrEnum
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

_MAGIC = (
    (b"{\\rtf", FileType.RTF),
    (b"\xff\xd8\xff", FileType.JPEG),
    (b"\x89PNG\r\n\x1a\n", FileType.PNG),
    (b"GIF87a", FileType.GIF),
    (b"GIF89a", FileType.GIF),
    (b"II*\0", FileType.TIFF),
    (b"MM\0*", FileType.TIFF),
)
_MIN_BMP_BYTES = 26
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
_HEADER_LINE = re.compile(rb"[A-Za-z][A-Za-z0-9-]*:[ \t]?.*")
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
    if b"%PDF-" in head[:1024]:
        return FileType.PDF
    image_or_rtf = _by_magic(head)
    if image_or_rtf is not None:
        return image_or_rtf
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _in_zip(path)
    if head.startswith(_OLE):
        return _in_ole(path)
    return _in_text(head)


def _by_magic(head: bytes) -> FileType | None:
    for magic, file_type in _MAGIC:
        if head.startswith(magic):
            return file_type
    if head.startswith(b"BM") and len(head) >= _MIN_BMP_BYTES:
        return FileType.BMP
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return FileType.WEBP
    return None


def _in_zip(path: Path) -> FileType:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            open_document = _open_document_type(archive, names)
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError, ValueError, EOFError):
        return FileType.UNKNOWN
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
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return FileType.TEXT
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    markup = _markup_type(start[:1024].lower())
    if markup is not None:
        return markup
    if _is_mail(start):
        return FileType.EML
    if b"\0" in head or not head.strip():
        return FileType.UNKNOWN
    return FileType.TEXT


def _markup_type(start: bytes) -> FileType | None:
    """HTML, SVG or other XML, by the beginning of a text in lower case."""
    if start.startswith((b"<!doctype html", b"<html")):
        return FileType.HTML
    if start.startswith(b"<") and b"<html" in start:
        return FileType.HTML
    if start.startswith(b"<") and b"<svg" in start:
        return FileType.SVG
    return FileType.XML if start.startswith(b"<?xml") else None


def _is_mail(head: bytes) -> bool:
    """Whether the text begins with header fields, of which at least two are those of e-mails."""
    fields: set[bytes] = set()
    for line in head.splitlines():
        is_continued = line[:1] in b" \t"
        if line.strip() and is_continued:
            continue
        if not _HEADER_LINE.fullmatch(line):
            break
        fields.add(line.partition(b":")[0].lower())
    return len(fields & _MAIL_HEADERS) >= 2
