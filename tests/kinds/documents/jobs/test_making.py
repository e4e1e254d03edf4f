"""What is made from PDFs and images: joined, split, edited, filled in, protected. PDFium reads the
results.
"""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pikepdf
import pypdfium2
import pytest
from PIL import Image

from checkback.core.errors import JobFailed
from checkback.kinds.documents.args.making_args import Algorithm, EditArgs
from checkback.kinds.documents.pdf import info as information
from checkback.kinds.documents.pdf.edit.edit import edit
from checkback.kinds.documents.pdf.from_images import image_to_pages
from checkback.kinds.documents.pdf.merge import merge
from checkback.kinds.documents.pdf.passwords import Allowed, encryption
from checkback.kinds.documents.pdf.rasterize import make_unsearchable
from checkback.kinds.documents.pdf.split import part_suffix, split
from made_files import both, pdf_of, text_at, write
from sample_documents import LINES, make_all

URL = "https://example.com/a.pdf"


@pytest.fixture
def samples(tmp_path: Path) -> dict[str, Path]:
    return make_all(tmp_path)


def text_of(content: bytes, password: str | None = None) -> list[str]:
    """The text of each page."""
    with pypdfium2.PdfDocument(content, password=password) as document:
        return [page.get_textpage().get_text_range() for page in document]


def edited(content: bytes, *images: Path, **args: Any) -> bytes:
    """A PDF after one edit, as a file."""
    target = io.BytesIO()
    with pikepdf.open(io.BytesIO(content)) as pdf:
        edit(pdf, EditArgs.model_validate({"url": URL, **args}), images, print)
        pdf.save(target)
    return target.getvalue()


def fields_of(content: bytes) -> dict[str, str]:
    with pikepdf.open(io.BytesIO(content)) as pdf:
        return {field["FieldName"]: field["Value"] for field in information.form_fields(pdf)}


def choices() -> bytes:
    """A form with a list, two radio buttons and a text field of five characters."""

    def draw(canvas: Any) -> None:
        form = canvas.acroForm
        form.choice(
            name="colour", value="red", options=["red", "green"], x=60, y=700, width=100, height=20
        )
        form.radio(name="size", value="small", x=60, y=650, size=16)
        form.radio(name="size", value="large", x=100, y=650, size=16)
        form.textfield(name="code", x=60, y=600, width=100, height=20, maxlen=5)

    return pdf_of(draw)


# --- Filling in and making forms ------------------------------------------------------------------


@pytest.mark.parametrize("value", ["Zoë Ünïcode", "漢字テスト", "Łódź — “quotes”", "Привет"])
def test_accents_and_other_scripts_are_stored_and_drawn(
    samples: dict[str, Path], value: str
) -> None:
    fields = [{"fieldName": "name", "pages": "0", "text": value}]
    filled = edited(samples["form.pdf"].read_bytes(), fields=fields)
    assert fields_of(filled)["name"] == value
    flat = edited(samples["form.pdf"].read_bytes(), fields=fields, flatten=True)
    assert fields_of(flat) == {}
    assert "".join(value.split()) in "".join(text_of(flat)[0].split())


@pytest.mark.parametrize(
    ("given", "stored"), [("true", "Yes"), (True, "Yes"), ("off", "Off"), ("", "Off")]
)
def test_a_check_box_takes_yes_and_no(samples: dict[str, Path], given: Any, stored: str) -> None:
    fields = [{"fieldName": "agree", "text": given}]
    assert fields_of(edited(samples["form.pdf"].read_bytes(), fields=fields))["agree"] == stored


def test_lists_radio_buttons_and_short_texts_take_what_they_offer() -> None:
    fields = [
        {"fieldName": "colour", "text": "green"},
        {"fieldName": "size", "text": "large"},
        {"fieldName": "code", "text": "1234567"},
    ]
    assert fields_of(edited(choices(), fields=fields)) == {
        "colour": "green",
        "size": "large",
        "code": "12345",
    }


@pytest.mark.parametrize(
    ("name", "text"),
    [("nobody", "x"), ("colour", "blue"), ("size", "medium"), ("agree", "perhaps")],
)
def test_what_the_form_does_not_offer_is_refused(
    samples: dict[str, Path], name: str, text: str
) -> None:
    form = samples["form.pdf"].read_bytes() if name == "agree" else choices()
    with pytest.raises(JobFailed) as caught:
        edited(form, fields=[{"fieldName": name, "text": text}])
    assert caught.value.code == "invalid_option"
    assert text not in caught.value.message


def test_new_fields_are_at_the_requested_positions() -> None:
    annotations = [
        {
            "type": "TextField",
            "x": 50,
            "y": 60,
            "width": 200,
            "height": 24,
            "pages": "0",
            "id": "first",
        },
        {"type": "CheckboxChecked", "x": 50, "y": 100, "size": 14, "pages": "0-", "id": "box"},
    ]
    made = edited(pdf_of(text_at((60, 300, "a")), text_at((60, 300, "b"))), annotations=annotations)
    assert fields_of(made) == {"first": "", "box": "Yes"}
    with pikepdf.open(io.BytesIO(made)) as pdf:
        first: Any = pdf.pages[0].obj.Annots[0]
        assert [float(side) for side in first.Rect] == [50, 842 - 84, 250, 842 - 60]
        assert len(pdf.pages[1].obj.Annots) == 1
    with pytest.raises(JobFailed) as caught:
        edited(made, annotations=[{"type": "TextField", "id": "first"}])
    assert caught.value.code == "invalid_option"


def test_a_form_that_is_xfa_only_is_refused() -> None:
    with pikepdf.new() as pdf:
        pdf.add_blank_page()
        pdf.Root.AcroForm = pikepdf.Dictionary(
            Fields=pikepdf.Array([]), XFA=pdf.make_stream(b"<xdp/>")
        )
        args = EditArgs.model_validate({"url": URL, "fields": [{"fieldName": "a", "text": "b"}]})
        with pytest.raises(JobFailed) as caught:
            edit(pdf, args, [], print)
    assert caught.value.code == "unsupported"


# --- Text, links and images over pages ------------------------------------------------------------


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_text_is_drawn_at_its_position_on_the_displayed_page(rotation: int) -> None:
    content = pdf_of(text_at((300, 500, "old")), rotation=rotation)
    item = {"text": "New words", "x": 100, "y": 50, "size": 14, "pages": "0"}
    made = edited(content, annotations=[item])
    with pypdfium2.PdfDocument(made) as document:
        page = document[0]
        picture: Any = page.render(scale=1, grayscale=True).to_pil()
    ink = picture.crop((80, 40, 200, 80)).point([255] * 128 + [0] * 128)
    left, top, right, bottom = ink.getbbox()
    assert 18 <= left <= 24
    assert 5 <= top <= 16
    assert bottom <= 32
    assert right > 60


def test_links_open_addresses_of_the_web_only() -> None:
    content = pdf_of(text_at((60, 100, "page")))
    made = edited(
        content, annotations=[{"text": "here", "x": 10, "y": 10, "link": "www.example.com"}]
    )
    with pikepdf.open(io.BytesIO(made)) as pdf:
        link: Any = pdf.pages[0].obj.Annots[0]
        assert str(link.A.URI) == "https://www.example.com"
    with pytest.raises(JobFailed):
        edited(content, annotations=[{"text": "x", "link": "javascript:alert(1)"}])


def test_an_image_keeps_its_proportions_when_one_side_is_given(samples: dict[str, Path]) -> None:
    images = [{"url": URL, "x": 100, "y": 100, "width": 160, "pages": "0"}]
    made = edited(pdf_of(text_at((60, 700, "page"))), samples["picture.png"], images=images)
    with pypdfium2.PdfDocument(made) as document:
        picture: Any = document[0].render(scale=1).to_pil().convert("RGB")
    assert picture.getpixel((180, 150)) == pytest.approx((200, 30, 30), abs=12)
    assert picture.getpixel((180, 205)) == (255, 255, 255)  # 100 high, as 320 x 200 is


# --- Joined and split -----------------------------------------------------------------------------


def test_all_fields_bookmarks_and_attachments_survive_a_merge(
    samples: dict[str, Path], tmp_path: Path
) -> None:
    def bookmarked(canvas: Any) -> None:
        canvas.bookmarkPage("top")
        canvas.addOutlineEntry("A chapter", "top")
        canvas.drawString(60, 700, "chapter")

    outline = write(tmp_path, pdf_of(bookmarked), "outline.pdf")
    parts = [samples["form.pdf"], samples["form.pdf"], samples["attached.pdf"], outline]
    target = tmp_path / "merged.pdf"
    assert merge(parts, target, max_pages=100) == 6
    with pikepdf.open(target) as pdf:
        fields = information.form_fields(pdf)
        assert len(fields) == len({field["FieldName"] for field in fields}) == 4
        assert sorted(field["PageIndex"] for field in fields) == [0, 0, 1, 1]
        assert pdf.attachments["notes.txt"].get_file().read_bytes() == b"attached notes"
        with pdf.open_outline() as found:
            assert [item.title for item in found.root] == ["A chapter"]


def test_parts_are_named_by_their_pages_and_hold_only_them() -> None:
    content = pdf_of(*(text_at((60, 100, f"page {number}")) for number in range(1, 5)))
    with pikepdf.open(io.BytesIO(content)) as pdf:
        parts = list(split(pdf, [[0, 1], [3], [2, 0]]))
    assert [[page.strip() for page in text_of(part)] for part in parts] == [
        ["page 1", "page 2"], ["page 4"], ["page 3", "page 1"],
    ]  # fmt: skip
    assert [part_suffix(group) for group in ([0, 1], [3])] == ["_page1-2", "_page4"]


def test_a_part_does_not_contain_the_images_of_other_pages(
    samples: dict[str, Path], tmp_path: Path
) -> None:
    noise = tmp_path / "noise.png"
    Image.effect_noise((400, 400), 100).convert("RGB").save(noise)

    def pictured(canvas: Any) -> None:
        canvas.drawImage(str(noise), 60, 300)

    content = pdf_of(text_at((60, 100, "text only")), pictured)
    with pikepdf.open(io.BytesIO(content)) as pdf:
        text, picture = split(pdf, [[0], [1]])
    assert len(picture) > 100_000 > 20_000 > len(text)


# --- Images and passwords -------------------------------------------------------------------------


def test_a_jpeg_is_included_unchanged(samples: dict[str, Path]) -> None:
    with pikepdf.new() as pdf:
        assert image_to_pages(samples["picture.jpg"], pdf, max_pages=10) == 1
        (picture,) = pdf.pages[0].get_images().values()
        assert picture.read_raw_bytes() == samples["picture.jpg"].read_bytes()


def test_each_frame_of_a_tiff_becomes_a_page(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (60, 40), colour) for colour in ("red", "green", "blue")]
    path = tmp_path / "frames.tiff"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    target = io.BytesIO()
    with pikepdf.new() as pdf:
        assert image_to_pages(path, pdf, max_pages=10) == 3
        pdf.save(target)
    with pypdfium2.PdfDocument(target.getvalue()) as document:
        seen = [page.render().to_pil().convert("RGB").getpixel((5, 5)) for page in document]
    assert seen == [(255, 0, 0), (0, 128, 0), (0, 0, 255)]


@pytest.fixture(params=["AES_256bit", "AES_128bit", "RC4_128bit", "RC4_40bit"])
def algorithm(request: pytest.FixtureRequest) -> Iterator[Algorithm]:
    yield request.param


def test_a_protected_document_opens_with_its_password_only(
    samples: dict[str, Path], algorithm: Algorithm, tmp_path: Path
) -> None:
    target = tmp_path / "protected.pdf"
    with pikepdf.open(samples["report.pdf"]) as pdf:
        pdf.save(target, encryption=encryption("boss", "user", algorithm, Allowed(printing=True)))
    with pytest.raises(pypdfium2.PdfiumError):
        text_of(target.read_bytes())
    assert LINES[0] in text_of(target.read_bytes(), "user")[0]
    with pikepdf.open(target, password="user") as pdf:
        info = information.information(target, pdf, password_given=True)
    assert (info["Encrypted"], info["EncryptionAlgorithm"]) == (True, algorithm)
    assert (info["PermissionPrinting"], info["PermissionModifyDocument"]) == (True, False)


def test_no_text_is_left_when_pages_are_rasterized(samples: dict[str, Path]) -> None:
    content = pdf_of(both(text_at((60, 100, "secret words")), lambda canvas: canvas.setTitle("t")))
    target = io.BytesIO()
    with pikepdf.open(io.BytesIO(content)) as pdf, pypdfium2.PdfDocument(content) as document:
        make_unsearchable(document, pdf, [0], lambda done, total: None)
        pdf.save(target)
    assert "".join(text_of(target.getvalue())).strip() == ""
    assert b"secret words" not in target.getvalue()


def test_the_kinds_are_listed_without_importing_the_document_libraries() -> None:
    libraries = {
        "pikepdf",
        "pypdfium2",
        "PIL",
        "reportlab",
        "xlsxwriter",
        "xlwt",
        "python_calamine",
        "oxmsg",
    }
    code = "import sys, checkback.kinds.documents.jobs, checkback.kinds.pdfco.jobs; "
    code += f"print({libraries!r} & set(sys.modules))"
    finished = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert finished.stdout.strip() == "set()"
