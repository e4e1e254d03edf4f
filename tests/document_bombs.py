"""Documents made to break who reads them: a few hundred bytes that ask for gigabytes or hours."""

from __future__ import annotations

import io
import zipfile
import zlib

A4 = b"[0 0 595 842]"
_FONT = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"


def _pdf(objects: list[bytes]) -> bytes:
    out = b"%PDF-1.7\n"
    offsets: list[int] = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    start, size = len(out), len(objects) + 1
    out += b"xref\n0 %d\n0000000000 65535 f \n" % size + b"".join(b"%010d 00000 n \n" % o for o in offsets)
    return out + b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (size, start)


def _stream(data: bytes, entries: bytes = b"") -> bytes:
    return b"<<" + entries + b"/Length %d>>stream\n" % len(data) + data + b"\nendstream"


def _repeat(count: int, unit: bytes) -> bytes:
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(unit) for _ in range(count)) + packer.flush()


def _page(
    box: bytes, content: bytes, resources: bytes = b"<</Font<</F 5 0 R>>>>", entries: bytes = b""
) -> list[bytes]:
    return [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox" + box + b"/Contents 4 0 R/Resources" + resources + b">>",
        _stream(content, entries),
        _FONT,
    ]


def _form(content: bytes, resources: bytes) -> bytes:
    return _stream(content, b"/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources" + resources)


def draws_itself() -> bytes:
    """A form that draws itself, twice."""
    objects = _page(A4, b"/X Do", b"<</XObject<</X 6 0 R>>>>")
    return _pdf([*objects, _form(b"/X Do /X Do", b"<</XObject<</X 6 0 R>>>>")])


def doubles_thirty_times() -> bytes:
    """Thirty forms, each drawing the next one twice."""
    objects = _page(A4, b"/X Do", b"<</XObject<</X 6 0 R>>>>")
    for level in range(30):
        inner = b"/X Do /X Do" if level < 29 else b"0 0 1 1 re f"
        objects.append(_form(inner, b"<</XObject<</X %d 0 R>>>>" % (7 + level)))
    return _pdf(objects)


def deflated_twice() -> bytes:
    """A gigabyte of blanks, deflated twice, as a page's content."""
    content = zlib.compress(_repeat(1024, b" " * (1 << 20)), 9)
    return _pdf(_page(A4, content, entries=b"/Filter[/FlateDecode/FlateDecode]"))


def million_texts() -> bytes:
    """A million drawings of two words."""
    content = _repeat(40, b"BT /F 12 Tf 10 10 Td (hello world) Tj ET\n" * 25_000)
    return _pdf(_page(A4, content, entries=b"/Filter/FlateDecode"))


def huge_page() -> bytes:
    """A page of seventy metres by seventy."""
    return _pdf(_page(b"[0 0 200000 200000]", b"BT /F 12 Tf 10 10 Td (hi) Tj ET"))


def nested_arrays() -> bytes:
    """Two hundred thousand arrays, each in the next."""
    return _pdf([*_page(A4, b"BT ET"), b"[" * 200_000 + b"]" * 200_000])


def many_pages() -> bytes:
    """One page, listed two hundred thousand times."""
    objects = _page(A4, b"BT /F 12 Tf 10 10 Td (p) Tj ET")
    objects[1] = b"<</Type/Pages/Count 200000/Kids[" + b"3 0 R " * 200_000 + b"]>>"
    return _pdf(objects)


def huge_image() -> bytes:
    """Thirty thousand by thirty thousand pixels of one grey."""
    entries = (
        b"/Type/XObject/Subtype/Image/Width 30000/Height 30000/BitsPerComponent 8/ColorSpace/DeviceGray"
        b"/Filter/FlateDecode"
    )
    objects = _page(A4, b"q 500 0 0 500 0 0 cm /I Do Q", b"<</XObject<</I 6 0 R>>>>")
    return _pdf([*objects, _stream(_repeat(900, b"\0" * 10**6), entries)])


def _zip(entries: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def zip_of_gigabytes() -> bytes:
    """A zip whose one entry is more than a gigabyte of zeros."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.pdf", "w", force_zip64=True) as file,
    ):
        file.write(b"%PDF-1.7\n")
        for _ in range(20):
            file.write(b"\0" * (64 << 20))
    return buffer.getvalue()


def zip_that_climbs() -> bytes:
    """A zip with entries that name files outside of it."""
    return _zip({"../../outside.pdf": b"%PDF-1.7", "/etc/cron.d/x.pdf": b"%PDF-1.7"})


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


def docx(body: bytes, doctype: bytes = b"") -> bytes:
    """A Word file with this in its first paragraph."""
    document = (
        b'<?xml version="1.0"?>' + doctype + b'<w:document xmlns:w="http://schemas.openxmlformats.org/'
        b'wordprocessingml/2006/main"><w:body><w:p><w:r><w:t>'
        + body
        + b"</w:t></w:r></w:p></w:body></w:document>"
    )
    return _zip({"[Content_Types].xml": _TYPES, "_rels/.rels": _RELATIONS, "word/document.xml": document})


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
        b'<draw:frame><draw:image xlink:href="' + url.encode() + b'"/></draw:frame></text:p></office:text>'
        b"</office:body></office:document>"
    )


def rtf_with_picture(url: str) -> bytes:
    """A Rich Text file with a picture from elsewhere."""
    return rb"{\rtf1 words {\field{\*\fldinst INCLUDEPICTURE \"" + url.encode() + rb"\" \\d}}\par}"
