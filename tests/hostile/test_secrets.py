"""Canaries: secrets put in wherever a caller, a kind or a page can put one, and looked for
everywhere.
"""

from __future__ import annotations

import asyncio
import base64
import http.server
import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from fastmcp import Client
from fastmcp.client.transports import StdioTransport
from mcp.shared.exceptions import MCPError
from mcp_types.version import LATEST_MODERN_VERSION

from canary_forms import forms, unpacked
from checkback.engine.redis.connection import RedisConnection
from checkback.engine.redis.embedded import store_address
from running import ServerProcess, StartServer

MARK = "CANARY7" + "x9Qz"
"""In every secret; whoever finds it anywhere, in any form that is looked for, has found a leak."""


def key(number: int) -> str:
    """A key as a maker of models gives them out."""
    return f"sk-{MARK}{number:02d}" + "b1C2d3E4f5G6h7J8"


PAGE = f"""<!doctype html><title>Shop {key(1)}</title><meta name=description content="call with {key(2)}">
<h1>Hello {key(3)}</h1><p>Use Authorization: Bearer {key(4)}</p><script>console.error("{key(5)}")</script>"""


Told = list[tuple[str, bytes]]


class _Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(PAGE.encode())

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def page() -> Iterator[int]:
    """The port of a server whose every page shows keys."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Page) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def stores(home: Path) -> list[tuple[str, bytes]]:
    """Everything that lies in the data folder, files of jobs too: none was asked for the page as it
    came.
    """
    found: list[tuple[str, bytes]] = []
    for path in home.rglob("*"):
        if path.is_file():
            found.append((str(path.relative_to(home)), unpacked(path.read_bytes())))
    return found


async def ask_shell(server: ServerProcess, *arguments: str) -> bytes:
    """What a command prints, on both streams."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "checkback", *arguments),
        env=os.environ | {"CHECKBACK_HOME": str(server.home), "CHECKBACK_KINDS": "sample_kinds"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await process.communicate()
    return printed


async def ask_stdio(server: ServerProcess, ids: list[str], log: Path, told: Told) -> None:
    """All that is told of the jobs over standard input and output, and what that process logs."""
    environment = os.environ | {
        "CHECKBACK_HOME": str(server.home),
        "CHECKBACK_KINDS": "sample_kinds",
    }
    command = StdioTransport(
        sys.executable, ["-m", "checkback", "mcp"], env=environment, keep_alive=False, log_file=log
    )
    async with Client(command) as client:
        for job_id in ids:
            for tool in ("job.status", "job.result", "job.wait"):
                answer = await client.call_tool_mcp(tool, {"job_id": job_id})
                told.append((f"stdio {tool}", answer.model_dump_json().encode()))
            for part in ("", "/result", "/log"):
                try:
                    read = await client.read_resource(f"job://{job_id}{part}")
                    told.append((f"stdio resource {part}", repr(read).encode()))
                except MCPError as error:
                    told.append((f"stdio resource {part}", str(error).encode()))
        wrong = await client.call_tool_mcp("test.login", {"user": "ada", "password": [MARK]})
        told.append(("stdio refused", wrong.model_dump_json().encode()))
    told.append(("stdio log", log.read_bytes()))


async def dump(server: ServerProcess) -> list[tuple[str, bytes]]:
    """What every key of the store holds; the store also saves all of it to a file, uncompressed."""
    wire = RedisConnection(store_address(server.home, "admin"), name="canary")
    try:
        await wire.call("CONFIG", "SET", "rdbcompression", "no")
        await wire.call("SAVE")
        words: list[tuple[str, bytes]] = []
        for name in await wire.call("KEYS", "*"):
            kind = await wire.call("TYPE", name)
            command: dict[str, list[Any]] = {
                "hash": ["HGETALL", name],
                "list": ["LRANGE", name, 0, -1],
                "zset": ["ZRANGE", name, 0, -1],
                "set": ["SMEMBERS", name],
                "stream": ["XRANGE", name, "-", "+"],
                "string": ["GET", name],
            }
            if kind not in command:
                continue  # a lock that ended just now
            reply = await wire.call(*command[kind])
            words.append((f"key {name}", json.dumps(reply).encode("utf-8", "replace")))
        return words
    finally:
        await wire.close()


def jobs(base: str) -> list[dict[str, Any]]:
    """Submits that bring a canary each."""
    return [
        {"kind": "test.login", "args": {"user": "ada", "password": f"{MARK}-plain-words"}},
        {"kind": "test.login", "args": {"user": "ada", "password": "x", "api_key": key(21)}},
        {"kind": "test.tell_secret", "args": {"password": f"{MARK} told everywhere"}},
        {"kind": "page.analyze", "args": {"url": f"{base}/"}},
        {"kind": "test.leak", "args": {"how": "raise"}},
        {"kind": "test.leak", "args": {"how": "fail"}},
        {"kind": "test.leak", "args": {"how": "log"}},
        {"kind": "test.leak", "args": {"how": "print"}},
        {"kind": "test.leak", "args": {"how": "program"}},
        {"kind": "test.leak", "args": {"how": "traceback"}},
        {"kind": "test.leak", "args": {"how": "message"}},
    ]


async def submit_and_read(client: httpx2.AsyncClient, body: dict[str, Any], told: Told) -> str:
    response = await client.post("/api/jobs", json=body)
    assert response.status_code == 202, response.text
    told.append(("submit", response.content))
    job_id = response.json()["id"]
    paths = ["?wait=50", "/log", "/result", "/events"]
    if body["kind"] == "page.analyze":
        paths.append("/artifacts/report.json")
    for path in paths:
        answer = await client.get(f"/api/jobs/{job_id}{path}")
        told.append((f"{body['kind']} {path}", answer.content))
    assert (await client.get(f"/api/jobs/{job_id}")).json()["is_final"]
    return job_id


async def ask_mcp(client: httpx2.AsyncClient, tool: str, arguments: dict[str, Any]) -> bytes:
    return await send_mcp(client, "tools/call", {"name": tool, "arguments": arguments})


async def send_mcp(client: httpx2.AsyncClient, method: str, params: dict[str, Any]) -> bytes:
    meta = {
        "io.modelcontextprotocol/protocolVersion": LATEST_MODERN_VERSION,
        "io.modelcontextprotocol/clientInfo": {"name": "tests", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params | {"_meta": meta}}
    headers = {
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": LATEST_MODERN_VERSION,
        "mcp-method": method,
        "mcp-name": params.get("name") or params["uri"],
    }
    answer = await client.post("/mcp", json=body, headers=headers)
    assert b'"result"' in answer.content or "resources" in method, answer.text
    return answer.content


def test_a_mark_is_found_in_every_form() -> None:
    looked_for = forms(MARK)
    for before in ("", "a", "ab", "abc"):
        text = f"{before}{MARK}, and more"
        assert looked_for.search(base64.b64encode(text.encode()))
        assert looked_for.search(base64.urlsafe_b64encode(text.encode()))
    assert looked_for.search(quote(MARK, safe="").encode())
    assert looked_for.search("".join(f"%{ord(one):X}" for one in MARK).encode())
    assert not looked_for.search(b"CANARY7 alone")


@pytest.mark.chromium
@pytest.mark.slow
@pytest.mark.timeout(150)
async def test_no_secret_is_found_anywhere(
    start_server: StartServer, page: int, capfd: Any, tmp_path: Path
) -> None:
    site = f"127.0.0.1:{page}"
    server = start_server(production="false", log_level="debug", allow_hosts=site)
    told: Told = []
    headers = {"authorization": f"Bearer {server.token}"}
    async with httpx2.AsyncClient(base_url=server.url, headers=headers, timeout=60) as client:
        ids = [await submit_and_read(client, body, told) for body in jobs(f"http://{site}")]
        # Refused at the door: what was wrong is named, and not what it was.
        for body in (
            {"kind": "page.analyze", "args": {"url": f"https://user:{MARK}@example.com/"}},
            {"kind": "test.login", "args": {"user": "ada", "password": [f"{MARK}"]}},
            {"kind": "test.add", "args": {"a": 1, "b": 1, "api_key": key(20)}},
        ):
            refused = await client.post("/api/jobs", json=body)
            assert refused.status_code == 422
            told.append((f"refused {body['kind']}", refused.content))
        # PDF.co's door: a key of theirs, a password, profiles, a callback with a key in its
        # address.
        fields = {
            "url": "https://example.com/a.pdf", "async": True, "callback": f"https://example.com/hook?key={MARK}",
            "password": f"{MARK}-pw", "httpusername": "u", "httppassword": f"{MARK}-http",
            "profiles": json.dumps({"OwnerPassword": f"{MARK}-owner"}), "api_key": f"{MARK}-theirs",
        }  # fmt: skip
        done = await client.post("/v1/pdf/info", json=fields)
        assert done.status_code == 200, done.text
        told.append(("pdfco", done.content))
        check = await client.post("/v1/job/check", json={"jobid": done.json()["jobId"]})
        told.append(("pdfco check", check.content))
        # Strangers, and tokens in the wrong places.
        for wrong in ({"authorization": f"Bearer {key(30)}"}, {"x-api-key": key(31)}):
            answer = await client.get("/api/jobs", headers=wrong)
            told.append(("stranger", answer.content))
        answer = await client.get("/signin", params={"code": key(33)})
        told.append(("signin", answer.content + repr(answer.headers).encode()))
        for job_id in ids:
            for tool in ("job_status", "job_result", "job_wait"):
                told.append((f"mcp {tool}", await ask_mcp(client, tool, {"job_id": job_id})))
            for part in ("", "/result", "/log"):
                read = await send_mcp(client, "resources/read", {"uri": f"job://{job_id}{part}"})
                told.append((f"resource {part}", read))
            shown = await client.get(f"/jobs/{job_id}")
            assert shown.status_code == 200
            told.append(("web page", shown.content))
        told.append(("web list", (await client.get("/")).content))
        wrong_form = await client.post(
            "/submit/test.login", data={"password": f"{MARK}-form", "user": ""}
        )
        assert wrong_form.status_code == 422
        told.append(("web form", wrong_form.content))
        told.append(("mcp list", await ask_mcp(client, "job_list", {})))
        told.append(("list", (await client.get("/api/jobs")).content))
        told.append(("metrics", (await client.get("/metrics")).content))
    # A secret told everywhere, the page, an exception, a failure: a process for each costs a
    # second.
    commands = [
        ("list",),
        *((command, job_id) for job_id in ids[2:6] for command in ("check", "log")),
    ]
    printed = await asyncio.gather(*(ask_shell(server, *command) for command in commands))
    told += [
        (f"shell {command[0]}", words) for command, words in zip(commands, printed, strict=True)
    ]
    await ask_stdio(server, ids, tmp_path / "mcp.log", told)
    told += await dump(server)
    server.stop()
    told += stores(server.home)
    out, err = capfd.readouterr()
    told.append(("log", (out + err).encode()))
    assert any(name.endswith(".aof") for name, _ in told)
    assert "Traceback" in err, "the log has to hold what it is searched for"
    assert b"checkback_" in dict(told)["metrics"]
    assert b"Traceback" not in dict(told)["shell list"]
    assert any(b"***" in content for name, content in told if name == "shell log")
    assert len([name for name, _ in told if name.startswith("artifacts/")]) >= 4
    looked_for = forms(MARK)
    assert {name for name, content in told if looked_for.search(content)} == set()
    (report,) = [content for name, content in told if name == "page.analyze /artifacts/report.json"]
    assert b"Shop ***" in report
