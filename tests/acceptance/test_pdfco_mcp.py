"""PDF.co's own MCP server, as PyPI has it, drives all of its 38 tools against ours over stdio.

Each job is waited for with its own ``wait_job_completion``; each result is downloaded by its link,
without a token, and opened by another library than the one that wrote it.
"""

from __future__ import annotations

import asyncio
import io
import json
import shutil
import ssl
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
import pikepdf
import pypdfium2
import pytest
from fastmcp import Client
from fastmcp.client.transports import StdioTransport
from PIL import Image
from python_calamine import CalamineWorkbook

from running import StartServer
from sample_documents import LINES, make_all

Download = Callable[[str], Awaitable[bytes]]
#: Made once: the certificates in it take longer to read than most of the files.
TLS = ssl.create_default_context()
programs = pytest.mark.skipif(
    not (shutil.which("soffice") and shutil.which("tesseract")),
    reason="needs LibreOffice and Tesseract",
)


class PdfcoUser:
    """Somebody who uses that server, and only its tools."""

    def __init__(self, client: Client[Any], links: dict[str, str]) -> None:
        self._client = client
        self.links = links
        self.used: set[str] = set()

    async def call(self, tool: str, /, **arguments: Any) -> dict[str, Any]:
        """Call a tool and give its structured answer."""
        self.used.add(tool)
        result = await self._client.call_tool(tool, arguments)
        assert result.structured_content is not None
        return result.structured_content

    async def upload(self, path: Path) -> None:
        """Hand a file in."""
        answer = await self.call("upload_file", file_path=str(path))
        assert answer["status"] == "success", answer
        self.links[path.name] = answer["content"]["url"]

    async def run(self, tool: str, /, source: str | None = None, **arguments: Any) -> list[bytes]:
        """Start a job, wait for it, and download what it made."""
        if source is not None:
            arguments["url"] = ",".join(self.links[name] for name in source.split(","))
        started = await self.call(tool, **arguments)
        assert started["status"] == "working", (tool, started)
        job_id = started["content"]["jobId"]
        ended = await self.call("wait_job_completion", job_id=job_id, interval=1, timeout=100)
        assert ended["status"] == "success", (tool, ended)
        assert ended["credits_used"] == 0
        checked = await self.call("get_job_check", job_id=job_id)
        assert checked["status"] == "success", (tool, checked)
        url = checked["content"]["url"]
        content = await download(url)
        if "urls" not in checked["content"]:
            assert content == await download(started["content"]["url"]), tool
            return [content]
        return [await download(one) for one in json.loads(content)]


async def download(url: str) -> bytes:
    """The content behind a link, by somebody who has nothing but the link."""
    async with httpx2.AsyncClient(trust_env=False, verify=TLS) as client:
        return (await client.get(url)).raise_for_status().content


def text_of(content: bytes, password: str | None = None) -> str:
    with pypdfium2.PdfDocument(content, password=password) as pdf:
        return "\n".join(page.get_textpage().get_text_range() for page in pdf)


def page_count(content: bytes) -> int:
    with pypdfium2.PdfDocument(content) as pdf:
        return len(pdf)


def fields_of(content: bytes) -> dict[str, str]:
    with pikepdf.open(io.BytesIO(content)) as pdf:
        form: Any = pdf.Root.AcroForm
        return {str(field.T): str(field.get("/V", "")) for field in form.Fields}


@programs
@pytest.mark.slow
@pytest.mark.chromium
@pytest.mark.timeout(400)
async def test_all_38_tools(
    tmp_path: Path, start_server: StartServer, pdfco_mcp_python: Path, demo_site: str
) -> None:
    server = start_server(allow_hosts=demo_site)
    environment = {
        "CHECKBACK_HOME": str(server.home),
        "PDFCO_MCP_PYTHON": str(pdfco_mcp_python),
        "PATH": "/usr/bin:/bin",
    }
    transport = StdioTransport(sys.executable, ["-m", "checkback", "pdfco-mcp"], env=environment)
    async with Client(transport) as client:
        user = PdfcoUser(client, {})
        for path in make_all(tmp_path).values():
            await user.upload(path)
        # Side by side: its wait_job_completion looks once a second.
        await asyncio.gather(
            read_tools(user),
            table_tools(user),
            picture_tools(user),
            making_tools(user, demo_site),
            excel_tools(user),
            structure_tools(user),
            form_tools(user),
            password_tools(user),
            scan_tools(user),
        )
        assert user.used == {tool.name for tool in await client.list_tools()}
        assert len(user.used) == 38


async def read_tools(user: PdfcoUser) -> None:
    (text,) = await user.run("pdf_to_text", "report.pdf")
    pages = text.decode().split("\f")
    assert [line in page for line, page in zip(LINES, pages, strict=True)] == [True] * 3
    (second,) = await user.run("pdf_to_text", "report.pdf", pages="1")
    assert LINES[1] in second.decode()
    assert LINES[0] not in second.decode()
    for tool in ("pdf_to_json", "pdf_to_xml", "pdf_to_html"):
        (content,) = await user.run(tool, "report.pdf")
        words = content.decode()
        assert all(word in words for word in ("First", "Second", "Third")), tool
    assert json.loads((await user.run("pdf_to_json", "report.pdf"))[0])
    info = json.loads((await user.run("pdf_info_reader", "report.pdf"))[0])
    assert info["info"]["PageCount"] == 3
    assert info["info"]["Title"] == "The report"
    found = json.loads((await user.run("find_text", "report.pdf", searchString="more"))[0])
    assert [match["pageIndex"] for match in found] == [1]
    invoice = (await user.run("ai_invoice_parser", "invoice.pdf"))[0].decode()
    assert "INV-2041" in invoice
    assert "120" in invoice


async def table_tools(user: PdfcoUser) -> None:
    (content,) = await user.run("pdf_to_csv", "table.pdf")
    assert content.decode("utf-8-sig").split() == ["Name,Amount", "Ada,12", "Bob,30"]
    for tool in ("pdf_to_xls", "pdf_to_xlsx"):
        (content,) = await user.run(tool, "table.pdf")
        book = CalamineWorkbook.from_filelike(io.BytesIO(content))
        rows = book.get_sheet_by_index(0).to_python()
        assert [[str(cell).removesuffix(".0") for cell in row] for row in rows] == [
            ["Name", "Amount"], ["Ada", "12"], ["Bob", "30"],
        ]  # fmt: skip
    tables = json.loads((await user.run("find_table", "table.pdf"))[0])
    found = tables["tables"] if "tables" in tables else tables["body"]["tables"]
    assert len(found) == 1
    assert found[0]["PageIndex"] == 0


async def picture_tools(user: PdfcoUser) -> None:
    for kind, expected in (("jpg", "JPEG"), ("png", "PNG"), ("webp", "WEBP")):
        pictures = await user.run("pdf_to_image", "report.pdf", type=kind)
        assert len(pictures) == 3
        for picture in pictures:
            image = Image.open(io.BytesIO(picture))
            assert image.format == expected
            assert image.width / image.height == pytest.approx(595 / 842, rel=0.01)
    (tiff,) = await user.run("pdf_to_image", "report.pdf", type="tiff")
    image: Any = Image.open(io.BytesIO(tiff))
    assert (image.format, image.n_frames) == ("TIFF", 3)
    (content,) = await user.run("image_to_pdf", "picture.jpg,picture.png")
    assert page_count(content) == 2


async def making_tools(user: PdfcoUser, demo_site: str) -> None:
    (letter,) = await user.run("document_to_pdf", "letter.rtf")
    assert "important" in text_of(letter)
    (numbers,) = await user.run("csv_to_pdf", "numbers.csv")
    assert "ada" in text_of(numbers)
    (mail,) = await user.run("email_to_pdf", "mail.eml")
    assert "Words of the mail" in text_of(mail)
    assert "The subject line" in text_of(mail)
    (page,) = await user.run(
        "html_to_pdf", html="<h1>Printed heading</h1>", paperSize="A5", orientation="Landscape",
        margins="10mm", header="<b style='font-size:9px'>On top</b>", footer="<span class=pageNumber></span>",
    )  # fmt: skip
    assert "Printed heading" in text_of(page)
    with pypdfium2.PdfDocument(page) as pdf:
        assert pdf[0].get_size() == pytest.approx((595, 420), abs=2)
    (site,) = await user.run("webpage_to_pdf", url=f"http://{demo_site}/index.html")
    assert len(text_of(site).split()) > 50


async def excel_tools(user: PdfcoUser) -> None:
    for kind in ("csv", "json", "html", "txt", "xml"):
        (content,) = await user.run(f"excel_to_{kind}", "book.xlsx")
        assert "apple" in content.decode("utf-8-sig"), kind
        (second,) = await user.run(f"excel_to_{kind}", "book.xlsx", worksheetIndex="2")
        assert "second sheet" in second.decode("utf-8-sig"), kind
        assert "apple" not in second.decode("utf-8-sig"), kind
    (pdf,) = await user.run("excel_to_pdf", "book.xlsx")
    assert "apple" in text_of(pdf)


async def structure_tools(user: PdfcoUser) -> None:
    (merged,) = await user.run("pdf_merge", "report.pdf,form.pdf,picture.png")
    assert page_count(merged) == 5
    assert set(fields_of(merged)) == {"name", "agree"}
    parts = await user.run("pdf_split", "report.pdf", pages="1-2,3")
    assert [page_count(part) for part in parts] == [2, 1]
    assert LINES[2] in text_of(parts[1])
    assert await user.run("extract_attachments", "attached.pdf") == [b"attached notes"]


async def form_tools(user: PdfcoUser) -> None:
    form = json.loads((await user.run("read_pdf_forms_info", "form.pdf"))[0])
    names = {field["FieldName"] for field in form["info"]["FieldsInfo"]["Fields"]}
    assert names == {"name", "agree"}
    fields = [{"fieldName": "name", "pages": "0", "text": "Zoë Ünïcode"}]
    (filled,) = await user.run("fill_forms", "form.pdf", fields=fields)
    assert fields_of(filled)["name"] == "Zoë Ünïcode"
    annotations = [
        {"type": "TextField", "x": 50, "y": 50, "size": 12, "pages": "0", "id": "added"},
        {"type": "Checkbox", "x": 50, "y": 90, "size": 12, "pages": "0", "id": "box"},
    ]
    (made,) = await user.run("create_fillable_forms", "report.pdf", annotations=annotations)
    assert set(fields_of(made)) == {"added", "box"}
    (edited,) = await user.run(
        "pdf_add_annotations_images_fields", "report.pdf",
        annotations=[{"text": "Written on top", "x": 100, "y": 100, "size": 14, "pages": "0"}],
        images=[
            {"url": user.links["picture.png"], "x": 100, "y": 200, "width": 80, "height": 50, "pages": "0"}
        ],
    )  # fmt: skip
    assert "Written on top" in text_of(edited)
    with pypdfium2.PdfDocument(edited) as pdf:
        pixel: Any = pdf[0].render(scale=1).to_pil().getpixel((140, 225))
    assert pixel[0] > 150 > pixel[1]


async def password_tools(user: PdfcoUser) -> None:
    (locked,) = await user.run(
        "pdf_add_password",
        "report.pdf",
        owner_password="boss",
        user_password="secret",
        allow_print_document=True,
    )
    with pytest.raises(pypdfium2.PdfiumError):
        text_of(locked)
    assert LINES[0] in text_of(locked, "secret")
    (opened,) = await user.run("pdf_remove_password", "locked.pdf", password="open")
    assert LINES[0] in text_of(opened)


async def scan_tools(user: PdfcoUser) -> None:
    assert "Scanned" not in text_of((await user.run("pdf_make_unsearchable", "report.pdf"))[0])
    (flat,) = await user.run("pdf_make_unsearchable", "report.pdf")
    assert text_of(flat).strip() == ""
    assert page_count(flat) == 3
    (searchable,) = await user.run("pdf_make_searchable", "scan.pdf")
    assert "Scanned words here" in " ".join(text_of(searchable).split())
