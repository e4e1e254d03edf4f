"""Small documents of many kinds, made by other libraries than those that check the results."""

from __future__ import annotations

import io
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pikepdf
import xlsxwriter
from PIL import Image, ImageDraw, ImageFont
from reportlab.pdfgen.canvas import Canvas

LINES = ("First page of the report", "Second page, with more", "Third page: the end")


def make_all(folder: Path) -> dict[str, Path]:
    """Write every sample into a folder; gives their paths by name."""
    made = {
        "report.pdf": _report(),
        "table.pdf": _table(),
        "form.pdf": _form(),
        "invoice.pdf": _invoice(),
        "scan.pdf": _scan(),
        "locked.pdf": _locked(),
        "attached.pdf": _attached(),
        "letter.rtf": rb"{\rtf1\ansi A letter about the \b important\b0  matter.\par}",
        "numbers.csv": b"name,amount\nada,12\nbob,30\n",
        "book.xlsx": _book(),
        "picture.jpg": _picture("JPEG"),
        "picture.png": _picture("PNG"),
        "mail.eml": _mail(),
    }
    for name, content in made.items():
        (folder / name).write_bytes(content)
    return {name: folder / name for name in made}


def _canvas() -> tuple[Canvas, io.BytesIO]:
    buffer = io.BytesIO()
    return Canvas(buffer, pagesize=(595, 842)), buffer


def _report() -> bytes:
    canvas, buffer = _canvas()
    canvas.setTitle("The report")
    for line in LINES:
        canvas.drawString(72, 700, line)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def _table() -> bytes:
    canvas, buffer = _canvas()
    for row, cells in enumerate((("Name", "Amount"), ("Ada", "12"), ("Bob", "30"))):
        for column, cell in enumerate(cells):
            x, y = 72 + column * 100, 700 - row * 20
            canvas.rect(x, y, 100, 20)
            canvas.drawString(x + 4, y + 6, cell)
    canvas.save()
    return buffer.getvalue()


def _form() -> bytes:
    canvas, buffer = _canvas()
    form: Any = canvas.acroForm
    canvas.drawString(72, 720, "Name:")
    form.textfield(name="name", x=120, y=710, width=200, height=20)
    form.checkbox(name="agree", x=120, y=670, size=16)
    canvas.save()
    return buffer.getvalue()


def _invoice() -> bytes:
    canvas, buffer = _canvas()
    lines = (
        "Acme Widgets Ltd", "1 Example Road", "Invoice Number: INV-2041", "Invoice Date: 2026-03-14",
        "Bill To: Ada Lovelace", "Subtotal: $100.00", "Tax: $20.00", "Total: $120.00",
    )  # fmt: skip
    for number, line in enumerate(lines):
        canvas.drawString(72, 760 - number * 24, line)
    canvas.save()
    return buffer.getvalue()


def _scan() -> bytes:
    image = Image.new("L", (1654, 1000), 255)
    ImageDraw.Draw(image).text(
        (120, 200), "Scanned words here", font=ImageFont.load_default(90), fill=0
    )
    buffer = io.BytesIO()
    image.save(buffer, "PDF", resolution=200)
    return buffer.getvalue()


def _locked() -> bytes:
    buffer = io.BytesIO()
    with pikepdf.open(io.BytesIO(_report())) as pdf:
        pdf.save(buffer, encryption=pikepdf.Encryption(owner="boss", user="open"))
    return buffer.getvalue()


def _attached() -> bytes:
    buffer = io.BytesIO()
    with pikepdf.open(io.BytesIO(_report())) as pdf:
        pdf.attachments["notes.txt"] = pikepdf.AttachedFileSpec(pdf, b"attached notes")
        pdf.save(buffer)
    return buffer.getvalue()


def _book() -> bytes:
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer) as book:
        for name, rows in (
            ("One", (("fruit", "count"), ("apple", 3))),
            ("Two", (("second sheet", 1),)),
        ):
            sheet = book.add_worksheet(name)
            for number, row in enumerate(rows):
                sheet.write_row(number, 0, row)
    return buffer.getvalue()


def _picture(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (320, 200), (200, 30, 30)).save(buffer, kind)
    return buffer.getvalue()


def _mail() -> bytes:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = (
        "ada@example.com",
        "bob@example.com",
        "The subject line",
    )
    mail["Date"] = "Tue, 24 Nov 2026 10:00:00 +0000"
    mail.set_content("Words of the mail.")
    mail.add_attachment(b"attached text", maintype="text", subtype="plain", filename="more.txt")
    return mail.as_bytes()
