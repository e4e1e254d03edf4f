"""More documents made to break who reads them: pictures, texts, mails, office files, archives and
PDFs.

``MORE_BOMBS`` lists each with the name that its file gets and the kind that takes it.
"""

from __future__ import annotations

import base64
import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

import more_pdf_bombs as pdfs
from archive_bombs import docx, zip_of
from document_bombs import packed
from office_baits import text_document

MEGABYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Bomb:
    """One hostile document."""

    make: Callable[[], bytes]
    #: What its file is called.
    name: str
    #: The kind of job that takes it.
    kind: str


# --- Pictures -------------------------------------------------------------------------------------


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _png(width: int, height: int, data: bytes, chunks: bytes = b"") -> bytes:
    """A grey PNG of 8 bits with these chunks before its pixels."""
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = _chunk(b"IHDR", head) + chunks + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def png_of_gigapixels() -> bytes:
    """60,000 by 60,000 pixels of one grey."""
    return _png(60_000, 60_000, packed(3601, b"\0" * 1_000_000))


def png_at_the_limit() -> bytes:
    """Just under a hundred megapixels, all of one grey."""
    return _png(9_900, 10_000, packed(100, b"\0" * 990_100))


def png_of_a_huge_text() -> bytes:
    """One pixel, and a compressed text of a gigabyte."""
    text = b"Comment\0\0" + packed(1024, b" " * MEGABYTE)
    return _png(1, 1, zlib.compress(b"\0\0"), _chunk(b"zTXt", text))


def png_of_a_huge_profile() -> bytes:
    """One pixel, and a color profile of a gigabyte."""
    profile = b"profile\0\0" + packed(1024, b"\0" * MEGABYTE)
    return _png(1, 1, zlib.compress(b"\0\0"), _chunk(b"iCCP", profile))


def png_of_many_frames() -> bytes:
    """An animated PNG of 50,000 frames of one pixel."""
    control = _chunk(b"acTL", struct.pack(">II", 50_000, 0))
    frame = struct.pack(">IIIIHHBB", 1, 1, 0, 0, 1, 1, 0, 0)
    data = zlib.compress(b"\0\0")
    first = control + _chunk(b"fcTL", struct.pack(">I", 0) + frame)
    start = _png(1, 1, data, first)[:-12]
    frames: list[bytes] = []
    for number in range(1, 50_000):
        frames.append(_chunk(b"fcTL", struct.pack(">I", 2 * number - 1) + frame))
        frames.append(_chunk(b"fdAT", struct.pack(">I", 2 * number) + data))
    return start + b"".join(frames) + _chunk(b"IEND", b"")


def gif_of_many_frames() -> bytes:
    """A GIF of 100,000 frames of one pixel."""
    head = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(6)
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return head + frame * 100_000 + b";"


def gif_of_a_huge_screen() -> bytes:
    """A GIF whose screen is 65,535 by 65,535 pixels and whose frame is one."""
    head = b"GIF89a" + struct.pack("<HHBBB", 65_535, 65_535, 0x80, 0, 0) + bytes(6)
    return head + b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00;"


def _tiff_entry(tag: int, kind: int, count: int, value: int) -> bytes:
    return struct.pack("<HHII", tag, kind, count, value)


def _tiff(
    width: int, height: int, compression: int, strips: tuple[int, int, int], pages: int = 1
) -> bytes:
    """A grey TIFF of equal pages; ``strips`` is how many, where the list begins, where their sizes
    are.
    """
    out = [struct.pack("<2sHI", b"II", 42, 16) + bytes(8)]
    count, offsets, sizes = strips
    size = 2 + 9 * 12 + 4
    for number in range(pages):
        entries = [
            _tiff_entry(256, 4, 1, width),
            _tiff_entry(257, 4, 1, height),
            _tiff_entry(258, 3, 1, 8),
            _tiff_entry(259, 3, 1, compression),
            _tiff_entry(262, 3, 1, 1),
            _tiff_entry(273, 4, count, offsets),
            _tiff_entry(277, 3, 1, 1),
            _tiff_entry(278, 4, 1, height),
            _tiff_entry(279, 4, count, sizes),
        ]
        following = 16 + size * (number + 1) if number + 1 < pages else 0
        out.append(struct.pack("<H", 9) + b"".join(entries) + struct.pack("<I", following))
    return b"".join(out)


def tiff_of_many_pages() -> bytes:
    """A TIFF of 50,000 pages of one pixel."""
    return _tiff(1, 1, 1, (1, 8, 1), pages=50_000)


def tiff_of_many_strips() -> bytes:
    """A TIFF of one pixel that promises four thousand million strips."""
    return _tiff(1, 1, 1, (0xFFFFFFFF, 8, 8))


def tiff_in_a_circle() -> bytes:
    """A TIFF whose page is followed by itself."""
    content = _tiff(1, 1, 1, (1, 8, 1))
    return content[:-4] + struct.pack("<I", 16)


def tiff_of_lying_lzw() -> bytes:
    """A TIFF of 9,000 by 9,000 pixels whose one strip of LZW is three bytes."""
    return _tiff(9_000, 9_000, 5, (1, 8, 3))


def jpeg_of_a_huge_size() -> bytes:
    """A JPEG of eight pixels that says it has 65,500 by 65,500."""
    buffer = io.BytesIO()
    Image.new("L", (8, 8), 128).save(buffer, "JPEG")
    content = bytearray(buffer.getvalue())
    place = content.index(b"\xff\xc0") + 5
    content[place : place + 4] = struct.pack(">HH", 65_500, 65_500)
    return bytes(content)


def jpeg_of_many_scans() -> bytes:
    """A progressive JPEG whose last scan comes 50,000 times."""
    buffer = io.BytesIO()
    Image.new("L", (2_000, 2_000), 128).save(buffer, "JPEG", progressive=True)
    content = buffer.getvalue()
    last = content.rindex(b"\xff\xda")
    return content[:last] + content[last:-2] * 50_000 + content[-2:]


def webp_of_the_largest_size() -> bytes:
    """A WebP of 16,383 by 16,383 pixels of one color, without loss."""
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, "WEBP", lossless=True)
    content = bytearray(buffer.getvalue())
    # After the signature byte come fourteen bits of width and fourteen of height, each one less.
    place = content.index(b"VP8L") + 9
    bits = int.from_bytes(content[place : place + 4], "little") >> 28 << 28
    content[place : place + 4] = (bits | 16_382 | 16_382 << 14).to_bytes(4, "little")
    return bytes(content)


def webp_of_many_frames() -> bytes:
    """An animated WebP of 2,000 frames of 64 by 64 pixels."""
    frames = [Image.new("L", (64, 64), number % 256) for number in range(2_000)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "WEBP", save_all=True, append_images=frames[1:], method=0, lossless=True)
    return buffer.getvalue()


def bmp_of_a_lying_size() -> bytes:
    """A BMP of no pixels that says it has two thousand million by two thousand million."""
    head = struct.pack("<IiiHHIIiiII", 40, 0x7FFFFFFF, 0x7FFFFFFF, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + head


def bmp_of_runs() -> bytes:
    """A BMP of 9,900 by 10,000 pixels in runs, of which only one is there."""
    head = struct.pack("<IiiHHIIiiII", 40, 9_900, 10_000, 1, 8, 1, 4, 0, 0, 0, 0)
    return (
        b"BM"
        + struct.pack("<IHHI", 58 + 1024, 0, 0, 54 + 1024)
        + head
        + bytes(1024)
        + b"\xff\0\0\1"
    )


def icon_of_many_pictures() -> bytes:
    """An icon of 65,535 pictures, all of them the same PNG of 60,000 by 60,000 pixels."""
    picture = _png(60_000, 60_000, b"")
    start = 6 + 16 * 65_535
    entry = struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 32, len(picture), start)
    return struct.pack("<HHH", 0, 1, 65_535) + entry * 65_535 + picture


# --- Drawings -------------------------------------------------------------------------------------


def _svg(body: str, doctype: str = "") -> bytes:
    head = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f'<?xml version="1.0"?>{doctype}{head} width="300" height="99">{body}</svg>'.encode()


def svg_of_uses() -> bytes:
    """A drawing whose shape is used ten thousand million times, by ten levels of ten."""
    body = '<defs><rect id="a0" width="9" height="9"/>'
    for level in range(1, 11):
        body += f'<g id="a{level}">' + f'<use xlink:href="#a{level - 1}"/>' * 10 + "</g>"
    return _svg(body + '</defs><use xlink:href="#a10"/>')


def svg_of_a_huge_filter() -> bytes:
    """A drawing with a blur of a million pixels over an area of a million by a million."""
    blur = '<feGaussianBlur stdDeviation="1000000"/><feTurbulence numOctaves="100000" baseFrequency="9"/>'
    area = 'x="0" y="0" width="1000000" height="1000000" filterUnits="userSpaceOnUse"'
    return _svg(
        f'<filter id="f" {area}>{blur * 50}</filter><rect width="300" height="99" filter="url(#f)"/>'
    )


def svg_of_deep_groups() -> bytes:
    """A drawing of 200,000 groups, each in the next."""
    return _svg("<g>" * 200_000 + "<text>words</text>" + "</g>" * 200_000)


def svg_of_laughs() -> bytes:
    """A drawing whose XML would grow to gigabytes."""
    entities = '<!ENTITY a0 "ha">'
    for level in range(1, 11):
        entities += f'<!ENTITY a{level} "' + f"&a{level - 1};" * 10 + '">'
    return _svg("<text>&a10;</text>", f"<!DOCTYPE s [{entities}]>")


# --- HTML, text, CSV ------------------------------------------------------------------------------


def html_of_deep_blocks() -> bytes:
    """100,000 blocks, each in the next."""
    return b"<html><body>" + b"<div>" * 100_000 + b"words"


def html_of_a_million_cells() -> bytes:
    """A table of a million cells."""
    return b"<html><table>" + (b"<tr>" + b"<td>1" * 100) * 10_000


def html_of_a_huge_span() -> bytes:
    """A table of a thousand cells, each over a thousand columns and 65,534 rows."""
    return b"<html><table>" + b"<tr><td colspan=1000 rowspan=65534>1" * 1_000


def html_of_an_endless_script() -> bytes:
    """A script that never ends."""
    return b"<html><body>words<script>for (;;) { }</script>"


def html_of_a_long_line() -> bytes:
    """One word of four megabytes."""
    return b"<html><body style='font-size:9px'>" + b"w" * 4_000_000


def html_of_many_rules() -> bytes:
    """100,000 CSS rules that each match every element."""
    rules = b"".join(
        b".a%d,*:not(.b%d) *{color:red}" % (number, number) for number in range(50_000)
    )
    return b"<html><style>" + rules + b"</style><body>" + b"<p><b>words</b>" * 5_000


def html_of_a_huge_canvas() -> bytes:
    """A page of thirty million pixels height, with a gradient and a blur all over it."""
    style = b"height:30000000px;background:conic-gradient(red,blue);filter:blur(500px)"
    return b"<html><body><div style='" + style + b"'>words</div>"


def text_of_one_line() -> bytes:
    """A text that is one line of 49 MB: within the limit for texts."""
    return b"w" * (49 * MEGABYTE)


def text_of_empty_lines() -> bytes:
    """A text of 49 million empty lines."""
    return b"\n" * (49 * MEGABYTE)


def csv_of_a_long_line() -> bytes:
    """One cell of 100 MB."""
    return b"a,b\n" + b"w" * (100 * MEGABYTE)


def csv_of_many_columns() -> bytes:
    """A row of a million columns."""
    return b"1," * 1_000_000 + b"\n"


def csv_of_many_rows() -> bytes:
    """A million rows of three cells."""
    return b"1,2,3\n" * 1_000_000


def csv_of_quotes() -> bytes:
    """Forty million quotation marks, of which the first is never closed."""
    return b"a,b\n" + b'"' * 40_000_001


# --- Mails ----------------------------------------------------------------------------------------

_MAIL = b"From: a@example.com\nTo: b@example.com\nSubject: s\nMIME-Version: 1.0\n"


def mail_of_many_parts() -> bytes:
    """A mail of 100,000 parts."""
    part = b"--x\nContent-Type: text/plain\n\nwords\n"
    return _MAIL + b"Content-Type: multipart/mixed; boundary=x\n\n" + part * 100_000 + b"--x--\n"


def mail_of_messages() -> bytes:
    """A thousand mails, each in the next."""
    return (_MAIL + b"Content-Type: message/rfc822\n\n") * 1_000 + _MAIL + b"\nwords\n"


def mail_of_deep_parts() -> bytes:
    """A thousand multipart bodies, each in the next."""
    out = _MAIL
    for number in range(1_000):
        out += b"Content-Type: multipart/mixed; boundary=x%d\n\n--x%d\n" % (number, number)
    return out + b"\nwords\n"


def mail_of_a_long_header() -> bytes:
    """A mail whose subject is ten megabytes of encoded words."""
    return _MAIL.replace(b"Subject: s", b"Subject: " + b"=?utf-8?q?w?=\n " * 700_000) + b"\nwords\n"


def mail_of_many_addresses() -> bytes:
    """A mail to 300,000 groups of addresses that are never closed."""
    return _MAIL.replace(b"To: b@example.com", b"To: " + b"g:(c" * 300_000) + b"\nwords\n"


def mail_with_a_bomb() -> bytes:
    """A mail with a picture of 60,000 by 60,000 pixels attached."""
    attached = base64.encodebytes(png_of_gigapixels())
    head = b"--x\nContent-Type: image/png\nContent-Disposition: attachment; filename=a.png\n"
    start = _MAIL + b"Content-Type: multipart/mixed; boundary=x\n\n"
    return start + head + b"Content-Transfer-Encoding: base64\n\n" + attached + b"\n--x--\n"


def mail_of_soft_breaks() -> bytes:
    """A mail whose text is ten million soft line breaks of quoted-printable."""
    head = b"Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\n"
    return _MAIL + head + b"=\n" * 10_000_000


def mail_of_uuencode() -> bytes:
    """A mail whose attachment is half a million lines of uuencode that never end."""
    head = b"Content-Type: application/octet-stream\nContent-Transfer-Encoding: x-uuencode\n\n"
    return _MAIL + head + b"begin 644 a.bin\n" + (b"M" + b"`" * 60 + b"\n") * 500_000


# --- Spreadsheets ---------------------------------------------------------------------------------

_SHEETS = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_MEDIA = "application/vnd.openxmlformats-officedocument"


def _package(main: str, media: str, relations: str, parts: dict[str, bytes]) -> bytes:
    """A package of Office whose main part, with these relations, is among ``parts``."""
    folder, _, name = main.rpartition("/")
    kind = '<Default Extension="xml" ContentType="application/xml"/>'
    kind += '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    kind += f'<Override PartName="/{main}" ContentType="{_MEDIA}.{media}.main+xml"/>'
    for part in parts:
        if "/worksheets/" in part:
            kind += (
                f'<Override PartName="/{part}" ContentType="{_MEDIA}.spreadsheetml.worksheet+xml"/>'
            )
        if "/slides/" in part:
            kind += (
                f'<Override PartName="/{part}" ContentType="{_MEDIA}.presentationml.slide+xml"/>'
            )
    root = f'<Relationship Id="r" Type="{_OFFICE}/officeDocument" Target="{main}"/>'
    entries = {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">{kind}</Types>'.encode(),
        "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">{root}</Relationships>'.encode(),
        f"{folder}/_rels/{name}.rels": (
            f'<Relationships xmlns="{_PACKAGE}/relationships">{relations}</Relationships>'
        ).encode(),
    }
    return zip_of(entries | parts)


def _workbook(*sheets: bytes, shared: bytes = b"") -> bytes:
    """An Excel file of these worksheets' XML, with these shared strings."""
    named, relations = "", ""
    parts: dict[str, bytes] = {}
    for number, sheet in enumerate(sheets, 1):
        named += f'<sheet name="S{number}" sheetId="{number}" r:id="r{number}"/>'
        relations += f'<Relationship Id="r{number}" Type="{_OFFICE}/worksheet" Target="worksheets/s{number}.xml"/>'
        parts[f"xl/worksheets/s{number}.xml"] = f'<worksheet xmlns="{_SHEETS}">'.encode() + sheet
    if shared:
        relations += (
            f'<Relationship Id="s" Type="{_OFFICE}/sharedStrings" Target="sharedStrings.xml"/>'
        )
        parts["xl/sharedStrings.xml"] = shared
    book = f'<workbook xmlns="{_SHEETS}" xmlns:r="{_OFFICE}"><sheets>{named}</sheets></workbook>'
    return _package(
        "xl/workbook.xml",
        "spreadsheetml.sheet",
        relations,
        parts | {"xl/workbook.xml": book.encode()},
    )


def xlsx_of_laughs() -> bytes:
    """A workbook whose shared strings would grow to gigabytes."""
    entities = '<!ENTITY a0 "ha">'
    for level in range(1, 11):
        entities += f'<!ENTITY a{level} "' + f"&a{level - 1};" * 10 + '">'
    shared = f'<!DOCTYPE s [{entities}]><sst xmlns="{_SHEETS}"><si><t>&a10;</t></si></sst>'
    rows = b'<sheetData><row r="1"><c r="A1" t="s"><v>0</v></c></row></sheetData></worksheet>'
    return _workbook(rows, shared=shared.encode())


def xlsx_of_a_repeated_text() -> bytes:
    """A workbook whose 200,000 cells all show the same text of 32,000 characters: six gigabytes."""
    shared = f'<sst xmlns="{_SHEETS}"><si><t>{"w" * 32_000}</t></si></sst>'.encode()
    cells = b'<row><c t="s"><v>0</v></c></row>' * 200_000
    return _workbook(b"<sheetData>" + cells + b"</sheetData></worksheet>", shared=shared)


def xlsx_of_far_corners() -> bytes:
    """A worksheet with two cells: the first and the last that a sheet can have."""
    rows = b'<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
    return _workbook(
        b'<dimension ref="A1:XFD1048576"/><sheetData>' + rows + b"</sheetData></worksheet>"
    )


def xlsx_of_many_rows() -> bytes:
    """A worksheet of a million rows, each of one styled and empty cell."""
    return _workbook(
        b"<sheetData>" + b'<row><c s="0"/></row>' * 1_000_000 + b"</sheetData></worksheet>"
    )


def xlsx_of_many_sheets() -> bytes:
    """A workbook of 10,000 worksheets."""
    return _workbook(*[b"<sheetData/></worksheet>"] * 10_000)


def xlsx_of_a_few_sheets_less() -> bytes:
    """A workbook of 900 worksheets: within the limit for entries of a zip."""
    rows = b'<sheetData><row r="1"><c r="A1"><v>1</v></c></row></sheetData></worksheet>'
    return _workbook(*[rows] * 900)


def xlsx_of_merged_cells() -> bytes:
    """A worksheet with 200,000 merged areas that cover each other."""
    areas = b'<mergeCell ref="A1:XFD1048576"/>' * 200_000
    rows = b'<sheetData><row r="1"><c r="A1"><v>1</v></c></row></sheetData>'
    return _workbook(rows + b"<mergeCells>" + areas + b"</mergeCells></worksheet>")


_ODS_HEAD = (
    '<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
    'xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" '
    'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" office:version="1.3"><office:body>'
    '<office:spreadsheet><table:table table:name="S">'
)
_ODS_MANIFEST = (
    '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0" '
    'manifest:version="1.3"><manifest:file-entry manifest:full-path="/" '
    'manifest:media-type="application/vnd.oasis.opendocument.spreadsheet"/><manifest:file-entry '
    'manifest:full-path="content.xml" manifest:media-type="text/xml"/></manifest:manifest>'
)


def ods_of_repeated_cells() -> bytes:
    """A cell that is repeated in 16,384 columns and a million rows."""
    cell = '<table:table-cell office:value-type="string" table:number-columns-repeated="16384">'
    cell += "<text:p>w</text:p>"
    row = f'<table:table-row table:number-rows-repeated="1048576">{cell}</table:table-cell></table:table-row>'
    end = "</table:table></office:spreadsheet></office:body></office:document-content>"
    return zip_of(
        {
            "mimetype": b"application/vnd.oasis.opendocument.spreadsheet",
            "content.xml": (_ODS_HEAD + row + end).encode(),
            "META-INF/manifest.xml": _ODS_MANIFEST.encode(),
        }
    )


def xls_that_was_cut() -> bytes:
    """The beginning of an old Excel file whose table of sectors points to itself."""
    head = (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
        + bytes(16)
        + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6)
    )
    head += bytes(6) + struct.pack("<IIIIIIIIII", 0, 1, 0, 0, 4096, 0, 0, 0, 0, 0xFFFFFFFF)
    table = head.ljust(512, b"\0") + struct.pack("<I", 0) * 128
    return table + "Workbook".encode("utf-16-le").ljust(512, b"\0")


# --- Texts and slides of Office -------------------------------------------------------------------


def docx_of_many_paragraphs() -> bytes:
    """A letter of 200,000 paragraphs."""
    return docx(b"</w:t></w:r></w:p><w:p><w:r><w:t>words" * 200_000)


def docx_of_deep_tables() -> bytes:
    """A letter of 500 tables, each in the next."""
    opened = (
        b"</w:t></w:r></w:p>"
        + b"<w:tbl><w:tr><w:tc>" * 500
        + b"<w:p><w:r><w:t>words</w:t></w:r></w:p>"
    )
    return docx(opened + b"<w:p/></w:tc></w:tr></w:tbl>" * 500 + b"<w:p><w:r><w:t>")


def docx_of_a_huge_picture() -> bytes:
    """A letter with a picture of 60,000 by 60,000 pixels."""
    shape = (
        b"</w:t></w:r><w:r><w:pict>"
        b'<v:shape xmlns:v="urn:schemas-microsoft-com:vml" style="width:99pt;height:99pt">'
        b'<v:imagedata r:id="p" xmlns:r="'
        + _OFFICE.encode()
        + b'"/></v:shape></w:pict></w:r><w:r><w:t>'
    )
    with zipfile.ZipFile(io.BytesIO(docx(shape))) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    relation = f'<Relationship Id="p" Type="{_OFFICE}/image" Target="media/a.png"/>'
    parts["word/_rels/document.xml.rels"] = (
        f'<Relationships xmlns="{_PACKAGE}/relationships">{relation}</Relationships>'.encode()
    )
    kind = b'<Default Extension="png" ContentType="image/png"/></Types>'
    parts["[Content_Types].xml"] = parts["[Content_Types].xml"].replace(b"</Types>", kind)
    parts["word/media/a.png"] = png_of_gigapixels()
    return zip_of(parts)


def pptx_of_many_slides() -> bytes:
    """A presentation of 900 slides: within the limit for entries of a zip."""
    space = "http://schemas.openxmlformats.org/presentationml/2006/main"
    listed, relations = "", ""
    parts: dict[str, bytes] = {}
    for number in range(900):
        listed += f'<p:sldId id="{256 + number}" r:id="r{number}"/>'
        relations += (
            f'<Relationship Id="r{number}" Type="{_OFFICE}/slide" Target="slides/s{number}.xml"/>'
        )
        parts[f"ppt/slides/s{number}.xml"] = (
            f'<p:sld xmlns:p="{space}"><p:cSld><p:spTree>'
            "<p:nvGrpSpPr/><p:grpSpPr/></p:spTree></p:cSld></p:sld>"
        ).encode()
    show = (
        f'<p:presentation xmlns:p="{space}" xmlns:r="{_OFFICE}"><p:sldIdLst>{listed}</p:sldIdLst>'
    )
    parts["ppt/presentation.xml"] = (
        show + '<p:sldSz cx="9144000" cy="6858000"/></p:presentation>'
    ).encode()
    return _package("ppt/presentation.xml", "presentationml.presentation", relations, parts)


def rtf_of_deep_groups() -> bytes:
    """A Rich Text file of 100,000 groups, each in the next."""
    return rb"{\rtf1 " + b"{" * 100_000 + b"words" + b"}" * 100_000 + b"}"


def rtf_of_a_long_binary() -> bytes:
    """A Rich Text file that promises two gigabytes of binary data."""
    return rb"{\rtf1 words {\pict\pngblip\bin2147483647 " + b"w" * 1_000 + b"}}"


def odt_of_deep_lists() -> bytes:
    """A text of 5,000 lists, each in the next."""
    opened, closed = "<text:list><text:list-item>", "</text:list-item></text:list>"
    return text_document(opened * 5_000 + "<text:p>words</text:p>" + closed * 5_000)


# --- Archives -------------------------------------------------------------------------------------


def zip_of_many_entries() -> bytes:
    """A zip of 10,000 texts."""
    return zip_of({f"{number}.txt": b"words" for number in range(10_000)})


def zip_in_zips() -> bytes:
    """Twenty zips, each in the next."""
    content = b"words"
    for level in range(20):
        content = zip_of({f"{level}.zip": content})
    return content


def zip_of_equal_names() -> bytes:
    """A zip of 900 texts that all have the same name."""
    content = zip_of({f"{number:03}.txt": b"words" for number in range(900)})
    for number in range(900):
        content = content.replace(b"%03d.txt" % number, b"000.txt")
    return content


def zip_of_overlapping_entries() -> bytes:
    """A zip whose 900 entries are all the same million of blanks, and unpack to 900 MB."""
    data, crc = zlib.compress(b" " * 1_000_000, 9)[2:-4], zlib.crc32(b" " * 1_000_000)
    fields = struct.pack("<HHHHIII", 0, 8, 0, 33, crc, len(data), 1_000_000)
    local = b"PK\3\4" + struct.pack("<H", 20) + fields + struct.pack("<HH", 5, 0) + b"a.txt" + data
    central = (
        b"PK\1\2"
        + struct.pack("<HH", 20, 20)
        + fields
        + struct.pack("<HHHHHII", 5, 0, 0, 0, 0, 0, 0)
        + b"a.txt"
    )
    directory = central * 900
    end = struct.pack("<HHHHIIH", 0, 0, 900, 900, len(directory), len(local), 0)
    return local + directory + b"PK\5\6" + end


MORE_BOMBS = (
    Bomb(png_of_gigapixels, "a.png", "image.to_pdf"),
    Bomb(png_at_the_limit, "a.png", "image.to_pdf"),
    Bomb(png_of_a_huge_text, "a.png", "image.to_pdf"),
    Bomb(png_of_a_huge_profile, "a.png", "image.to_pdf"),
    Bomb(png_of_many_frames, "a.png", "image.to_pdf"),
    Bomb(gif_of_many_frames, "a.gif", "image.to_pdf"),
    Bomb(gif_of_a_huge_screen, "a.gif", "image.to_pdf"),
    Bomb(tiff_of_many_pages, "a.tif", "image.to_pdf"),
    Bomb(tiff_of_many_strips, "a.tif", "image.to_pdf"),
    Bomb(tiff_in_a_circle, "a.tif", "image.to_pdf"),
    Bomb(tiff_of_lying_lzw, "a.tif", "image.to_pdf"),
    Bomb(jpeg_of_a_huge_size, "a.jpg", "image.to_pdf"),
    Bomb(jpeg_of_many_scans, "a.jpg", "image.to_pdf"),
    Bomb(webp_of_the_largest_size, "a.webp", "image.to_pdf"),
    Bomb(webp_of_many_frames, "a.webp", "image.to_pdf"),
    Bomb(bmp_of_a_lying_size, "a.bmp", "image.to_pdf"),
    Bomb(bmp_of_runs, "a.bmp", "image.to_pdf"),
    Bomb(icon_of_many_pictures, "a.ico", "image.to_pdf"),
    Bomb(svg_of_uses, "a.svg", "document.to_pdf"),
    Bomb(svg_of_a_huge_filter, "a.svg", "document.to_pdf"),
    Bomb(svg_of_deep_groups, "a.svg", "document.to_pdf"),
    Bomb(svg_of_laughs, "a.svg", "document.to_pdf"),
    Bomb(html_of_deep_blocks, "a.html", "document.to_pdf"),
    Bomb(html_of_a_million_cells, "a.html", "document.to_pdf"),
    Bomb(html_of_a_huge_span, "a.html", "document.to_pdf"),
    Bomb(html_of_an_endless_script, "a.html", "html.to_pdf"),
    Bomb(html_of_a_long_line, "a.html", "document.to_pdf"),
    Bomb(html_of_many_rules, "a.html", "document.to_pdf"),
    Bomb(html_of_a_huge_canvas, "a.html", "document.to_pdf"),
    Bomb(text_of_one_line, "a.txt", "document.to_pdf"),
    Bomb(text_of_empty_lines, "a.txt", "document.to_pdf"),
    Bomb(csv_of_a_long_line, "a.csv", "csv.to_pdf"),
    Bomb(csv_of_many_columns, "a.csv", "csv.to_pdf"),
    Bomb(csv_of_many_rows, "a.csv", "csv.to_pdf"),
    Bomb(csv_of_quotes, "a.csv", "csv.to_pdf"),
    Bomb(mail_of_many_parts, "a.eml", "email.to_pdf"),
    Bomb(mail_of_messages, "a.eml", "email.to_pdf"),
    Bomb(mail_of_deep_parts, "a.eml", "email.to_pdf"),
    Bomb(mail_of_a_long_header, "a.eml", "email.to_pdf"),
    Bomb(mail_of_many_addresses, "a.eml", "email.to_pdf"),
    Bomb(mail_with_a_bomb, "a.eml", "email.to_pdf"),
    Bomb(mail_of_soft_breaks, "a.eml", "email.to_pdf"),
    Bomb(mail_of_uuencode, "a.eml", "email.to_pdf"),
    Bomb(xlsx_of_laughs, "a.xlsx", "excel.to_pdf"),
    Bomb(xlsx_of_a_repeated_text, "a.xlsx", "excel.to_pdf"),
    Bomb(xlsx_of_far_corners, "a.xlsx", "excel.to_pdf"),
    Bomb(xlsx_of_many_rows, "a.xlsx", "excel.to_pdf"),
    Bomb(xlsx_of_many_sheets, "a.xlsx", "excel.to_pdf"),
    Bomb(xlsx_of_a_few_sheets_less, "a.xlsx", "excel.to_pdf"),
    Bomb(xlsx_of_merged_cells, "a.xlsx", "excel.to_pdf"),
    Bomb(ods_of_repeated_cells, "a.ods", "excel.to_pdf"),
    Bomb(xls_that_was_cut, "a.xls", "excel.to_csv"),
    Bomb(docx_of_many_paragraphs, "a.docx", "document.to_pdf"),
    Bomb(docx_of_deep_tables, "a.docx", "document.to_pdf"),
    Bomb(docx_of_a_huge_picture, "a.docx", "document.to_pdf"),
    Bomb(pptx_of_many_slides, "a.pptx", "document.to_pdf"),
    Bomb(rtf_of_deep_groups, "a.rtf", "document.to_pdf"),
    Bomb(rtf_of_a_long_binary, "a.rtf", "document.to_pdf"),
    Bomb(odt_of_deep_lists, "a.odt", "document.to_pdf"),
    Bomb(zip_of_many_entries, "a.zip", "pdf.merge"),
    Bomb(zip_in_zips, "a.zip", "pdf.merge"),
    Bomb(zip_of_equal_names, "a.zip", "pdf.merge"),
    Bomb(zip_of_overlapping_entries, "a.zip", "pdf.merge"),
    Bomb(pdfs.object_streams_in_a_circle, "a.pdf", "pdf.info"),
    Bomb(pdfs.a_million_objects, "a.pdf", "pdf.merge"),
    Bomb(pdfs.cross_references_of_wide_fields, "a.pdf", "pdf.info"),
    Bomb(pdfs.predictor_of_a_huge_row, "a.pdf", "pdf.to_image"),
    Bomb(pdfs.fifty_filters, "a.pdf", "pdf.to_text"),
    Bomb(pdfs.run_lengths_of_gigabytes, "a.pdf", "pdf.to_text"),
    Bomb(pdfs.font_of_a_million_widths, "a.pdf", "pdf.to_text"),
    Bomb(pdfs.characters_of_huge_ranges, "a.pdf", "pdf.to_text"),
    Bomb(pdfs.font_that_draws_itself, "a.pdf", "pdf.to_image"),
    Bomb(pdfs.function_of_a_million_steps, "a.pdf", "pdf.to_image"),
    Bomb(pdfs.functions_in_a_circle, "a.pdf", "pdf.to_image"),
    Bomb(pdfs.sampled_function_of_many_inputs, "a.pdf", "pdf.to_image"),
    Bomb(pdfs.pattern_that_fills_itself, "a.pdf", "pdf.to_image"),
    Bomb(pdfs.pattern_of_tiny_steps, "a.pdf", "pdf.to_image"),
    Bomb(pdfs.mesh_of_a_million_patches, "a.pdf", "pdf.to_image"),
    Bomb(pdfs.annotation_of_a_huge_look, "a.pdf", "pdf.to_image"),
    Bomb(pdfs.form_of_many_fields, "a.pdf", "pdf.form_fields"),
    Bomb(pdfs.form_of_deep_fields, "a.pdf", "pdf.form_fields"),
    Bomb(pdfs.outline_of_many_entries, "a.pdf", "pdf.merge"),
    Bomb(pdfs.deep_tree_of_pages, "a.pdf", "pdf.split"),
    Bomb(pdfs.saved_states_without_end, "a.pdf", "pdf.to_image"),
    Bomb(pdfs.line_of_many_dashes, "a.pdf", "pdf.to_image"),
    Bomb(pdfs.jpeg_2000_of_gigapixels, "a.pdf", "pdf.to_image"),
)
