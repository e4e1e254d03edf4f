"""PDFs made to break who reads them: a few hundred bytes that ask for gigabytes or hours."""

from __future__ import annotations

import zlib

A4 = b"[0 0 595 842]"
_FONT = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"


def pdf_of(objects: list[bytes]) -> bytes:
    """A PDF of these objects; the first is its catalog."""
    # Bytes would be copied whole for each of a million objects.
    out = bytearray(b"%PDF-1.7\n")
    offsets: list[int] = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    start, size = len(out), len(objects) + 1
    out += b"xref\n0 %d\n0000000000 65535 f \n" % size + b"".join(
        b"%010d 00000 n \n" % o for o in offsets
    )
    return bytes(out) + b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (size, start)


def stream(data: bytes, entries: bytes = b"") -> bytes:
    """An object with bytes of its own."""
    return b"<<" + entries + b"/Length %d>>stream\n" % len(data) + data + b"\nendstream"


def packed(count: int, unit: bytes) -> bytes:
    """The same bytes many times over, deflated, without ever having them all."""
    packer = zlib.compressobj(9, wbits=-15)
    # After a full flush nothing of what came before is remembered: each unit is packed into the
    # same bytes.
    one = packer.compress(unit) + packer.flush(zlib.Z_FULL_FLUSH)
    checksum = 1
    for _ in range(count):
        checksum = zlib.adler32(unit, checksum)
    return b"\x78\xda" + one * count + packer.flush() + checksum.to_bytes(4, "big")


def page_objects(
    box: bytes, content: bytes, resources: bytes = b"<</Font<</F 5 0 R>>>>", entries: bytes = b""
) -> list[bytes]:
    """The objects of a PDF of one page: catalog, pages, page, content, font."""
    return [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox"
        + box
        + b"/Contents 4 0 R/Resources"
        + resources
        + b">>",
        stream(content, entries),
        _FONT,
    ]


def _form(content: bytes, resources: bytes) -> bytes:
    return stream(content, b"/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources" + resources)


def draws_itself() -> bytes:
    """A form that draws itself, twice."""
    objects = page_objects(A4, b"/X Do", b"<</XObject<</X 6 0 R>>>>")
    return pdf_of([*objects, _form(b"/X Do /X Do", b"<</XObject<</X 6 0 R>>>>")])


def doubles_thirty_times() -> bytes:
    """Thirty forms, each drawing the next one twice."""
    objects = page_objects(A4, b"/X Do", b"<</XObject<</X 6 0 R>>>>")
    for level in range(30):
        inner = b"/X Do /X Do" if level < 29 else b"0 0 1 1 re f"
        objects.append(_form(inner, b"<</XObject<</X %d 0 R>>>>" % (7 + level)))
    return pdf_of(objects)


def deflated_twice() -> bytes:
    """A gigabyte of blanks, deflated twice, as a page's content."""
    content = zlib.compress(packed(1024, b" " * (1 << 20)), 9)
    return pdf_of(page_objects(A4, content, entries=b"/Filter[/FlateDecode/FlateDecode]"))


def millions_of_texts() -> bytes:
    """2,500,000 drawings of two words; of a million a quick machine finds the tables in 10 s."""
    content = packed(100, b"BT /F 12 Tf 10 10 Td (hello world) Tj ET\n" * 25_000)
    return pdf_of(page_objects(A4, content, entries=b"/Filter/FlateDecode"))


def huge_page() -> bytes:
    """A page of seventy metres by seventy."""
    return pdf_of(page_objects(b"[0 0 200000 200000]", b"BT /F 12 Tf 10 10 Td (hi) Tj ET"))


def nested_arrays() -> bytes:
    """Two hundred thousand arrays, each in the next."""
    return pdf_of([*page_objects(A4, b"BT ET"), b"[" * 200_000 + b"]" * 200_000])


def many_pages() -> bytes:
    """One page, listed two hundred thousand times."""
    objects = page_objects(A4, b"BT /F 12 Tf 10 10 Td (p) Tj ET")
    objects[1] = b"<</Type/Pages/Count 200000/Kids[" + b"3 0 R " * 200_000 + b"]>>"
    return pdf_of(objects)


def huge_image() -> bytes:
    """Thirty thousand by thirty thousand pixels of one grey."""
    entries = (
        b"/Type/XObject/Subtype/Image/Width 30000/Height 30000/BitsPerComponent 8/ColorSpace/DeviceGray"
        b"/Filter/FlateDecode"
    )
    objects = page_objects(A4, b"q 500 0 0 500 0 0 cm /I Do Q", b"<</XObject<</I 6 0 R>>>>")
    return pdf_of([*objects, stream(packed(900, b"\0" * 10**6), entries)])
