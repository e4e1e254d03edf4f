"""What a file is, by its first bytes and, in a ZIP, by its entries: an ending proves nothing."""

from __future__ import annotations

import re
import zipfile
from enum import StrEnum
from pathlib import Path

HEAD = 4096


class FileType(StrEnum):
    """The kinds of file that document jobs know."""

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
    (b"BM", FileType.BMP),
)
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
    """What the file is. Reads its beginning, and the list of entries of a ZIP or OLE container."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    if b"%PDF-" in head[:1024]:
        return FileType.PDF
    for magic, found in _MAGIC:
        if head.startswith(magic) and not (found is FileType.BMP and len(head) < 26):
            return found
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return FileType.WEBP
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _in_zip(path)
    if head.startswith(_OLE):
        return _in_ole(path)
    return _in_text(head)


def _in_zip(path: Path) -> FileType:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            if "mimetype" in names and archive.getinfo("mimetype").file_size < 200:
                found = _OPENDOCUMENT.get(archive.read("mimetype").strip())
                if found is not None:
                    return found
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError, ValueError, EOFError):
        return FileType.UNKNOWN
    if "[Content_Types].xml" in names:
        if "xl/workbook.bin" in names:
            return FileType.XLSB
        for folder, found in (
            ("word/", FileType.DOCX),
            ("xl/", FileType.XLSX),
            ("ppt/", FileType.PPTX),
        ):
            if any(name.startswith(folder) for name in names):
                return found
    return FileType.ZIP


def _in_ole(path: Path) -> FileType:
    """The stream names of an OLE container are UTF-16 in its directory: looking
    for them is enough.
    """
    with path.open("rb") as file:
        content = file.read(64 << 20)
    for stream, found in _OLE_STREAMS:
        if stream.encode("utf-16-le") in content:
            return found
    return FileType.UNKNOWN


def _in_text(head: bytes) -> FileType:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return FileType.TEXT
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    lowered = start[:1024].lower()
    if lowered.startswith((b"<!doctype html", b"<html")) or (
        b"<html" in lowered and start[:1] == b"<"
    ):
        return FileType.HTML
    if b"<svg" in lowered and start[:1] == b"<":
        return FileType.SVG
    if lowered.startswith(b"<?xml"):
        return FileType.XML
    if _is_mail(start):
        return FileType.EML
    if b"\0" in head or not head.strip():
        return FileType.UNKNOWN
    return FileType.TEXT


def _is_mail(head: bytes) -> bool:
    """Whether it begins with header fields, of which at least two are a mail's own."""
    found: set[bytes] = set()
    for line in head.splitlines():
        if not line.strip():
            break
        if line[:1] in b" \t":
            continue
        if not _HEADER_LINE.fullmatch(line):
            break
        found.add(line.partition(b":")[0].lower())
    return len(found & _MAIL_HEADERS) >= 2
