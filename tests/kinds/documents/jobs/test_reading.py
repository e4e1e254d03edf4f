"""What is read from PDFs: words with positions, layout, tables, matches, forms. Reportlab makes the
PDFs.
"""

from __future__ import annotations

import csv
import io
import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pikepdf
import pypdfium2
import pytest
from python_calamine import CalamineWorkbook
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont

from checkback.core.errors import JobFailed
from checkback.kinds.documents.args.rect_argument import Rect
from checkback.kinds.documents.invoice.parser import amount, iso_date, parse_invoice
from checkback.kinds.documents.pdf import info
from checkback.kinds.documents.pdf.attachments import MAX_FILES, attached_files
from checkback.kinds.documents.pdf.tables.lattice import ruled_tables
from checkback.kinds.documents.pdf.tables.stream import unruled_tables
from checkback.kinds.documents.pdf.tables.table_export import (
    as_number,
    write_csv,
    write_xls,
    write_xlsx,
)
from checkback.kinds.documents.pdf.tables.tables import described, grouped, rows_of, tables_of
from checkback.kinds.documents.pdf.text import search as find_text
from checkback.kinds.documents.pdf.text import text_export
from checkback.kinds.documents.pdf.text.lines import layout_text, lines_of, unwrapped
from checkback.kinds.documents.pdf.text.reader import PageContent
from checkback.kinds.documents.pdf.text.words import PageText, fonts, read_words
from made_files import HEIGHT, Draw, both, columns, pdf_of, ruled, text_at

HEBREW = Path("/usr/share/fonts/truetype/noto/NotoSansHebrew-Regular.ttf")

FRUIT = (
    ("Fruit", "Count", "Price"),
    ("Apple", "3", "1.20"),
    ("Pear", "14", "0.80"),
    ("Fig", "250", "12.00"),
)


@contextmanager
def opened(content: bytes, index: int = 0) -> Generator[tuple[Any, PageText]]:
    """A page and its words."""
    with pypdfium2.PdfDocument(content) as document:
        page = document[index]
        yield page, read_words(page)
        page.close()


def content_of(page: Any, found: PageText, index: int = 0) -> PageContent:
    return PageContent(index, found.words, found.frame, page)


# --- Words and layout -----------------------------------------------------------------------------


def test_words_have_places_from_the_top_left() -> None:
    with opened(pdf_of(text_at((100, 200, "Hello there")))) as (_, found):
        hello, there = found.words
    assert (hello.text, there.text) == ("Hello", "there")
    assert hello.x0 == pytest.approx(100, abs=1)
    assert hello.top < 200 < hello.bottom + 4
    assert there.x0 > hello.x1


def test_a_rectangle_takes_only_the_words_in_it() -> None:
    content = pdf_of(text_at((100, 100, "inside"), (100, 400, "below"), (400, 100, "beside")))
    with pypdfium2.PdfDocument(content) as document:
        page = document[0]
        assert [word.text for word in read_words(page, Rect(50, 50, 200, 100)).words] == ["inside"]
        page.close()


def test_layout_keeps_columns_below_each_other() -> None:
    with opened(pdf_of(columns(FRUIT))) as (_, found):
        lines = [line for line in layout_text(found.words).split("\n") if line]
    assert [line.split() for line in lines] == [list(row) for row in FRUIT]
    starts = {line.index(row[1]) for line, row in zip(lines, FRUIT, strict=True)}
    assert max(starts) - min(starts) <= 1


def test_a_gap_between_lines_is_kept_and_limited() -> None:
    with opened(pdf_of(text_at((60, 100, "one"), (60, 114, "two"), (60, 500, "far")))) as (
        _,
        found,
    ):
        assert layout_text(found.words) == "one\ntwo\n\n\nfar"


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_a_turned_page_reads_as_it_was_drawn(rotation: int) -> None:
    upright = pdf_of(text_at((100, 100, "first line"), (100, 114, "second line")))
    turned = pdf_of(text_at((100, 100, "first line"), (100, 114, "second line")), rotation=rotation)
    texts: list[str] = []
    for content in (upright, turned):
        with opened(content) as (_, found):
            texts.append(layout_text(found.words))
    assert texts[0] == texts[1] == "first line\nsecond line"


@pytest.mark.parametrize("angle", [90, 180, 270])
def test_text_drawn_at_an_angle_is_read_upright(angle: int) -> None:
    def draw(canvas: Any) -> None:
        canvas.translate(300, 400)
        canvas.rotate(angle)
        canvas.drawString(0, 0, "alpha beta")
        canvas.drawString(0, -20, "gamma delta")

    with opened(pdf_of(draw)) as (_, found):
        assert layout_text(found.words) == "alpha beta\ngamma delta"


def test_lines_of_a_paragraph_are_joined_when_asked() -> None:
    lines = ["This is a paragraph that is long enough to be broken into lines, of which each but the",
             "last one reaches the right edge of the text, and a word may be hyphen-",
             "ated."]  # fmt: skip
    drawn = text_at(
        *((60, 100 + 14 * number, line) for number, line in enumerate(lines)),
        (60, 220, "Another one."),
    )
    with opened(pdf_of(drawn)) as (_, found):
        text = unwrapped(lines_of(found.words))
    assert text.split("\n")[-1] == "Another one."
    assert "may be hyphenated." in text
    assert text.count("\n") == 1


# --- Tables ---------------------------------------------------------------------------------------


def test_a_ruled_table_is_found_with_its_cells_and_place() -> None:
    with opened(pdf_of(both(ruled(FRUIT), text_at((60, 60, "A heading above"))))) as (page, found):
        (table,) = ruled_tables(page, found.frame, found.words)
        shape = described(table, 3)
    assert [list(row) for row in table.rows] == [list(row) for row in FRUIT]
    assert (table.x0, table.top) == pytest.approx((60, 100), abs=1)
    assert shape["PageIndex"] == 3
    assert (shape["Width"], shape["Height"]) == pytest.approx((360, 80), abs=2)
    assert shape["Columns"] == pytest.approx([60, 180, 300], abs=1)


def test_a_table_without_lines_is_found_by_its_columns() -> None:
    drawn = both(text_at((60, 60, "Only a heading here")), columns(FRUIT, y=120))
    with opened(pdf_of(drawn)) as (_, found):
        (table,) = unruled_tables(found.words)
    assert [list(row) for row in table.rows] == [list(row) for row in FRUIT]
    assert not table.ruled


def test_an_empty_cell_stays_empty() -> None:
    rows = (("a", "b", "c"), ("1", "", "3"), ("4", "5", "6"), ("", "8", "9"))
    for draw, find in ((ruled, True), (columns, False)):
        with opened(pdf_of(draw(rows))) as (page, found):
            content = content_of(page, found)
            (table,) = tables_of(content)
            assert table.ruled is find
            assert [list(row) for row in table.rows] == [list(row) for row in rows]


def test_two_tables_of_a_page_are_two() -> None:
    drawn = both(ruled(FRUIT, y=100), ruled((("x", "y"), ("1", "2")), y=400))
    with opened(pdf_of(drawn)) as (page, found):
        assert [len(table.rows) for table in tables_of(content_of(page, found))] == [4, 2]


def test_running_text_is_no_table() -> None:
    lines = [
        f"This is line {number} of a text that says nothing and has no columns at all."
        for number in range(9)
    ]
    drawn = text_at(*((60, 100 + 14 * number, line) for number, line in enumerate(lines)))
    with opened(pdf_of(drawn)) as (page, found):
        content = content_of(page, found)
        assert tables_of(content) == []
        assert rows_of(content) == [[line] for line in lines]


def test_a_page_without_words_has_no_rows() -> None:
    with opened(pdf_of(lambda canvas: None)) as (page, found):
        assert rows_of(content_of(page, found)) == []


def test_text_around_a_table_becomes_rows_in_order() -> None:
    drawn = both(text_at((60, 60, "Above")), ruled(FRUIT, y=100), text_at((60, 300, "Below")))
    with opened(pdf_of(drawn)) as (page, found):
        rows = rows_of(content_of(page, found))
    assert rows[0] == ["Above"]
    assert rows[-1] == ["Below"]
    assert rows[1:-1] == [list(row) for row in FRUIT]


def test_continued_lines_of_a_row_are_joined_when_asked() -> None:
    rows = [["1", "a long"], ["", "description"], ["2", "short"]]
    assert grouped(rows, "1") == [["1", "a long description"], ["2", "short"]]
    assert grouped(rows, "0") == rows


def test_sheets_hold_texts_and_numbers(tmp_path: Path) -> None:
    pages = [(0, FRUIT), (4, (("=1+1", "007", "1,234.50"),))]
    for write, name in ((write_xlsx, "a.xlsx"), (write_xls, "a.xls")):
        write(pages, tmp_path / name)
        book = CalamineWorkbook.from_filelike(io.BytesIO((tmp_path / name).read_bytes()))
        assert book.sheet_names == ["Page 1", "Page 5"]
        assert book.get_sheet_by_index(0).to_python()[1] == ["Apple", 3.0, 1.2]
        assert book.get_sheet_by_index(1).to_python() == [["=1+1", "007", 1234.5]]
    rows = list(csv.reader(io.StringIO(write_csv(pages))))
    assert rows[:4] == [list(row) for row in FRUIT]


@pytest.mark.parametrize(
    ("text", "number"),
    [("12", 12.0), ("-3.5", -3.5), ("1,234", 1234.0), ("007", None), ("1,23", None), ("12 kg", None),
     ("", None), ("12345678901234567890", None)],
)  # fmt: skip
def test_only_what_is_a_number_becomes_one(text: str, number: float | None) -> None:
    assert as_number(text) == number


# --- Finding --------------------------------------------------------------------------------------


def find(
    content: bytes,
    search: str,
    matching: str | None = None,
    *,
    regex: bool = False,
    seconds: float = find_text.PAGE_SECONDS,
) -> list[find_text.Match]:
    pattern = find_text.pattern_of(search, matching, regex=regex)
    with opened(content) as (page, found):
        return find_text.matches_of(page, found, pattern, 0, seconds=seconds)


SENTENCE = pdf_of(
    text_at((100, 200, "The catalogue has a cat, a Cat and INV-2041."), (100, 220, "More text"))
)


@pytest.mark.parametrize(
    ("search", "matching", "regex", "texts"),
    [
        ("cat", None, False, ["cat", "cat", "Cat"]),
        ("cat", "SmartMatch", False, ["cat", "cat", "Cat"]),
        ("cat", "ExactMatch", False, ["cat"]),
        (r"INV-\d+", None, True, ["INV-2041"]),
        ("a+b(", None, False, []),
        ("inv-2041. more", None, False, ["INV-2041. More"]),
    ],
)
def test_what_is_found(search: str, matching: str | None, regex: bool, texts: list[str]) -> None:
    assert [match["text"] for match in find(SENTENCE, search, matching, regex=regex)] == texts


def test_a_match_tells_its_place() -> None:
    (match,) = find(SENTENCE, "The")
    assert (match["left"], match["pageIndex"]) == (pytest.approx(100, abs=1), 0)
    assert match["top"] < 200 < match["top"] + match["height"] + 4
    assert 10 < match["width"] < 40


def test_a_pattern_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(JobFailed) as caught:
        find_text.pattern_of("(", None, regex=True)
    assert caught.value.code == "invalid_option"


def test_an_expression_without_end_is_ended_and_says_so() -> None:
    endless = pdf_of(text_at((100, 200, "x" * 60), (100, 220, "x" * 60)))
    with pytest.raises(JobFailed) as caught:
        find(endless, "(x|xx)+y", regex=True, seconds=0.2)
    assert (caught.value.code, caught.value.retryable) == ("pattern_too_slow", False)
    assert "xx" not in caught.value.message


# --- Formats --------------------------------------------------------------------------------------


def formatted(write: Callable[[Any], str]) -> str:
    with pypdfium2.PdfDocument(
        pdf_of(text_at((100, 200, "Left & <side>"), (400, 200, "Right")))
    ) as document:

        def contents() -> Iterator[PageContent]:
            for index in range(len(document)):
                page = document[index]
                yield content_of(page, read_words(page), index)
                page.close()

        return write(text_export.text_pages(contents()))


def test_json_has_rows_and_columns_with_fonts_and_places() -> None:
    document = json.loads(formatted(text_export.to_json))
    assert document["checkback"] == 1
    (page,) = document["document"]["page"]
    (row,) = page["row"]
    left, right = [column["text"] for column in row["column"]]
    assert (left["#text"], right["#text"]) == ("Left & <side>", "Right")
    assert (left["@fontName"], left["@fontSize"]) == ("Helvetica", "12.0")
    assert float(right["@x"]) == pytest.approx(400, abs=1)


def test_xml_is_well_formed_and_says_the_same() -> None:
    root = ElementTree.fromstring(formatted(text_export.to_xml))
    assert [text.text for text in root.iter("text")] == ["Left & <side>", "Right"]
    assert root[0].get("width") == "595.0"


def test_html_has_the_text_as_text() -> None:
    page = formatted(lambda pages: text_export.to_html(pages, "<title>"))
    assert "Left &amp; &lt;side&gt;" in page
    assert "<title>&lt;title&gt;</title>" in page
    assert "<script" not in page


# --- Information, forms, attachments --------------------------------------------------------------


def test_information_names_what_the_document_says(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    with pikepdf.open(io.BytesIO(pdf_of(text_at((10, 10, "x")), text_at((10, 10, "y"))))) as pdf:
        pdf.docinfo["/Title"], pdf.docinfo["/Author"] = "A title", "Ada"
        pdf.save(
            path,
            encryption=pikepdf.Encryption(
                owner="o", user="", allow=pikepdf.Permissions(extract=False)
            ),
        )
    with pikepdf.open(path) as pdf:
        found = info.information(path, pdf, password_given=False)
    assert (found["PageCount"], found["Title"], found["Author"]) == (2, "A title", "Ada")
    assert (found["Encrypted"], found["EncryptionAlgorithm"]) == (True, "AES_256bit")
    assert (found["PermissionContentExtraction"], found["PermissionPrinting"]) == (False, True)
    assert (found["PageRectangle"]["Width"], found["PageRectangle"]["Height"]) == (595, 842)


def test_form_fields_tell_type_value_and_page() -> None:
    def draw(canvas: Any) -> None:
        canvas.acroForm.textfield(
            name="city", value="Köln", tooltip="Where", x=50, y=700, width=100, height=20
        )
        canvas.acroForm.checkbox(name="yes", checked=True, x=50, y=650)
        canvas.acroForm.choice(
            name="size", value="M", options=["S", "M"], x=50, y=600, width=80, height=20
        )
        canvas.acroForm.radio(name="color", value="red", selected=True, x=50, y=550)
        canvas.acroForm.radio(name="color", value="blue", x=90, y=550)

    with pikepdf.open(io.BytesIO(pdf_of(text_at((10, 10, "first")), draw))) as pdf:
        found = {field["FieldName"]: field for field in info.form_fields(pdf)}
    assert (found["city"]["Value"], found["city"]["Type"]) == ("Köln", "EditBox")
    assert (found["city"]["AltFieldName"], found["city"]["PageIndex"]) == ("Where", 1)
    assert (found["yes"]["Type"], found["yes"]["Value"]) == ("CheckBox", "Yes")
    assert (found["size"]["Type"], found["size"]["Value"]) == ("ComboBox", "M")
    assert (found["color"]["Type"], found["color"]["Value"]) == ("RadioButton", "red")


def test_a_form_that_is_xfa_only_is_refused() -> None:
    with pikepdf.open(io.BytesIO(pdf_of(text_at((10, 10, "x"))))) as pdf:
        pdf.Root.AcroForm = pikepdf.Dictionary(
            Fields=pikepdf.Array(), XFA=pdf.make_stream(b"<xdp/>")
        )
        with pytest.raises(JobFailed) as caught:
            info.form_fields(pdf)
    assert caught.value.code == "unsupported"


def test_attached_files_come_with_plain_names_also_from_pages() -> None:
    with pikepdf.open(io.BytesIO(pdf_of(text_at((10, 10, "x"))))) as pdf:
        pdf.attachments["../../etc/passwd"] = pikepdf.AttachedFileSpec(
            pdf, b"one", filename="../../etc/passwd"
        )
        pinned = pikepdf.AttachedFileSpec(pdf, b"two", filename="pinned.txt")
        note = pikepdf.Dictionary(
            Type=pikepdf.Name.Annot, Subtype=pikepdf.Name.FileAttachment, FS=pinned.obj,
            Rect=pikepdf.Array([10, 10, 30, 30]),
        )  # fmt: skip
        pdf.pages[0].obj.Annots = pikepdf.Array([pdf.make_indirect(note)])
        assert sorted(attached_files(pdf)) == [("passwd", b"one"), ("pinned.txt", b"two")]


def test_attached_files_without_a_number_of_their_own_count_too() -> None:
    """A file specification may stand in the annotation itself instead of being an object."""
    with pikepdf.open(io.BytesIO(pdf_of(text_at((10, 10, "x"))))) as pdf:
        content = pdf.make_stream(b"two")
        notes = pikepdf.Array()
        for number in range(MAX_FILES + 1):
            held = pikepdf.Dictionary(
                Type=pikepdf.Name.Filespec, F=f"{number}.txt", EF=pikepdf.Dictionary(F=content)
            )
            note = pikepdf.Dictionary(
                Type=pikepdf.Name.Annot, Subtype=pikepdf.Name.FileAttachment, FS=held,
                Rect=pikepdf.Array([10, 10, 30, 30]),
            )  # fmt: skip
            notes.append(note)
        pdf.pages[0].obj.Annots = notes
        with pytest.raises(JobFailed) as caught:
            list(attached_files(pdf))
    assert caught.value.code == "too_large"


# --- Invoices -------------------------------------------------------------------------------------


def invoice_of(*draws: Any) -> dict[str, Any]:
    with opened(pdf_of(both(*draws))) as (page, found):
        return parse_invoice(lines_of(found.words), tables_of(content_of(page, found)))


def test_an_invoice_is_read_by_its_labels() -> None:
    items = (("Description", "Qty", "Amount"), ("Widget", "2", "$80.00"), ("Nut", "10", "$20.00"))
    found = invoice_of(
        text_at(
            (60, 60, "Acme Widgets Ltd"), (60, 90, "Invoice Number: INV-2041"),
            (60, 110, "Invoice Date: March 14, 2026"),
            (60, 140, "Bill To:"), (60, 156, "Ada Lovelace"), (60, 172, "12 Engine Street"),
            (300, 400, "Subtotal: $100.00"), (300, 420, "Tax (20%): $20.00"), (300, 440, "Total: $1,120.00"),
        ),
        ruled(items, y=250),
    )  # fmt: skip
    assert found["vendor"]["name"] == "Acme Widgets Ltd"
    assert (found["invoice"]["invoiceNo"], found["invoice"]["invoiceDate"]) == (
        "INV-2041",
        "2026-03-14",
    )
    assert found["customer"]["billTo"] == {"name": "Ada Lovelace", "address": ["12 Engine Street"]}
    money = found["paymentDetails"]
    assert (money["subTotal"], money["tax"], money["total"], money["currency"]) == (
        100.0,
        20.0,
        1120.0,
        "USD",
    )
    assert [(item["description"], item["quantity"], item["amount"]) for item in found["lineItems"]] == [
        ("Widget", 2.0, 80.0), ("Nut", 10.0, 20.0),
    ]  # fmt: skip
    assert all(
        0 < found["confidence"][name] <= 1 for name in ("invoiceNo", "total", "vendor", "lineItems")
    )


def test_an_invoice_with_an_unruled_table_and_a_senders_line() -> None:
    items = (("Pos.", "Menge", "Beschreibung", "Zeilenbetrag"), ("1", "2", "Schraube", "1.080,00"),
             ("", "", "verzinkt", ""), ("2", "1", "Mutter", "5,39"))  # fmt: skip
    found = invoice_of(
        text_at(
            (60, 60, "Muster AG - Uferweg 40 - D-63571 Gelnhausen"), (60, 80, "Kunde Ltd."),
            (60, 110, "Rechnungsnr. 30064443"), (60, 130, "Rechnungsdatum 7. Mai 2014"),
            (60, 400, "Gesamtbetrag 1.085,39 EUR"),
        ),
        columns(items, y=200),
    )  # fmt: skip
    assert found["vendor"]["name"] == "Muster AG"
    assert found["invoice"]["invoiceDate"] == "2014-05-07"
    assert [(item["description"], item["quantity"], item["amount"]) for item in found["lineItems"]] == [
        ("Schraube", 2.0, 1080.0), ("Mutter", 1.0, 5.39),
    ]  # fmt: skip
    assert found["paymentDetails"]["total"] == 1085.39


def test_what_is_not_found_is_null_with_no_confidence() -> None:
    found = invoice_of(text_at((60, 60, "a letter without any of that")))
    assert found["invoice"] == {
        "invoiceNo": None,
        "invoiceDate": None,
        "dueDate": None,
        "purchaseOrder": None,
    }
    assert found["lineItems"] is None
    assert found["paymentDetails"]["total"] is None
    assert found["confidence"]["invoiceNo"] == 0.0
    assert found["method"] == "rules"


@pytest.mark.parametrize(
    ("text", "number"),
    [("$1,234.56", 1234.56), ("1.234,56 €", 1234.56), ("USD 5", 5.0), ("(12.00)", -12.0), ("-3", -3.0),
     ("1,234", 1234.0), ("none", None), (None, None)],
)  # fmt: skip
def test_amounts_of_any_country(text: str | None, number: float | None) -> None:
    assert amount(text) == number


def test_dates_that_can_be_read_in_one_way_are_written_in_one() -> None:
    assert [iso_date(text) for text in ("14.03.2026", "March 14, 2026", "2026-03-14", "03/04/2026")] == [
        "2026-03-14", "2026-03-14", "2026-03-14", "03/04/2026",
    ]  # fmt: skip


# --- Other scripts --------------------------------------------------------------------------------


def vertical(*columns: tuple[float, float, str]) -> Draw:
    """Draws columns of Japanese, each character below the one before it."""

    def draw(canvas: Any) -> None:
        pdfmetrics.registerFont(UnicodeCIDFont("HeiseiMin-W3"))
        canvas.setFont("HeiseiMin-W3", 12)
        for x, y, text in columns:
            for number, character in enumerate(text):
                canvas.drawString(x, HEIGHT - y - 14 * number, character)

    return draw


def test_vertical_writing_is_read_by_columns_from_the_right() -> None:
    page = both(
        vertical(
            (400, 100, "第一列の文章です"),
            (380, 100, "第二列は左にある"),
            (400, 400, "下の段の文章も"),
        ),
        text_at((60, 60, "Heading")),
    )
    with opened(pdf_of(page)) as (_, found):
        text = layout_text(found.words)
    assert text.split() == ["Heading", "第一列の文章です", "第二列は左にある", "下の段の文章も"]


def test_the_size_of_a_font_is_the_one_that_is_seen() -> None:
    def enlarged(canvas: Any) -> None:
        text = canvas.beginText()
        text.setFont("Helvetica", 1)
        text.setTextTransform(14, 0, 0, 14, 60, 700)
        text.textOut("enlarged")
        canvas.drawText(text)

    with opened(pdf_of(both(enlarged, text_at((60, 300, "plain"), size=9)))) as (page, found):
        sizes = {word.text: fonts(page, [word.at])[0] for word in found.words}
    assert sizes == {"enlarged": ("Helvetica", 14.0), "plain": ("Helvetica", 9.0)}


def test_a_narrow_column_of_letters_is_no_vertical_writing() -> None:
    rows = [(60, 100 + 16 * number, f"{number} apples and some more") for number in range(12)]
    with opened(pdf_of(text_at(*rows))) as (_, found):
        assert layout_text(found.words).split("\n")[3] == "3 apples and some more"


@pytest.mark.skipif(not HEBREW.is_file(), reason="needs the font package fonts-noto-core")
def test_words_that_run_to_the_left_stay_whole() -> None:
    def draw(canvas: Any) -> None:
        pdfmetrics.registerFont(TTFont("Hebrew", str(HEBREW)))
        canvas.setFont("Hebrew", 14)
        # Glyphs lie in a page from left to right, whatever the direction of reading.
        canvas.drawRightString(500, 700, "שלום עולם"[::-1])

    with opened(pdf_of(draw)) as (_, found):
        assert layout_text(found.words) == "שלום עולם"
