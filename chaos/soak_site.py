"""What the jobs of a soak work on, on loopback: the demo site, a few documents, a receiver of
callbacks.
"""

from __future__ import annotations

import functools
import http.server
import io
import json
import shutil
import threading
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import xlsxwriter
from PIL import Image
from reportlab.pdfgen.canvas import Canvas

DEMO_SITE = Path(__file__).parents[1] / "examples" / "demo-site"


class Site:
    """A running site, and how often each job's end was reported to it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.told: Counter[str] = Counter()

    def url(self, name: str) -> str:
        return f"http://{self.address}/{name}"


@contextmanager
def served(folder: Path) -> Generator[Site]:
    """Serve the demo site and the documents from a new folder while the block runs."""
    shutil.copytree(DEMO_SITE, folder)
    for name, content in make_documents().items():
        (folder / name).write_bytes(content)
    site = Site("")
    handler = functools.partial(_Handler, site, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        site.address = f"127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield site
        finally:
            server.shutdown()
            thread.join()


class _Handler(http.server.SimpleHTTPRequestHandler):
    def __init__(self, site: Site, *args: Any, **options: Any) -> None:
        self._site = site
        super().__init__(*args, **options)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        self._site.told[json.loads(body)["jobId"]] += 1
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


def make_documents() -> dict[str, bytes]:
    """One small file of each family, by name; ``broken.pdf`` is not a PDF."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "ada@example.com", "bob@example.com", "A letter"
    mail.set_content("Some words.")
    picture = io.BytesIO()
    Image.new("RGB", (640, 480), (200, 120, 40)).save(picture, "PNG")
    return {
        "report.pdf": _report(),
        "book.xlsx": _book(),
        "picture.png": picture.getvalue(),
        "mail.eml": mail.as_bytes(),
        "broken.pdf": b"%PDF-1.7\nno more than this\n",
    }


def _report() -> bytes:
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(595, 842))
    for number in range(3):
        for line in range(40):
            canvas.drawString(72, 780 - 16 * line, f"Page {number}, line {line} of the report")
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def _book() -> bytes:
    buffer = io.BytesIO()
    book: Any = xlsxwriter.Workbook(buffer, {"in_memory": True})
    sheet = book.add_worksheet()
    for row in range(50):
        sheet.write_row(row, 0, [f"row {row}", row, row * 1.5])
    book.close()
    return buffer.getvalue()
