"""The tools of PDF.co's MCP server in our own: envelope, waiting, sources, and
what goes to PDF.co.
"""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client, FastMCP
from reportlab.pdfgen.canvas import Canvas

from checkback.api.mcp.server import build_server
from checkback.api.mcp.tools.pdfco_tools import PdfcoSetting
from checkback.core.states import State
from checkback.security.auth.callers import Caller
from checkback.service import Service
from checkback.settings import Settings
from playing_pdfco import JOB, KEY, PlayedPdfco, playing, success

ADA, EVE = Caller("ada"), Caller("eve")
OWN_TOKEN = "cb_one-of-our-own-tokens"
BASE = "http://127.0.0.1:8787"

Build = Callable[..., FastMCP[None]]


@pytest.fixture
def pdfco() -> Iterator[PlayedPdfco]:
    with playing() as played:
        yield played


@pytest.fixture
def settings(settings: Settings, pdfco: PlayedPdfco) -> Settings:
    hosts = (pdfco.url.removeprefix("http://"),)
    return replace(
        settings, pdfco_url=pdfco.url, allow_hosts=hosts, pdfco_key_owners=("local", "eve")
    )


@pytest.fixture
def build(service: Service) -> Build:
    def run(*, wait_seconds: float = 20.0, caller: Caller = ADA, **changes: Any) -> FastMCP[None]:
        setting = PdfcoSetting(
            base_url=lambda: BASE, is_own_token=lambda token: token == OWN_TOKEN, **changes
        )
        return build_server(
            service,
            caller=lambda: caller,
            pdfco=setting,
            max_wait_seconds=wait_seconds,
            kind_wait_seconds=wait_seconds,
        )

    return run


@pytest.fixture
async def client(build: Build) -> AsyncIterator[Client[Any]]:
    """A client that shares our files, as over stdio."""
    async with Client(build(local_files=True)) as opened:
        yield opened


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """A PDF of one page."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer)
    canvas.drawString(72, 700, "Words of the report")
    canvas.save()
    path = tmp_path / "report.pdf"
    path.write_bytes(buffer.getvalue())
    return path


async def call(client: Client[Any], tool: str, /, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments, raise_on_error=False)
    assert result.structured_content is not None
    answer = result.structured_content
    assert set(answer) == {"status", "content", "credits_used", "credits_remaining", "tips"}
    assert result.is_error == (answer["status"] == "error")
    return answer


async def test_checking_and_waiting_are_listed_first(build: Build) -> None:
    async with Client(build()) as client:
        names = [tool.name for tool in await client.list_tools()]
    documents = names[names.index("get_job_check") :]
    assert documents[:2] == ["get_job_check", "wait_job_completion"]


async def test_every_tool_has_annotations_and_an_output_schema(client: Client[Any]) -> None:
    for tool in await client.list_tools():
        assert tool.output_schema, tool.name
        assert tool.annotations is not None, tool.name
        assert tool.annotations.title


@pytest.mark.usefixtures("worker")
async def test_a_small_result_comes_inline_and_with_a_link(
    client: Client[Any], report: Path
) -> None:
    uploaded = await call(client, "upload_file", file_path=str(report))
    assert uploaded["status"] == "success"
    result = await client.call_tool("pdf_to_text", {"url": uploaded["content"]["url"]})
    answer = result.structured_content or {}
    assert answer["status"] == "success"
    assert "Words of the report" in answer["content"]["body"]
    assert (answer["credits_used"], answer["content"]["pageCount"]) == (0, 1)
    assert "/report.txt?" in answer["content"]["url"]
    # A link as a block by itself is a file to LangChain, which the model's API then refuses.
    assert {part.type for part in result.content} == {"text"}
    checked = await call(client, "get_job_check", job_id=answer["content"]["jobId"])
    assert checked["status"] == "success"


async def test_a_job_that_does_not_end_at_once_is_a_ticket(build: Build) -> None:
    async with Client(build(wait_seconds=0.05)) as client:
        answer = await call(client, "pdf_to_text", url="https://example.com/a.pdf")
        assert answer["status"] == "working"
        job_id = answer["content"]["jobId"]
        assert answer["content"]["url"].startswith(f"{BASE}/files/{job_id}/a.txt?")
        waited = await call(client, "wait_job_completion", job_id=job_id, timeout=300, interval=1)
        assert waited["status"] == "working"
        assert "not an error" in waited["tips"]


async def test_an_id_that_is_none_is_unknown(client: Client[Any]) -> None:
    for job_id in ("01890a5d-ac96-774b-bcce-b302099a8057", "nonsense"):
        for tool in ("get_job_check", "wait_job_completion"):
            assert (await call(client, tool, job_id=job_id))["status"] == "unknown"


async def test_a_cancelled_job_ends_the_wait_as_aborted(build: Build, service: Service) -> None:
    async with Client(build(wait_seconds=0.05)) as client:
        started = await call(client, "pdf_to_text", url="https://example.com/a.pdf")
        await service.cancel(ADA, started["content"]["jobId"])
        waited = await call(client, "wait_job_completion", job_id=started["content"]["jobId"])
        assert waited["status"] == "aborted"


async def test_bad_arguments_are_refused_with_a_reason(client: Client[Any]) -> None:
    for arguments in ({}, {"url": 5}, {"url": "x", "nonsense": 1}, {"url": "http://127.0.0.1/"}):
        answer = await call(client, "pdf_to_text", **arguments)
        assert answer["status"] == "error"
        assert answer["content"]["message"]
    assert (await call(client, "pdf_to_image", url="https://a.example/x", type="gif"))[
        "status"
    ] == "error"


async def test_a_path_crosses_no_network(build: Build, report: Path) -> None:
    async with Client(build(local_files=False)) as client:
        answer = await call(client, "upload_file", file_path=str(report))
    assert answer["status"] == "error"
    assert "/api/uploads" in answer["tips"]


async def test_our_own_token_starts_nothing_at_pdfco(client: Client[Any], service: Service) -> None:
    for tool in ("get_job_check", "wait_job_completion"):
        answer = await call(
            client, tool, job_id="6YSZD3U872ZYYFEDMQCQSGEEO8YSF5WA--151-300", api_key=OWN_TOKEN
        )
        assert answer["status"] == "unknown"
    assert (await service.list(ADA)).jobs == []


async def test_a_mistyped_id_of_ours_is_not_asked_there(build: Build, service: Service) -> None:
    async with Client(build(has_key=True)) as client:
        answer = await call(client, "get_job_check", job_id="01890a5d-ac96-774b-bcce-b302099a8057")
    assert answer["status"] == "unknown"
    assert (await service.list(ADA)).jobs == []


async def test_the_servers_key_asks_nothing_there_for_an_owner_who_may_not_use_it(
    build: Build, service: Service
) -> None:
    async with Client(build(has_key=True)) as client:
        answer = await call(
            client, "get_job_check", job_id="6YSZD3U872ZYYFEDMQCQSGEEO8YSF5WA--151-300"
        )
    assert answer["status"] == "unknown"
    assert (await service.list(ADA)).jobs == []


async def test_a_job_there_has_one_follower_however_often_it_is_asked_for(
    build: Build, service: Service
) -> None:
    remote = "6YSZD3U872ZYYFEDMQCQSGEEO8YSF5WA--151-300"
    async with Client(build(has_key=True, wait_seconds=0.05, caller=EVE)) as client:
        answers = [await call(client, "get_job_check", job_id=remote) for _ in range(2)]
        answers.append(await call(client, "get_job_check", job_id=remote, api_key="their-key"))
    assert [answer["status"] for answer in answers] == ["working"] * 3
    jobs = (await service.list(EVE)).jobs
    assert [job.kind for job in jobs] == [
        "pdfco.track"
    ] * 2  # one for the server's key, one for the caller's
    assert answers[0]["content"]["jobId"] == answers[1]["content"]["jobId"]


async def test_our_own_job_is_never_asked_for_there(build: Build, service: Service) -> None:
    submitted = await service.submit(ADA, "test.add", {"a": 1, "b": 2})
    async with Client(build(wait_seconds=0.05)) as client:
        answer = await call(client, "get_job_check", job_id=submitted.job.id, api_key="their-key")
    assert answer["status"] == "working"
    assert [job.kind for job in (await service.list(ADA)).jobs] == ["test.add"]


async def test_a_job_for_pdfco_is_one_of_ours_that_runs_there(
    build: Build, service: Service
) -> None:
    async with Client(build(wait_seconds=0.05)) as client:
        await call(
            client, "pdf_to_text", url="https://example.com/a.pdf", provider="pdfco", api_key="their-key",
            password="a-secret",
        )  # fmt: skip
    (job,) = (await service.list(ADA)).jobs
    assert (job.kind, job.state) == ("pdfco.run", State.WAITING)
    shown = (await service.get_with_args(ADA, job.id)).args
    assert shown["endpoint"] == "pdf/convert/to/text"
    assert shown["params"]["url"] == "https://example.com/a.pdf"
    assert "their-key" not in str(shown)
    assert "a-secret" not in str(shown)


async def test_a_file_of_ours_is_named_apart_for_a_job_there(
    build: Build, service: Service, report: Path
) -> None:
    async with Client(build(local_files=True, wait_seconds=0.05)) as client:
        link = (await call(client, "upload_file", file_path=str(report)))["content"]["url"]
        await call(
            client,
            "pdf_merge",
            url=f"https://example.com/a.pdf,{link}",
            provider="pdfco",
            api_key="their-key",
        )
    (job,) = (await service.list(ADA)).jobs
    shown = (await service.get_with_args(ADA, job.id)).args
    assert shown["params"]["url"] == "https://example.com/a.pdf,file:0"
    assert [file.partition(":")[0] for file in shown["files"]] == ["upload"]


@pytest.mark.usefixtures("worker")
async def test_a_follower_that_gave_up_follows_again_when_it_is_asked(
    build: Build, service: Service, pdfco: PlayedPdfco
) -> None:
    pdfco.files["/r.txt"] = b"the result"
    pdfco.checks = [(402, {"error": True, "status": 402})]
    async with Client(build()) as client:
        answer = await call(client, "wait_job_completion", job_id=JOB, api_key=KEY)
        assert answer["status"] == "failed"
        assert answer["content"]["errorCode"] == 402
        pdfco.checks = [success(f"{pdfco.url}/r.txt")]
        again = await call(client, "wait_job_completion", job_id=JOB, api_key=KEY)
        assert (again["status"], again["content"]["body"]) == ("success", "the result")
        asked = len(pdfco.asked("/v1/job/check"))
        assert (await call(client, "get_job_check", job_id=JOB, api_key=KEY))["status"] == "success"
    assert len(pdfco.asked("/v1/job/check")) == asked
    assert len((await service.list(ADA)).jobs) == 1
