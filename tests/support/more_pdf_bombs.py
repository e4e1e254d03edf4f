"""More PDFs made to break who reads them: filters, functions, shadings, fonts,
forms and objects.
"""

from __future__ import annotations

import zlib

from document_bombs import A4, packed, page_objects, pdf_of, stream

MEGABYTE = 1 << 20
_WORDS = b"BT /F 12 Tf 10 10 Td (words) Tj ET"


def _with(content: bytes, resources: bytes, *objects: bytes) -> bytes:
    """A PDF of one page with these resources; the objects after it begin with number 6."""
    return pdf_of([*page_objects(A4, content, resources), *objects])


def object_streams_in_a_circle() -> bytes:
    """A hundred streams of objects, each kept in the next, and the last in the first."""
    out = b"%PDF-1.7\n"
    for number in range(3, 103):
        following = number + 1 if number < 102 else 3
        inside = b"%d 0 " % following
        entries = b"/Type/ObjStm/N 1/First %d/Extends %d 0 R" % (len(inside), following)
        out += (
            b"%d 0 obj\n" % number + stream(inside + b"<</Type/Catalog>>", entries) + b"\nendobj\n"
        )
    rows = b"".join(b"\2" + (4 + number % 99).to_bytes(4, "big") + b"\0" for number in range(103))
    start = len(out)
    entries = b"/Type/XRef/Size 103/W[1 4 1]/Root 1 0 R"
    return (
        out + b"103 0 obj\n" + stream(rows, entries) + b"\nendobj\nstartxref\n%d\n%%%%EOF" % start
    )


def a_million_objects() -> bytes:
    """A million objects that nothing names."""
    return pdf_of([*page_objects(A4, _WORDS), *[b"<</A[1 2 3]>>"] * 1_000_000])


def cross_references_of_wide_fields() -> bytes:
    """A stream of cross references whose fields are two thousand million bytes wide."""
    out = b"%PDF-1.7\n"
    entries = b"/Type/XRef/Size 2147483647/W[2147483647 2147483647 2147483647]/Index[0 2147483647]/Root 1 0 R"
    return (
        out
        + b"1 0 obj\n"
        + stream(b"\1" * 100, entries)
        + b"\nendobj\nstartxref\n%d\n%%%%EOF" % len(out)
    )


def predictor_of_a_huge_row() -> bytes:
    """A picture of a few bytes whose predictor has rows of two thousand million columns."""
    entries = (
        b"/Type/XObject/Subtype/Image/Width 9/Height 9/BitsPerComponent 8/ColorSpace/DeviceGray"
        b"/Filter/FlateDecode/DecodeParms<</Predictor 15/Columns 2147483647/Colors 32/BitsPerComponent 16>>"
    )
    return _with(b"/I Do", b"<</XObject<</I 6 0 R>>>>", stream(zlib.compress(bytes(99)), entries))


def fifty_filters() -> bytes:
    """A page's content by fifty filters, in turn of hexadecimal digits and deflation."""
    content = _WORDS
    for _ in range(12):
        content = zlib.compress(content.hex().encode() + b">", 9)
    # The rest are filters that nothing was put through.
    filters = b"/ASCIIHexDecode" * 26 + b"/FlateDecode/ASCIIHexDecode" * 12
    return pdf_of(
        page_objects(A4, content.hex().encode() + b">", entries=b"/Filter[" + filters + b"]")
    )


def run_lengths_of_gigabytes() -> bytes:
    """A page's content of gigabytes by run lengths that are deflated."""
    content = packed(64, b"\x81 " * (MEGABYTE // 2))
    entries = b"/Filter[/FlateDecode/RunLengthDecode/RunLengthDecode]"
    return pdf_of(page_objects(A4, content, entries=entries))


def font_of_a_million_widths() -> bytes:
    """A font with a million widths."""
    font = b"<</Type/Font/Subtype/TrueType/BaseFont/A/FirstChar 0/LastChar 1000000/Widths["
    return _with(
        b"BT /G 12 Tf 10 10 Td (words) Tj ET",
        b"<</Font<</G 6 0 R>>>>",
        font + b"9 " * 1_000_000 + b"]>>",
    )


def characters_of_huge_ranges() -> bytes:
    """A font whose table of characters has 100,000 ranges of all four thousand million codes."""
    table = b"/CIDInit /ProcSet findresource begin begincmap\n"
    table += b"1 begincodespacerange <0000> <FFFF> endcodespacerange\n"
    table += (
        b"100 beginbfrange\n"
        + b"<00000000> <FFFFFFFF> <0041>\n" * 100_000
        + b"endbfrange endcmap end"
    )
    font = (
        b"<</Type/Font/Subtype/Type0/BaseFont/A/Encoding/Identity-H/ToUnicode 7 0 R/DescendantFonts["
        b"<</Type/Font/Subtype/CIDFontType2/BaseFont/A/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)"
        b"/Supplement 0>>/W[0 2147483647 9]>>]>>"
    )
    return _with(
        b"BT /G 12 Tf 10 10 Td <00410042> Tj ET", b"<</Font<</G 6 0 R>>>>", font, stream(table)
    )


def font_that_draws_itself() -> bytes:
    """A font whose letter is drawn by that letter, a hundred times."""
    font = (
        b"<</Type/Font/Subtype/Type3/FontBBox[0 0 9 9]/FontMatrix[1 0 0 1 0 0]/CharProcs<</a 7 0 R>>"
        b"/Encoding<</Differences[97/a]>>/FirstChar 97/LastChar 97/Widths[9]/Resources<</Font<</G 6 0 R>>>>>>"
    )
    letter = stream(b"9 0 d0 " + b"BT /G 1 Tf (aaaaaaaaaa) Tj ET " * 10)
    return _with(b"BT /G 12 Tf 10 10 Td (a) Tj ET", b"<</Font<</G 6 0 R>>>>", font, letter)


def function_of_a_million_steps() -> bytes:
    """A shading whose function computes a million steps for each of its points."""
    steps = (
        b"{"
        + b"{" * 30
        + b"dup mul sqrt " * 300_000
        + b"}" * 30
        + b" dup dup 1000000 -999999 roll}"
    )
    shading = b"<</ShadingType 1/ColorSpace/DeviceRGB/Domain[0 999 0 999]/Function 7 0 R>>"
    function = stream(steps, b"/FunctionType 4/Domain[0 999 0 999]/Range[0 1 0 1 0 1]")
    return _with(b"/S sh", b"<</Shading<</S 6 0 R>>>>", shading, function)


def functions_in_a_circle() -> bytes:
    """A shading whose function stitches itself together, twice."""
    shading = b"<</ShadingType 2/ColorSpace/DeviceGray/Coords[0 0 500 500]/Function 7 0 R>>"
    function = b"<</FunctionType 3/Domain[0 1]/Bounds[0.5]/Encode[0 1 0 1]/Functions[7 0 R 7 0 R]>>"
    return _with(b"/S sh", b"<</Shading<</S 6 0 R>>>>", shading, function)


def sampled_function_of_many_inputs() -> bytes:
    """A shading whose function has thirty-two inputs of two thousand million samples each."""
    shading = b"<</ShadingType 1/ColorSpace/DeviceGray/Function 7 0 R>>"
    size = b"2147483647 " * 32
    entries = (
        b"/FunctionType 0/BitsPerSample 32/Range[0 1]/Domain["
        + b"0 1 " * 32
        + b"]/Size["
        + size
        + b"]"
    )
    return _with(b"/S sh", b"<</Shading<</S 6 0 R>>>>", shading, stream(bytes(99), entries))


def pattern_that_fills_itself() -> bytes:
    """A pattern whose tile is filled with that pattern."""
    entries = b"/PatternType 1/PaintType 1/TilingType 1/BBox[0 0 9 9]/XStep 9/YStep 9"
    tile = stream(
        b"/Pattern cs /P scn 0 0 9 9 re f", entries + b"/Resources<</Pattern<</P 6 0 R>>>>"
    )
    return _with(b"/Pattern cs /P scn 0 0 595 842 re f", b"<</Pattern<</P 6 0 R>>>>", tile)


def pattern_of_tiny_steps() -> bytes:
    """A pattern whose tiles are a hundred points wide and a millionth of one apart."""
    entries = (
        b"/PatternType 1/PaintType 1/TilingType 1/BBox[0 0 100 100]/XStep 0.000001/YStep 0.000001"
    )
    tile = stream(b"0 0 50 50 re f", entries + b"/Resources<<>>")
    return _with(b"/Pattern cs /P scn 0 0 595 842 re f", b"<</Pattern<</P 6 0 R>>>>", tile)


def mesh_of_a_million_patches() -> bytes:
    """A shading of a million triangles that each cover the page."""
    entries = (
        b"/ShadingType 4/ColorSpace/DeviceGray/BitsPerCoordinate 8/BitsPerComponent 8/BitsPerFlag 8"
        b"/Decode[0 600 0 900 0 1]/Filter/FlateDecode"
    )
    triangle = b"\0\0\0\0" + b"\0\xff\0\x80" + b"\0\0\xff\xff"
    return _with(
        b"/S sh", b"<</Shading<</S 6 0 R>>>>", stream(packed(100, triangle * 10_000), entries)
    )


def _with_annotations(count: int, annotation: bytes, form: bytes = b"") -> list[bytes]:
    """The objects of a page that has these annotations, all alike."""
    objects = page_objects(A4, _WORDS)
    numbers = b"".join(b"%d 0 R " % number for number in range(7, 7 + count))
    objects[0] = objects[0][:-2] + form.replace(b"NUMBERS", numbers) + b">>"
    objects[2] = objects[2][:-2] + b"/Annots[" + numbers + b"]>>"
    look = stream(b"0 0 9 9 re f", b"/Type/XObject/Subtype/Form/BBox[0 0 999999999 999999999]")
    return [*objects, look, *[annotation] * count]


def annotation_of_a_huge_look() -> bytes:
    """A thousand notes whose pictures are a thousand million points wide."""
    note = b"<</Type/Annot/Subtype/Stamp/F 4/Rect[0 0 999999999 999999999]/AP<</N 6 0 R>>>>"
    return pdf_of(_with_annotations(1_000, note))


def form_of_many_fields() -> bytes:
    """A form of 100,000 fields that all have the same name."""
    field = (
        b"<</Type/Annot/Subtype/Widget/FT/Tx/T(name)/V(words)/F 4/Rect[9 9 99 99]/AP<</N 6 0 R>>>>"
    )
    return pdf_of(_with_annotations(100_000, field, b"/AcroForm<</Fields[NUMBERS]>>"))


def form_of_deep_fields() -> bytes:
    """A form of 50,000 fields, each the child of the one before it."""
    objects = page_objects(A4, _WORDS)
    objects[0] = objects[0][:-2] + b"/AcroForm<</Fields[6 0 R]>>>>"
    for number in range(6, 50_006):
        objects.append(b"<</FT/Tx/T(a)/Kids[%d 0 R]/Parent %d 0 R>>" % (number + 1, number - 1))
    return pdf_of([*objects, b"<</FT/Tx/T(a)/V(words)>>"])


def outline_of_many_entries() -> bytes:
    """200,000 bookmarks, each the child of the one before it."""
    objects = page_objects(A4, _WORDS)
    objects[0] = objects[0][:-2] + b"/Outlines 6 0 R>>"
    for number in range(6, 200_006):
        objects.append(
            b"<</Title(a)/Parent %d 0 R/First %d 0 R/Last %d 0 R>>"
            % (number - 1, number + 1, number + 1)
        )
    return pdf_of([*objects, b"<</Title(a)>>"])


def deep_tree_of_pages() -> bytes:
    """A page below 100,000 nodes of the tree of pages."""
    objects = page_objects(A4, _WORDS)
    objects[1] = b"<</Type/Pages/Kids[6 0 R]/Count 1>>"
    for number in range(6, 100_006):
        objects.append(
            b"<</Type/Pages/Kids[%d 0 R]/Count 1/Parent %d 0 R>>" % (number + 1, number - 1)
        )
    return pdf_of([*objects, objects[2]])


def saved_states_without_end() -> bytes:
    """A page that saves its state of drawing five million times, and clips each time."""
    content = packed(50, b"q 0 0 99 99 re W n " * 100_000)
    return pdf_of(page_objects(A4, content, entries=b"/Filter/FlateDecode"))


def line_of_many_dashes() -> bytes:
    """A line of a million points in dashes of a millionth."""
    return pdf_of(page_objects(A4, b"[0.000001 0.000001] 0 d 1 w 0 9 m 999999 9 l S " * 50))


def jpeg_2000_of_gigapixels() -> bytes:
    """A JPEG 2000 of 200 bytes that says it has 100,000 by 100,000 pixels in tiles of one."""
    side = (100_000).to_bytes(4, "big")
    size = (
        bytes(2)
        + side
        + side
        + bytes(8)
        + (1).to_bytes(4, "big") * 2
        + bytes(8)
        + b"\0\3"
        + b"\7\1\1" * 3
    )
    code = b"\xff\x4f\xff\x51" + (len(size) + 2).to_bytes(2, "big") + size
    code += b"\xff\x52\0\x0c\0\0\0\1\0\0\4\4\0\0" + b"\xff\x5c\0\4\x40\x40" + b"\xff\xd9"
    entries = b"/Type/XObject/Subtype/Image/Width 100000/Height 100000/ColorSpace/DeviceRGB/Filter/JPXDecode"
    return _with(
        b"q 500 0 0 500 0 0 cm /I Do Q", b"<</XObject<</I 6 0 R>>>>", stream(code, entries)
    )
