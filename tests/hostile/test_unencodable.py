"""Text that is not Unicode, from a kind, an older version or another BullMQ client.

No list, no page and no connection breaks, and every request has its answer."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport
from mcp.shared.exceptions import MCPError

from checkback.engine.redis.connection import RedisConnection
from checkback.engine.redis.embedded import store_address
from checkback.engine.redis.keys import Keys
from checkback.kinds.registry import DEFAULT_QUEUE
from every_door import as_
from serving import Heard, Victim, get, post

HALVES = ["phase", "message", "log", "print", "save", "result", "keys", "text", "path"]
FAILING = ["failure", "exception", "exit", "deep", "deepest"]
FILES = ["artifact", "media type", "large"]
ERAS = ["legacy", "auto"]


def submit(victim: Victim, where: str) -> str:
    answer = post(
        victim,
        "/api/jobs",
        json.dumps({"kind": "test.half", "args": {"where": where}}).encode(),
        as_(victim.token),
    )
    assert answer.status == 202, answer.body
    return str(answer.json()["id"])


def read(victim: Victim, path: str) -> Heard:
    return get(victim, path, as_(victim.token))


def ended(victim: Victim, job_id: str) -> dict[str, Any]:
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        answer = read(victim, f"/api/jobs/{job_id}?wait=25")
        assert answer.status == 200, answer.body
        record = answer.json()
        if record["state"] in ("completed", "failed"):
            return record
    raise AssertionError("the job did not end")


def whole(value: object) -> str:
    """The value as JSON text, as a strict reader would take it."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode().decode()


@pytest.fixture(scope="module")
def jobs(victim: Victim) -> dict[str, dict[str, Any]]:
    """The ended records of all these jobs, by where each said it."""
    wanted = [*HALVES, *FAILING, *FILES, "large number"]
    ids = {where: submit(victim, where) for where in wanted}
    return {where: ended(victim, job_id) for where, job_id in ids.items()}


async def write_foreign(victim: Victim, job_id: str) -> None:
    """Put into a record what an older version or a Node worker may have left there."""
    wire = RedisConnection(store_address(victim.home), name="test")
    try:
        key = Keys().job(DEFAULT_QUEUE, job_id)
        assert await wire.call("EXISTS", key)
        progress = '{"currentPhase": "\\ud800", "message": "\\udfff", "overallProgress": 1e999}'
        await wire.call(
            *("HSET", key, "progress", progress, "data", '{"where": "\\ud800", "\\udc00": NaN}'),
            *("returnvalue", '{"\\ud800": ["\\udc00", NaN, -Infinity, 1e999, "\\u0000"]}'),
            *("cb:artifacts", json.dumps([ARTIFACT])),
        )
        await wire.call("RPUSH", f"{key}:logs", b"raw \xe9\xff line")
    finally:
        await wire.close()


ARTIFACT = {
    "id": "0" * 16,
    "name": "name\udce9.txt",
    "media_type": "text/\udce9",
    "size_bytes": 1,
    "sha256": "0" * 64,
    "attempt": 1,
}


@pytest.fixture(scope="module")
def foreign(victim: Victim, jobs: dict[str, dict[str, Any]]) -> str:
    """The id of a completed job whose record holds what cannot be encoded."""
    job_id = submit(victim, "nowhere")
    assert ended(victim, job_id)["state"] == "completed"
    asyncio.run(write_foreign(victim, job_id))
    return job_id


# --- At the child's border ------------------------------------------------------------------------


@pytest.mark.parametrize("where", HALVES)
def test_a_job_that_says_half_a_pair_ends_well(jobs: dict[str, dict[str, Any]], where: str) -> None:
    assert jobs[where]["state"] == "completed", jobs[where]


def test_each_half_is_replaced_in_the_result(jobs: dict[str, dict[str, Any]]) -> None:
    half = "half \ufffd text"
    assert jobs["text"]["result"] == half
    assert jobs["path"]["result"] == [half]
    assert jobs["result"]["result"]["rows"] == [
        half,
        "\0 and \N{GRINNING FACE}",
        ["nested", {"deep": half}],
    ]
    assert jobs["keys"]["result"] == {"a\ufffd (2)": 1, "a\ufffd (3)": 2, "a\ufffd": 3}
    assert jobs["large number"]["result"] == 10**400


def test_a_failure_keeps_its_words(jobs: dict[str, dict[str, Any]]) -> None:
    failures = {where: jobs[where]["failure"] for where in FAILING}
    assert failures["failure"]["message"] == "half \ufffd text"
    assert failures["failure"]["code"] == "broken__"  # a code is one word
    assert failures["exception"]["code"] == "internal_error"
    assert failures["deep"]["code"] == failures["deepest"]["code"] == "invalid_result"
    assert "100 levels" in failures["deep"]["message"]


def test_files_are_called_by_clean_names_and_types(
    victim: Victim, jobs: dict[str, dict[str, Any]]
) -> None:
    names = [one["name"] for one in jobs["artifact"]["artifacts"]]
    assert names == ["name\ufffd.txt", "name\ufffd (2).txt"]
    (typed,) = jobs["media type"]["artifacts"]
    assert typed["media_type"] == "application/octet-stream"
    path = f"/api/jobs/{jobs['media type']['id']}/artifacts/one.txt"
    assert read(victim, path).headers["content-type"] == "application/octet-stream"
    first = jobs["artifact"]["artifacts"][0]["id"]
    content = read(victim, f"/api/jobs/{jobs['artifact']['id']}/artifacts/{first}")
    assert (content.status, content.body.decode()) == (200, "half \ufffd text")


@pytest.mark.parametrize("where", ["phase", "message", "log", "result", "keys", "artifact", "save"])
def test_the_log_says_that_something_was_replaced(
    victim: Victim, jobs: dict[str, dict[str, Any]], where: str
) -> None:
    log = read(victim, f"/api/jobs/{jobs[where]['id']}/log").body.decode()
    # Of files both names and text are replaced; each is said once, whatever the number of files.
    assert log.count("not valid Unicode") == (2 if where == "artifact" else 1), log


# --- At every door --------------------------------------------------------------------------------


def test_over_http_lists_records_pages_and_events_answer(
    victim: Victim, jobs: dict[str, dict[str, Any]], foreign: str
) -> None:
    ids = [job["id"] for job in jobs.values()] + [foreign]
    listed = read(victim, "/api/jobs?limit=100")
    assert listed.status == 200
    assert {job["id"] for job in listed.json()["jobs"]} >= set(ids)
    whole(listed.json())
    assert read(victim, "/").status == 200
    for job_id in ids:
        for path in ("/api/jobs/{}", "/api/jobs/{}/log", "/jobs/{}"):
            answer = read(victim, path.format(job_id))
            assert answer.status == 200, (path, answer.body)
            answer.body.decode()
    for job_id in (foreign, jobs["text"]["id"], jobs["failure"]["id"]):
        events = read(victim, f"/api/jobs/{job_id}/events")
        assert (events.status, b"event: job" in events.body) == (200, True)
    record = read(victim, f"/api/jobs/{foreign}").json()
    assert record["result"] == {"\ufffd": ["\ufffd", None, None, None, "\0"]}
    assert record["artifacts"][0]["name"] == "name\ufffd.txt"


async def ask_everything(client: Client[Any], ids: list[str]) -> None:
    """Every question that shows one of these jobs; each must have its answer."""
    listed = await client.call_tool_mcp("job_list", {"limit": 100})
    assert not listed.is_error
    whole(listed.structured_content)
    for job_id in ids:
        for tool in ("job_status", "job_wait", "job_result"):
            answer = await client.call_tool_mcp(tool, {"job_id": job_id})
            whole(answer.model_dump(mode="json"))
        for part in ("", "/log"):
            whole(
                [
                    one.model_dump(mode="json")
                    for one in await client.read_resource(f"job://{job_id}{part}")
                ]
            )


@pytest.mark.parametrize("era", ERAS)
async def test_over_mcp_every_request_is_answered(
    victim: Victim, jobs: dict[str, dict[str, Any]], foreign: str, era: Any
) -> None:
    ids = [job["id"] for job in jobs.values()] + [foreign]
    transport = StreamableHttpTransport(f"{victim.url}/mcp", auth=victim.token)
    async with asyncio.timeout(120), Client(transport, mode=era) as client:
        await ask_everything(client, ids)


@pytest.mark.parametrize("era", ERAS)
async def test_over_stdio_every_request_is_answered_and_the_server_lives(
    victim: Victim, jobs: dict[str, dict[str, Any]], foreign: str, era: Any, tmp_path: Path
) -> None:
    ids = [job["id"] for job in jobs.values()] + [foreign]
    environment = os.environ | {"CHECKBACK_HOME": str(victim.home)}
    command = [sys.executable, "-m", "checkback", "mcp"]
    transport = StdioTransport(
        command[0], command[1:], env=environment, keep_alive=False, log_file=tmp_path / "mcp.log"
    )
    async with asyncio.timeout(120), Client(transport, mode=era) as client:
        await ask_everything(client, ids)


@pytest.mark.parametrize("era", ERAS)
async def test_an_answer_that_cannot_be_encoded_never_ends_the_connection(
    era: Any, tmp_path: Path
) -> None:
    program = [str(Path(__file__).parents[1] / "support" / "unencodable_server.py")]
    transport = StdioTransport(
        sys.executable, program, keep_alive=False, log_file=tmp_path / "mcp.log"
    )
    async with asyncio.timeout(60), Client(transport, mode=era) as client:
        half = await client.call_tool_mcp("half", {})
        assert half.structured_content == {"text": "half \ufffd", "number": None}
        assert half.content[0].model_dump()["text"] == "half \ufffd"
        refused = await client.call_tool_mcp("refuse", {})
        assert (refused.is_error, refused.content[0].model_dump()["text"]) == (
            True,
            "refused \ufffd",
        )
        assert (await client.call_tool_mcp("deep", {})).is_error
        (text,) = await client.read_resource("half://text")
        assert text.model_dump()["text"] == "half \ufffd"
        with pytest.raises(MCPError, match="refused \ufffd"):
            await client.read_resource("half://error")
        assert await client.list_tools()


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
async def test_the_shell_prints_it_whatever_its_terminal_takes(
    victim: Victim, jobs: dict[str, dict[str, Any]], foreign: str, encoding: str
) -> None:
    commands = [["list"], ["list", "--json"], ["check", foreign], ["check", foreign, "--json"]]
    commands += [
        ["result", jobs["result"]["id"]],
        ["log", jobs["log"]["id"]],
        ["check", jobs["failure"]["id"]],
    ]
    for command in commands:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "checkback", *command),
            env=os.environ | {"CHECKBACK_HOME": str(victim.home), "PYTHONIOENCODING": encoding},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        printed, errors = await process.communicate()
        printed.decode(encoding)
        assert b"Traceback" not in errors, (command, errors)
