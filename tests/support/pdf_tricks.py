"""PDFs that lead their reader in a circle, ask it to unpack too much, or ask it to do something."""

from __future__ import annotations

import io

import pikepdf
from reportlab.pdfgen.canvas import Canvas

from document_bombs import A4, packed, page_objects, pdf_of, stream

WORDS = "words of the page"
_DRAWN = b"BT /F 12 Tf 10 10 Td (" + WORDS.encode() + b") Tj ET"


def _lzw_of_blanks(megabytes: int) -> bytes:
    """How LZW says one byte very often: each code stands for one more of it
    than the code before.
    """
    bits = ""
    for _ in range(8):  # eight times, and the bits are whole bytes
        bits += f"{256:09b}{32:09b}"
        for code in range(258, 4094):
            length = 9 if code < 511 else 10 if code < 1023 else 11 if code < 2047 else 12
            bits += f"{code:0{length}b}"
        bits += f"{256:012b}"
    said = 8 * sum(code - 256 for code in range(257, 4094))
    return int(bits, 2).to_bytes(len(bits) // 8, "big") * (megabytes * 1_000_000 // said + 1)


def lzw_of_a_gigabyte() -> bytes:
    """A gigabyte of blanks by LZW, as a page's content."""
    return pdf_of(page_objects(A4, _lzw_of_blanks(1000), entries=b"/Filter/LZWDecode"))


def _segment(number: int, kind: int, data: bytes) -> bytes:
    return number.to_bytes(4, "big") + bytes((kind, 0, 1)) + len(data).to_bytes(4, "big") + data


def jbig2_of_four_gigapixels() -> bytes:
    """A picture of 65,000 by 65,000 dots, in a hundred bytes of JBIG2."""
    side = (65_000).to_bytes(4, "big")
    page = _segment(0, 48, side + side + bytes(8) + bytes(3))
    # A generic region over all of it: its place, how it is coded, four pixels that the coder looks
    # at.
    region = (
        side
        + side
        + bytes(8)
        + b"\0"
        + b"\0"
        + bytes((3, 255, 253, 255, 2, 254, 254, 254))
        + bytes(16)
    )
    entries = (
        b"/Type/XObject/Subtype/Image/Width 65000/Height 65000/BitsPerComponent 1/ColorSpace/DeviceGray"
        b"/Filter/JBIG2Decode"
    )
    objects = page_objects(A4, b"q 500 0 0 500 0 0 cm /I Do Q", b"<</XObject<</I 6 0 R>>>>")
    return pdf_of([*objects, stream(page + _segment(1, 38, region), entries)])


def xmp_of_laughs() -> bytes:
    """Metadata whose XML would grow to gigabytes."""
    entities = b'<!ENTITY a0 "ha">' + b"".join(
        b'<!ENTITY a%d "%s">' % (level, b"&a%d;" % (level - 1) * 10) for level in range(1, 11)
    )
    xmp = (
        b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><!DOCTYPE x [' + entities + b"]>"
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>&a10;</dc:title>'
        b'</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    )
    objects = page_objects(A4, _DRAWN)
    objects[0] = b"<</Type/Catalog/Pages 2 0 R/Metadata 6 0 R>>"
    return pdf_of([*objects, stream(xmp, b"/Type/Metadata/Subtype/XML")])


def cross_references_in_a_circle() -> bytes:
    """A table of objects that names itself as the one before it."""
    plain = pdf_of(page_objects(A4, _DRAWN))
    start = plain.rindex(b"\nxref\n") + 1
    return plain.replace(b"trailer<<", b"trailer<</Prev %d" % start)


def outline_in_a_circle() -> bytes:
    """Bookmarks of which the second is followed by the first, which is also its own child."""
    objects = page_objects(A4, _DRAWN)
    objects[0] = b"<</Type/Catalog/Pages 2 0 R/Outlines 6 0 R>>"
    entry = b"<</Title(x)/Parent 6 0 R/Dest[3 0 R/Fit]/Next %d 0 R/First 7 0 R/Last 8 0 R/Count 2>>"
    top = b"<</Type/Outlines/First 7 0 R/Last 8 0 R/Count 2>>"
    return pdf_of([*objects, top, entry % 8, entry % 7])


def pages_in_a_circle() -> bytes:
    """A tree of pages that hangs on itself."""
    objects = page_objects(A4, _DRAWN)
    objects[1] = b"<</Type/Pages/Kids[2 0 R 3 0 R]/Count 2/Parent 2 0 R>>"
    return pdf_of(objects)


def attachments_in_a_circle() -> bytes:
    """A tree of attached files that hangs on itself."""
    objects = page_objects(A4, _DRAWN)
    objects[0] = b"<</Type/Catalog/Pages 2 0 R/Names<</EmbeddedFiles 6 0 R>>>>"
    return pdf_of([*objects, b"<</Kids[6 0 R 6 0 R]/Limits[(a)(z)]>>"])


def fields_in_a_circle() -> bytes:
    """A form whose field is its own child."""
    objects = page_objects(A4, _DRAWN)
    objects[0] = b"<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[6 0 R]>>>>"
    return pdf_of([*objects, b"<</FT/Tx/T(a)/Parent 6 0 R/Kids[6 0 R]>>"])


def does_something(path: str) -> bytes:
    """Asks its reader, when it is opened and shown, to run scripts and a program that writes a
    file.
    """
    script = b"<</S/JavaScript/JS(app.launchURL\\('file:///etc/passwd'\\);while\\(1\\){})>>"
    launch = b"<</S/Launch/F(/bin/sh)/Unix<</F(/bin/sh)/P(-c 'touch " + path.encode() + b"')>>>>"
    objects = page_objects(A4, _DRAWN)
    objects[0] = (
        b"<</Type/Catalog/Pages 2 0 R/OpenAction 6 0 R/AA<</WC 7 0 R>>"
        b"/Names<</JavaScript<</Names[(a)6 0 R]>>>>>>"
    )
    objects[2] = objects[2].replace(b"/Type/Page/", b"/Type/Page/AA<</O 7 0 R/C 6 0 R>>/")
    return pdf_of([*objects, script[:-2] + b"/Next 7 0 R>>", launch])


def _plain() -> io.BytesIO:
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(595, 842))
    canvas.drawString(72, 700, WORDS)
    canvas.save()
    return buffer


def with_attachments(names: list[str], content: bytes = b"attached") -> bytes:
    """Carries a file of each name."""
    buffer = io.BytesIO()
    with pikepdf.open(_plain()) as pdf:
        for number, name in enumerate(names):
            file = pikepdf.AttachedFileSpec(pdf, content, filename=name)
            pdf.attachments[f"{number:05}"] = file
        pdf.save(buffer)
    return buffer.getvalue()


def attachment_of_a_gigabyte() -> bytes:
    """Carries one file of more than a gigabyte of blanks."""
    objects = page_objects(A4, _DRAWN)
    objects[0] = b"<</Type/Catalog/Pages 2 0 R/Names<</EmbeddedFiles<</Names[(a)6 0 R]>>>>>>"
    file = stream(packed(1100, b" " * (1 << 20)), b"/Type/EmbeddedFile/Filter/FlateDecode")
    return pdf_of([*objects, b"<</Type/Filespec/F(a.txt)/UF(a.txt)/EF<</F 7 0 R>>>>", file])


def locked(password: str) -> bytes:
    """Opens with a password only."""
    buffer = io.BytesIO()
    with pikepdf.open(_plain()) as pdf:
        pdf.save(buffer, encryption=pikepdf.Encryption(owner="owner", user=password))
    return buffer.getvalue()
