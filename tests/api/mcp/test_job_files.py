"""Files of jobs, as agents get them: pictures to look at, links that open, copies in an allowed
folder.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import mcp_types
import pytest
from fastmcp import Client, FastMCP
from PIL import Image
from starlette.applications import Starlette

from checkback.api.mcp.server import build_server
from checkback.api.mcp.tools.job_files import MAX_SIDE, read_picture
from checkback.api.signed_files import SignedFilesApi
from checkback.security.auth.callers import Caller
from checkback.service import Service

ADA = Caller("ada")
BASE = "https://jobs.example.com"

Leave = Callable[[str, bytes], Awaitable[str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "saved"
    made.mkdir()
    return made


@pytest.fixture
def server(service: Service, folder: Path) -> FastMCP[None]:
    return build_server(service, caller=lambda: ADA, base_url=lambda: BASE, save_folder=folder)


@pytest.fixture
async def leave(service: Service, worker: Any, tmp_path: Path) -> Leave:
    """Runs a job that leaves one file; gives the job's id."""

    async def run(name: str, content: bytes) -> str:
        (tmp_path / "content").write_bytes(content)
        args = {"name": name, "path": str(tmp_path / "content")}
        job = (await service.submit(ADA, "test.leave", args)).job
        ended = await service.wait(ADA, job.id, 30)
        assert ended.state == "completed", ended.failure
        return job.id

    return run


def picture(size: tuple[int, int], form: str = "PNG", *, noise: bool = False) -> bytes:
    image = Image.effect_noise(size, 90).convert("RGB") if noise else Image.new("RGB", size, "teal")
    buffer = io.BytesIO()
    image.save(buffer, form)
    return buffer.getvalue()


async def result(
    server: FastMCP[None], job_id: str, *, error: bool = False, **arguments: Any
) -> Any:
    async with Client(server) as client:
        answer = await client.call_tool(
            "job_result", {"job_id": job_id, **arguments}, raise_on_error=False
        )
        assert answer.is_error is error, answer.content
        return answer


def image_of(answer: Any) -> mcp_types.ImageContent:
    (block,) = [block for block in answer.content if isinstance(block, mcp_types.ImageContent)]
    return block


async def test_a_small_picture_is_given_as_it_is(server: FastMCP[None], leave: Leave) -> None:
    content = picture((30, 20))
    answer = await result(server, await leave("shot.png", content), artifact="shot.png")
    block = image_of(answer)
    assert block.mime_type == "image/png"
    assert base64.b64decode(block.data) == content
    assert answer.structured_content["file"]["name"] == "shot.png"


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
async def test_a_large_picture_is_scaled_below_a_megabyte_and_says_so(
    server: FastMCP[None], leave: Leave, form: str
) -> None:
    content = picture((2500, 1200), form, noise=True)
    assert len(content) > 1_000_000
    answer = await result(
        server, await leave(f"page.{form.lower()}", content), artifact=f"page.{form.lower()}"
    )
    block = image_of(answer)
    assert len(block.data) < 1_000_000
    assert len(block.data) + len(json.dumps(answer.structured_content)) < 1_000_000
    with Image.open(io.BytesIO(base64.b64decode(block.data))) as shown:
        shown.load()
        assert max(shown.size) <= MAX_SIDE
        assert (
            f"scaled from 2500 x 1200 to {shown.width} x {shown.height}"
            in answer.structured_content["next_step"]
        )


MODES = {
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "JPEG": ("L", "RGB", "CMYK"),
    "GIF": ("L", "P", "RGB"),
    "WEBP": ("RGB", "RGBA"),
    "TIFF": ("1", "L", "P", "RGB", "RGBA", "CMYK"),
    "BMP": ("1", "L", "P", "RGB"),
}


@pytest.mark.parametrize("form", MODES)
async def test_every_kind_of_picture_is_shown_whole_and_made_smaller(
    tmp_path: Path, form: str
) -> None:
    for mode in MODES[form]:
        for size in ((40, 30), (MAX_SIDE + 500, 400)):
            path = tmp_path / f"{mode.replace(';', '')}-{size[0]}"
            Image.new(mode, size).save(path, form)
            shown = await read_picture(path)
            assert (shown.original_width, shown.original_height, shown.pages) == (*size, 1), mode
            with Image.open(io.BytesIO(base64.b64decode(shown.block.data))) as image:
                image.load()
                assert image.size == (shown.width, shown.height)
                assert max(image.size) <= MAX_SIDE


@pytest.mark.parametrize(("form", "pages"), [("TIFF", 3), ("GIF", 1), ("WEBP", 1)])
async def test_pages_that_are_not_shown_are_counted(
    server: FastMCP[None], leave: Leave, form: str, pages: int
) -> None:
    first, *more = [Image.new("RGB", (40, 30), color) for color in ("red", "blue", "green")]
    buffer = io.BytesIO()
    first.save(buffer, form, save_all=True, append_images=more)
    name = f"many.{form.lower()}"
    answer = await result(server, await leave(name, buffer.getvalue()), artifact=name)
    assert image_of(answer)
    said = answer.structured_content["next_step"]
    assert ("Only the first of 3 pages is shown" in said) is (pages > 1)


async def test_a_broken_picture_is_not_handed_to_a_model(
    server: FastMCP[None], leave: Leave
) -> None:
    cut_off = picture((400, 400), noise=True)[:2000]
    for content in (b"\x89PNG\r\n\x1a\n broken", cut_off, b"<svg/>", b"GIF89a"):
        answer = await result(server, await leave("shot.png", content), artifact="shot.png")
        assert not [block for block in answer.content if isinstance(block, mcp_types.ImageContent)]
        told = answer.structured_content
        assert told["next_step"].startswith("This file cannot be shown as an image.")
        assert told["file"]["url"].startswith(BASE)


async def test_every_file_has_a_link_that_opens_without_a_token_and_a_name_that_a_person_knows(
    server: FastMCP[None], service: Service, leave: Leave
) -> None:
    content = b"%PDF-1.4 \x00\xff not text"
    job_id = await leave("report of May.pdf", content)
    answer = await result(server, job_id, artifact="report of May.pdf")
    async with Client(server) as client:
        ticket: Any = await client.call_tool("job_status", {"job_id": job_id})
    told = ticket.structured_content["artifacts"][0]
    assert told["name"] == answer.structured_content["file"]["name"] == "report of May.pdf"
    assert told["url"].startswith(f"{BASE}/files/{job_id}/")
    assert json.loads(ticket.content[1].text)["artifacts"][0]["url"] == told["url"]
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(Starlette(routes=SignedFilesApi(service).routes())),
        base_url=BASE,
    ) as http:
        urls: list[str] = [told["url"], answer.structured_content["file"]["url"]]
        for url in urls:
            assert (await http.get(url)).content == content
            parts = urlsplit(url)
            forged = dict(parse_qsl(parts.query)) | {"sig": "x" * 32}
            assert (await http.get(f"{BASE}{parts.path}", params=forged)).status_code >= 400


async def test_a_file_is_saved_in_the_allowed_folder(
    server: FastMCP[None], leave: Leave, folder: Path
) -> None:
    job_id = await leave("a.bin", b"\x00\x01")
    answer = await result(server, job_id, artifact="a.bin", save_as="mine.bin")
    assert answer.structured_content["saved_to"] == str(folder / "mine.bin")
    assert (folder / "mine.bin").read_bytes() == b"\x00\x01"


BAD_NAMES = (
    "", ".", "..", "../x", "/tmp/x", "a/b", "a\\b", ".bashrc", "a\nb", "a\0b", "x" * 300, "\u202etxt.exe",
)  # fmt: skip


async def test_a_name_that_is_not_a_plain_one_is_refused(
    server: FastMCP[None], leave: Leave, folder: Path
) -> None:
    job_id = await leave("a.bin", b"\x00")
    for name in BAD_NAMES:
        answer = await result(server, job_id, error=True, artifact="a.bin", save_as=name)
        assert answer.structured_content["error"]["code"] == "invalid_input", name
    assert list(folder.iterdir()) == []


async def test_nothing_is_overwritten_and_no_link_is_followed(
    server: FastMCP[None], leave: Leave, folder: Path, tmp_path: Path
) -> None:
    job_id = await leave("a.bin", b"\x00new")
    (folder / "there.bin").write_bytes(b"old")
    outside = tmp_path / "outside.bin"
    (folder / "link.bin").symlink_to(outside)
    (folder / "folder.bin").mkdir()
    for name in ("there.bin", "link.bin", "folder.bin"):
        answer = await result(server, job_id, error=True, artifact="a.bin", save_as=name)
        assert answer.structured_content["error"]["code"] == "conflict"
        assert name in answer.structured_content["error"]["message"]
    assert (folder / "there.bin").read_bytes() == b"old"
    assert not outside.exists()


async def test_without_an_allowed_folder_saving_is_not_there(
    service: Service, leave: Leave
) -> None:
    server = build_server(service, caller=lambda: ADA)
    job_id = await leave("a.bin", b"\x00")
    answer = await result(server, job_id, error=True, artifact="a.bin", save_as="x.bin")
    assert "save_as" in answer.structured_content["error"]["message"]
    async with Client(server) as client:
        (tool,) = [tool for tool in await client.list_tools() if tool.name == "job_result"]
    assert "save_as" not in tool.input_schema["properties"]
    assert tool.annotations is not None and tool.annotations.read_only_hint is True


async def test_a_file_of_somebody_else_does_not_exist(
    service: Service, leave: Leave, folder: Path
) -> None:
    job_id = await leave("a.bin", b"\x00")
    server = build_server(service, caller=lambda: Caller("bob"), save_folder=folder)
    for more in ({}, {"save_as": "x"}):
        answer = await result(server, job_id, error=True, artifact="a.bin", **more)
        assert answer.structured_content["error"]["code"] == "job_not_found"
    assert list(folder.iterdir()) == []
