"""Takes out of an office file what leads out of it: pictures, templates, data that are elsewhere.

LibreOffice would fetch what a file names and show it. It may open nothing but its own folder and
has no network (``guard.sandbox``); this is the second line, and lets the job's owner know. Links
that a reader clicks on stay. Old binary files (doc, xls, ppt) are left as they are.
"""

from __future__ import annotations

import importlib
import io
import re
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from checkback.kinds.documents.files.sniff import FileType
from checkback.kinds.documents.office.rtf_links import clean_rtf

etree: Any = importlib.import_module("lxml.etree")
"""A package without types."""

WARNING = "links_removed"

MAX_DEPTH = 3
"""Documents inside of documents that are looked into."""
_MAX_PART_BYTES = 256 << 20
_CHUNK = 1 << 20

_XML = re.compile(rb"\.(xml|rels|vml|svg|rdf|xsl|html?|xhtml)$", re.IGNORECASE)
_CANDIDATES = re.compile(
    rb"href|\bsrc|Target|instr|url\(|@import|file:|WEBSERVICE|\bdde|DDE|-source|xml-stylesheet|<!DOCTYPE|'[/\\]"
)
#: Elements whose address is only followed when a reader clicks on it.
_CLICKED = {"a", "hyperlink", "hlinkclick", "hlinkhover", "hlinkmouseover"}
#: Elements whose address is always one of another file.
_TAKEN_IN = {"section-source", "table-source", "cell-range-source", "data-source"}
_ADDRESSES = {"href", "src", "data", "archive", "object", "codebase", "filename", "sourcefilename"}
_FIELDS = re.compile(
    r"\b(INCLUDEPICTURE|INCLUDETEXT|INCLUDE|IMPORT|LINK|DDE|DDEAUTO|DATABASE|RD)\b", re.I
)
_FORMULAS = re.compile(
    r"WEBSERVICE|DDE\s*\(|\b(file|https?|ftps?|smb|dav|vnd\.\w+):|'\s*[/\\]", re.I
)
_STYLE_URL = re.compile(r"url\(\s*(?!['\"]?\s*#)[^)]*\)|@import[^;]*;?", re.I)
_SCHEME = re.compile(r"\s*[A-Za-z][A-Za-z0-9+.-]*:")
_INSIDE = re.compile(r"\s*data:(?!\s*image/svg)(?!\s*text/)(?!\s*application/)", re.I)
_RELATIONS_CLICKED = ("/hyperlink", "/hlinkClick")


def clean_office(source: Path, target: Path, file_type: FileType) -> int:
    """Write the file to ``target`` without what leads out of it; returns how many links were taken
    out.

    A file that is not what it should be is written as it is: LibreOffice says what it thinks of it.
    """
    if file_type is FileType.RTF:
        content, removed = clean_rtf(source.read_bytes())
        target.write_bytes(content)
        return removed
    removed = 0
    try:
        if zipfile.is_zipfile(source):
            removed = _clean_zip(source, target, 0)
    except (
        zipfile.BadZipFile,
        NotImplementedError,
        RuntimeError,
        ValueError,
        EOFError,
        OSError,
        MemoryError,
    ):
        removed = 0
    if not removed:
        shutil.copyfile(source, target)
    return removed


def _clean_zip(source: Path | io.BytesIO, target: Path | io.BytesIO, depth: int) -> int:
    """Write the archive with its parts cleaned; nothing is written where there was nothing to
    clean.
    """
    with zipfile.ZipFile(source) as archive:
        changed: dict[int, bytes] = {}
        removed = 0
        for number, entry in enumerate(archive.infolist()):
            if entry.is_dir() or entry.file_size > _MAX_PART_BYTES:
                continue
            content, count = _clean_part(archive, entry, depth)
            if count:
                changed[number] = content
                removed += count
        if not removed:
            return 0
        with zipfile.ZipFile(target, "w") as written:
            for number, entry in enumerate(archive.infolist()):
                # Nobody keeps it: packing it again would only take time.
                plain = zipfile.ZipInfo(entry.filename, entry.date_time)
                with written.open(plain, "w", force_zip64=entry.file_size > 1 << 30) as writing:
                    if number in changed:
                        writing.write(changed[number])
                        continue
                    with archive.open(entry) as reading:
                        while chunk := reading.read(_CHUNK):
                            writing.write(chunk)
    return removed


def _clean_part(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, depth: int) -> tuple[bytes, int]:
    """A part of the archive, cleaned by what it is, and how much was taken out."""
    with archive.open(entry) as file:
        head = file.read(4096)
        if head.startswith(b"PK\x03\x04"):
            if depth >= MAX_DEPTH:
                return b"", 0
            inner = io.BytesIO()
            removed = _clean_zip(io.BytesIO(head + file.read()), inner, depth + 1)
            return inner.getvalue(), removed
        if head.startswith(b"{\\rtf"):
            return clean_rtf(head + file.read())
        if not (
            _XML.search(entry.filename.encode())
            or head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")
        ):
            wide = head.startswith((b"\xff\xfe", b"\xfe\xff", b"<\0", b"\0<"))
            if not wide:
                return b"", 0
        content = head + file.read()
    is_utf8 = b"\0" not in content[:64] and not re.search(
        rb"encoding\s*=\s*['\"](?!utf-8)", head, re.I
    )
    if is_utf8 and not _CANDIDATES.search(content):
        return content, 0
    return clean_xml(content)


def clean_xml(content: bytes) -> tuple[bytes, int]:
    """A part in XML or HTML without what leads out of it, and how much that was."""
    parser = etree.XMLParser(
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=True,
        remove_comments=False,
    )
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError):
        return _clean_html(content)
    removed = _clean_fields(root)
    for element in list(root.iter()):
        removed += _clean_element(element)
    if not removed:
        return content, 0
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True), removed


_TAGGED = re.compile(
    rb"(?i)(<[^>]*?\s)(?:src|href|data|background|srcset|poster)\s*=\s*(\"[^\"]*\"|'[^']*'|[^\s>]+)"
)


def _clean_html(content: bytes) -> tuple[bytes, int]:
    """What is no XML may be HTML, as in a part that Word takes in whole."""
    if b"<html" not in content[:4096].lower() and b"<img" not in content.lower():
        return content, 0
    return _TAGGED.subn(rb"\1", content)


def _clean_element(element: Any) -> int:
    if not isinstance(element.tag, str):
        if element.tag is etree.ProcessingInstruction and element.target == "xml-stylesheet":
            parent = element.getparent()
            if parent is not None:
                parent.remove(element)
                return 1
        return 0
    name = _local(element.tag)
    if name == "relationship":
        return _clean_relation(element)
    removed = 0
    if name not in _CLICKED:
        for key, value in list(element.attrib.items()):
            short = _local(key)
            if (short in _ADDRESSES and (name in _TAKEN_IN or not _is_inside(value))) or (
                short == "formula" and _FORMULAS.search(value)
            ):
                del element.attrib[key]
                removed += 1
            elif short == "style" and _STYLE_URL.search(value):
                element.set(key, _STYLE_URL.sub("none", value))
                removed += 1
    removed += _clean_by_name(element, name)
    return removed


def _clean_by_name(element: Any, name: str) -> int:
    """Elements that lead out by what they are."""
    text = element.text or ""
    if name == "style" and _STYLE_URL.search(text):
        element.text = _STYLE_URL.sub("none", text)
        return 1
    if name in ("f", "definedname", "formula") and _FORMULAS.search(text):
        element.text = ""
        return 1
    if name in ("dde-source", "dde-connection-decl", "dde-link", "altchunk", "websourceref"):
        parent = element.getparent()
        if parent is not None:
            parent.remove(element)
            return 1
    return 0


def _clean_relation(element: Any) -> int:
    kind = element.get("Type", "")
    outside = element.get("TargetMode", "").lower() == "external" or _leads_out(
        element.get("Target", "")
    )
    if kind.endswith(_RELATIONS_CLICKED) or not outside:
        return 0
    element.getparent().remove(element)
    return 1


def _leads_out(target: str) -> bool:
    """Whether the target of a relation is no part of the package; those may begin with a slash."""
    return bool(_SCHEME.match(target)) or target.startswith(("//", "\\"))


def _is_inside(address: str) -> bool:
    """Whether an address names a part of the file itself."""
    plain = unquote(address).strip()
    if not plain or plain.startswith("#") or _INSIDE.match(plain):
        return True
    if _SCHEME.match(plain) or plain.startswith(("/", "\\")):
        return False
    return ".." not in re.split(r"[/\\]", plain)


def _clean_fields(root: Any) -> int:
    """Fields of Word that take something in. The words of one may be spread over many elements."""
    removed = 0
    for simple in root.iter("{*}fldSimple"):
        for key, value in list(simple.attrib.items()):
            if _local(key) == "instr" and _FIELDS.search(value):
                simple.set(key, "")
                removed += 1
    for words in _instructions(root):
        if _FIELDS.search("".join(word.text or "" for word in words)):
            for word in words:
                word.text = ""
            removed += 1
    return removed


def _instructions(root: Any) -> Iterator[list[Any]]:
    """The elements that together are the words of one field, for each field."""
    words: list[Any] = []
    for element in root.iter("{*}instrText", "{*}fldChar"):
        if _local(element.tag) == "instrtext":
            words.append(element)
        elif words:
            yield words
            words = []
    if words:
        yield words


def _local(name: str) -> str:
    return name.rpartition("}")[2].lower()
