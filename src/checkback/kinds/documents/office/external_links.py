"""Removes from an office file what refers to other files and addresses: images, templates, data.

LibreOffice would load what a file refers to, and show it. It can open only its own folder and has
no network (``security.sandbox``); this is a second line of defense, and lets the job's owner know.
Links that a reader clicks on stay. Old binary files (doc, xls, ppt) are left unchanged.
"""

from __future__ import annotations

import importlib
import io
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote

from checkback.kinds.documents.files.sniff import FileType
from checkback.kinds.documents.office.rtf_links import clean_rtf

etree: Any = importlib.import_module("lxml.etree")
"""lxml has no type hints."""

WARNING = "links_removed"

MAX_DEPTH = 3
"""How deep documents inside of documents are cleaned."""
_MAX_PART_BYTES = 256 << 20
_CHUNK = 1 << 20

_XML = re.compile(rb"\.(xml|rels|vml|svg|rdf|xsl|html?|xhtml)$", re.IGNORECASE)
_CANDIDATES = re.compile(
    rb"href|\bsrc|Target|instr|url\(|@import|file:|WEBSERVICE|\bdde|DDE|-source|xml-stylesheet|<!DOCTYPE|'[/\\]"
)
#: Elements whose address is followed only when a reader clicks on it.
_CLICKED = {"a", "hyperlink", "hlinkclick", "hlinkhover", "hlinkmouseover"}
#: Elements whose address is always that of another file.
_INCLUDING = {"section-source", "table-source", "cell-range-source", "data-source"}
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
_REMOVED = {"dde-source", "dde-connection-decl", "dde-link", "altchunk", "websourceref"}
_OTHER_ENCODING = re.compile(rb"encoding\s*=\s*['\"](?!utf-8)", re.I)
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
    ValueError,
    EOFError,
    OSError,
    MemoryError,
)


def clean_office(source: Path, target: Path, file_type: FileType) -> int:
    """Write the file to ``target`` without its external references; returns how many were removed.

    A file that is damaged or of another type is copied unchanged: LibreOffice will report it.
    """
    if file_type is FileType.RTF:
        return _clean_rtf_file(source, target)
    removed = _clean_archive(source, target)
    if not removed:
        shutil.copyfile(source, target)
    return removed


def _clean_rtf_file(source: Path, target: Path) -> int:
    content, removed = clean_rtf(source.read_bytes())
    target.write_bytes(content)
    return removed


def _clean_archive(source: Path, target: Path) -> int:
    """How many references were removed; 0 for a damaged file, which may be written in part."""
    with suppress(*_ZIP_ERRORS):
        if zipfile.is_zipfile(source):
            return _clean_zip(source, target, 0)
    return 0


def _clean_zip(source: Path | io.BytesIO, target: Path | io.BytesIO, depth: int) -> int:
    """Write the archive with its parts cleaned. Nothing is written if nothing is removed."""
    with zipfile.ZipFile(source) as archive:
        changed, removed = _clean_parts(archive, depth)
        if removed:
            _write_zip(archive, changed, target)
    return removed


def _clean_parts(archive: zipfile.ZipFile, depth: int) -> tuple[dict[int, bytes], int]:
    """The parts that change, by their number, and how many references were removed."""
    changed: dict[int, bytes] = {}
    removed = 0
    for number, entry in enumerate(archive.infolist()):
        content, count = _clean_entry(archive, entry, depth)
        if count:
            changed[number] = content
            removed += count
    return changed, removed


def _clean_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, depth: int) -> tuple[bytes, int]:
    """As ``_clean_part``. Folders and very large parts stay as they are."""
    if entry.is_dir() or entry.file_size > _MAX_PART_BYTES:
        return b"", 0
    return _clean_part(archive, entry, depth)


def _write_zip(
    archive: zipfile.ZipFile, changed: dict[int, bytes], target: Path | io.BytesIO
) -> None:
    """Write the archive with some of its entries changed, uncompressed.

    The file is deleted after the conversion: compressing it again would only take time.
    """
    with zipfile.ZipFile(target, "w") as written:
        for number, entry in enumerate(archive.infolist()):
            with _content_of(archive, entry, changed.get(number)) as content:
                _store(written, entry, content)


def _content_of(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, changed: bytes | None
) -> IO[bytes]:
    return archive.open(entry) if changed is None else io.BytesIO(changed)


def _store(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, content: IO[bytes]) -> None:
    """Write an entry without compression."""
    uncompressed = zipfile.ZipInfo(entry.filename, entry.date_time)
    is_huge = entry.file_size > 1 << 30
    with archive.open(uncompressed, "w", force_zip64=is_huge) as writing:
        shutil.copyfileobj(content, writing, _CHUNK)


def _clean_part(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, depth: int) -> tuple[bytes, int]:
    """A part of the archive, cleaned by its type, and how many references were removed."""
    with archive.open(entry) as file:
        head = file.read(4096)
        if head.startswith(b"PK\x03\x04"):
            return _clean_inner_zip(head, file, depth)
        if head.startswith(b"{\\rtf"):
            return clean_rtf(head + file.read())
        if not _may_be_xml(entry.filename, head):
            return b"", 0
        return _clean_markup(head + file.read())


def _clean_inner_zip(head: bytes, rest: IO[bytes], depth: int) -> tuple[bytes, int]:
    """A document inside of the document."""
    if depth >= MAX_DEPTH:
        return b"", 0
    inner = io.BytesIO()
    removed = _clean_zip(io.BytesIO(head + rest.read()), inner, depth + 1)
    return inner.getvalue(), removed


def _clean_markup(content: bytes) -> tuple[bytes, int]:
    """A part in XML or HTML. It is parsed only if it may have references."""
    if _is_utf8(content[:4096]) and not _CANDIDATES.search(content):
        return content, 0
    return clean_xml(content)


def _may_be_xml(name: str, head: bytes) -> bool:
    if _XML.search(name.encode()):
        return True
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return True
    return head.startswith((b"\xff\xfe", b"\xfe\xff", b"<\0", b"\0<"))  # UTF-16


def _is_utf8(head: bytes) -> bool:
    return b"\0" not in head[:64] and not _OTHER_ENCODING.search(head)


def clean_xml(content: bytes) -> tuple[bytes, int]:
    """A part in XML or HTML without external references, and how many were removed."""
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
    """A part that is not XML may be HTML, as in a chunk that Word includes as a whole."""
    if b"<html" not in content[:4096].lower() and b"<img" not in content.lower():
        return content, 0
    return _TAGGED.subn(rb"\1", content)


def _clean_element(element: Any) -> int:
    """Remove the external references of one element; returns how many there were."""
    if not isinstance(element.tag, str):
        return _clean_instruction(element)
    name = _local(element.tag)
    if name == "relationship":
        return _clean_relation(element)
    return _clean_attributes(element, name) + _clean_by_name(element, name)


def _clean_attributes(element: Any, name: str) -> int:
    if name in _CLICKED:
        return 0
    attributes = list(element.attrib.items())
    return sum(_clean_attribute(element, name, key, value) for key, value in attributes)


def _clean_instruction(element: Any) -> int:
    if element.tag is etree.ProcessingInstruction and element.target == "xml-stylesheet":
        return _remove(element)
    return 0


def _clean_attribute(element: Any, name: str, key: str, value: str) -> int:
    short = _local(key)
    if _is_external(name, short, value):
        del element.attrib[key]
        return 1
    if short == "style" and _STYLE_URL.search(value):
        element.set(key, _STYLE_URL.sub("none", value))
        return 1
    return 0


def _is_external(element_name: str, attribute: str, value: str) -> bool:
    """Whether the attribute refers to something outside of the file."""
    if attribute in _ADDRESSES and (element_name in _INCLUDING or not _is_inside(value)):
        return True
    return attribute == "formula" and _FORMULAS.search(value) is not None


def _clean_by_name(element: Any, name: str) -> int:
    """Remove the external references of elements that are references by their name."""
    clean = _CLEANERS.get(name)
    return clean(element) if clean is not None else 0


def _clean_style(element: Any) -> int:
    text = element.text or ""
    if not _STYLE_URL.search(text):
        return 0
    element.text = _STYLE_URL.sub("none", text)
    return 1


def _clean_formula(element: Any) -> int:
    if not _FORMULAS.search(element.text or ""):
        return 0
    element.text = ""
    return 1


def _remove(element: Any) -> int:
    parent = element.getparent()
    if parent is None:
        return 0
    parent.remove(element)
    return 1


_CLEANERS: dict[str, Callable[[Any], int]] = {
    "style": _clean_style,
    "f": _clean_formula,
    "definedname": _clean_formula,
    "formula": _clean_formula,
    **dict.fromkeys(_REMOVED, _remove),
}


def _clean_relation(element: Any) -> int:
    return _remove(element) if _is_followed(element) else 0


def _is_followed(relation: Any) -> bool:
    """Whether a relation leads out of the package, and not only when a reader clicks on it."""
    is_external = relation.get("TargetMode", "").lower() == "external"
    if not is_external and not _leads_out(relation.get("Target", "")):
        return False
    return not relation.get("Type", "").endswith(_RELATIONS_CLICKED)


def _leads_out(target: str) -> bool:
    """Whether the target of a relation is outside of the package. Targets inside of it may begin
    with one slash.
    """
    return bool(_SCHEME.match(target)) or target.startswith(("//", "\\"))


def _is_inside(address: str) -> bool:
    """Whether an address refers to a part of the file itself."""
    plain = unquote(address).strip()
    if not plain or plain.startswith("#") or _INSIDE.match(plain):
        return True
    if _SCHEME.match(plain) or plain.startswith(("/", "\\")):
        return False
    return ".." not in re.split(r"[/\\]", plain)


def _clean_fields(root: Any) -> int:
    """Clear the fields of Word that include external content; returns how many there were."""
    return _clean_simple_fields(root) + _clean_complex_fields(root)


def _clean_simple_fields(root: Any) -> int:
    """Fields whose instruction is an attribute."""
    return sum(map(_clean_simple_field, root.iter("{*}fldSimple")))


def _clean_simple_field(field: Any) -> int:
    attributes = list(field.attrib.items())
    keys = [key for key, value in attributes if _local(key) == "instr" and _FIELDS.search(value)]
    for key in keys:
        field.set(key, "")
    return len(keys)


def _clean_complex_fields(root: Any) -> int:
    """Fields whose instruction is the text of several elements."""
    removed = 0
    for elements in _instructions(root):
        if _FIELDS.search("".join(element.text or "" for element in elements)):
            _clear(elements)
            removed += 1
    return removed


def _clear(elements: list[Any]) -> None:
    for element in elements:
        element.text = ""


def _instructions(root: Any) -> Iterator[list[Any]]:
    """For each field, the elements over which the text of its instruction is spread."""
    elements = root.iter("{*}instrText", "{*}fldChar")
    for is_instruction, group in groupby(elements, key=_is_instruction):
        if is_instruction:
            yield list(group)


def _is_instruction(element: Any) -> bool:
    return _local(element.tag) == "instrtext"


def _local(name: str) -> str:
    return name.rpartition("}")[2].lower()
