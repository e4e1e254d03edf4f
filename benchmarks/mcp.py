"""Measures the MCP API in one run: the start of ``checkback mcp`` up to its list of tools compared to
an empty FastMCP server, and what a call over HTTP costs the server compared to the native HTTP API.

    python benchmarks/mcp.py [--quick] [--only start,calls]

It uses separate data folders, which it removes. Read the ratios: what is compared is measured in
turns. ``docs/performance.md`` explains each part. Costs are processor time of the server's own
process, as ``/proc`` counts it; the client, the worker and the store are not in them.
"""

# pyright: basic

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench_parts import HERE, Aim, row, title

ERAS = {"2025-11-25": "handshake", "2026-07-28": "stateless"}
MODERN = "2026-07-28"
META = "io.modelcontextprotocol/"
CLIENT = {"name": "benchmark", "version": "1"}
START_AIM, CALL_AIM = 1.3, 3.5
SETTLE_SECONDS = 3.0
"""For the worker and fork server of a background server to have started."""
COMMAND = [sys.executable, "-m", "checkback"]

EMPTY_STDIO = """
from fastmcp import FastMCP
server = FastMCP("x")
@server.tool
def add(a: int, b: int) -> int:
    "Add two numbers."
    return a + b
server.run(transport="stdio", show_banner=False)
"""
EMPTY_HTTP = EMPTY_STDIO.replace(
    'server.run(transport="stdio", show_banner=False)',
    'server.run(transport="http", port=int(__import__("sys").argv[1]), show_banner=False, log_level="error")',
)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured."""

    starts: int
    rounds: int
    calls: int


FULL = Sizes(starts=9, rounds=7, calls=300)
QUICK = Sizes(starts=3, rounds=3, calls=100)


def request(era: str, number: int, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON-RPC request as a client of that era sends it."""
    given = dict(params)
    if era == MODERN:
        given["_meta"] = {
            f"{META}protocolVersion": era,
            f"{META}clientCapabilities": {},
            f"{META}clientInfo": CLIENT,
        }
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": given}


def first_request(era: str) -> dict[str, Any]:
    """What a client of that era asks first."""
    if era == MODERN:
        return request(era, 0, "server/discover", {})
    return request(
        era, 0, "initialize", {"protocolVersion": era, "capabilities": {}, "clientInfo": CLIENT}
    )


# --- The start ------------------------------------------------------------------------------------


def until_listed(command: list[str], environment: Mapping[str, str], era: str) -> float:
    """Seconds from the start of a stdio server until its list of tools has been read."""
    begun = time.perf_counter()
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def send(message: Mapping[str, Any]) -> None:
            process.stdin.write(json.dumps(message).encode() + b"\n")  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]

        def answer(number: int) -> dict[str, Any]:
            while (message := json.loads(process.stdout.readline())).get("id") != number:  # type: ignore[union-attr]
                pass
            return message

        send(first_request(era))
        answer(0)
        if era != MODERN:
            send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        send(request(era, 1, "tools/list", {}))
        listed = answer(1)
        seconds = time.perf_counter() - begun
        assert listed["result"]["tools"]
    return seconds


def measure_start(sizes: Sizes, aims: list[Aim]) -> None:
    """From nothing to the list of tools; then again with a server that runs already."""
    title("Start of a stdio server up to its list of tools")
    with tempfile.TemporaryDirectory(prefix="checkback-bench-") as folder:
        program = Path(folder) / "empty.py"
        program.write_text(EMPTY_STDIO)
        environment = os.environ | {"CHECKBACK_HOME": f"{folder}/home", "CHECKBACK_PORT": "0"}

        def stop() -> None:
            subprocess.run(
                [*COMMAND, "stop"], env=environment, stderr=subprocess.DEVNULL, check=True
            )

        row("", "ms", "x empty", "from", "to")
        for era, name in ERAS.items():
            found: dict[str, list[float]] = {"empty": [], "cold": [], "warm": []}
            for number in range(sizes.starts + 1):
                seconds = {"empty": until_listed([sys.executable, str(program)], os.environ, era)}
                seconds["cold"] = until_listed([*COMMAND, "mcp"], environment, era)
                # A command that needs the store waits until the background server is up.
                subprocess.run([*COMMAND, "list"], env=environment, check=True, capture_output=True)
                time.sleep(SETTLE_SECONDS)
                seconds["warm"] = until_listed([*COMMAND, "mcp"], environment, era)
                stop()
                if number:  # the first round fills the caches of the disk
                    for way, value in seconds.items():
                        found[way].append(value)
            empty = statistics.median(found["empty"])
            names = {
                "empty": "an empty FastMCP server",
                "cold": "checkback mcp, no server runs yet",
                "warm": "checkback mcp, its server runs",
            }
            for way, values in found.items():
                median = statistics.median(values)
                ratio = median / empty
                row(
                    f"{era}: {names[way]}",
                    f"{median * 1000:.0f}",
                    f"{ratio:.2f}",
                    f"{min(values) * 1000:.0f}",
                    f"{max(values) * 1000:.0f}",
                )
                if way == "cold":
                    text = f"{name} era: cold start {ratio:.2f} x an empty FastMCP server"
                    text += f", at most {START_AIM} x"
                    aims.append(Aim(text, ratio <= START_AIM))


# --- Calls over HTTP ------------------------------------------------------------------------------


def processor_seconds(pid: int) -> float:
    """What a process has used of the processor since it began, all its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Line:
    """One kept connection to a server."""

    def __init__(self, url: str, token: str | None = None) -> None:
        parts = urlsplit(url)
        self._http = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        self._headers = {"authorization": f"Bearer {token}"} if token else {}

    def send(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> tuple[Any, Mapping[str, str]]:
        """The answer's JSON, from an event stream too, and its headers."""
        lines = self._headers | {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            lines["content-type"] = "application/json"
        text = None if body is None else json.dumps(body)
        try:
            self._http.request(method, path, text, lines)
            response = self._http.getresponse()
        except (http.client.RemoteDisconnected, BrokenPipeError):
            # The server closes what was idle while others had their turn.
            self._http.close()
            self._http.request(method, path, text, lines)
            response = self._http.getresponse()
        text = response.read().decode()
        assert response.status < 300, (response.status, text)
        if response.headers.get("content-type", "").startswith("text/event-stream"):
            text = [part[5:] for part in text.splitlines() if part.startswith("data:")][-1]
        headers = {name.lower(): value for name, value in response.headers.items()}
        return json.loads(text) if text.strip() else None, headers


class McpLine:
    """An MCP client of one era on a kept connection."""

    def __init__(self, url: str, era: str, token: str | None = None) -> None:
        self._line = Line(url, token)
        self._era = era
        self._numbers = itertools.count(1)
        self._headers = {
            "accept": "application/json, text/event-stream",
            "mcp_protocol_version": era,
        }
        if era == MODERN:
            return
        _, headers = self._line.send("POST", "/mcp", first_request(era), **self._headers)
        self._headers["mcp_session_id"] = headers["mcp-session-id"]
        ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        self._line.send("POST", "/mcp", ready, **self._headers)

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """One request and its result."""
        headers = dict(self._headers)
        if self._era == MODERN:
            headers["mcp_method"] = method
            if "name" in params:
                headers["mcp_name"] = params["name"]
        body = request(self._era, next(self._numbers), method, params)
        answer, _ = self._line.send("POST", "/mcp", body, **headers)
        assert "result" in answer, answer
        assert not answer["result"].get("isError"), answer
        return answer["result"]


@contextmanager
def serving(folder: str) -> Generator[tuple[subprocess.Popen[str], str, str]]:
    """``checkback serve`` with the kinds of the benchmarks: its process, its address, its token."""
    environment = os.environ | {
        "CHECKBACK_HOME": f"{folder}/home",
        "CHECKBACK_PORT": "0",
        "CHECKBACK_KINDS": str(HERE / "bench_kinds.py"),
        "CHECKBACK_LOG_LEVEL": "error",
    }
    process = subprocess.Popen(
        [*COMMAND, "serve", "--json"], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        yield process, told["url"], told["token"]
    finally:
        process.terminate()
        process.wait()


@contextmanager
def empty_serving(folder: str) -> Generator[tuple[subprocess.Popen[str], str]]:
    """A FastMCP server with one trivial tool over HTTP."""
    import socket

    program = Path(folder) / "empty_http.py"
    program.write_text(EMPTY_HTTP)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, str(program), str(port)], stderr=subprocess.DEVNULL, text=True
    )
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.05)
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def cost(pid: int, calls: int, call: Callable[[], object]) -> float:
    """Milliseconds of the server's processor time for each call."""
    before = processor_seconds(pid)
    for _ in range(calls):
        call()
    return (processor_seconds(pid) - before) / calls * 1000


def measure_calls(sizes: Sizes, aims: list[Aim]) -> None:
    """What the same question costs the server at each of its doors."""
    title("Processor time of the server for one call over HTTP")
    with (
        tempfile.TemporaryDirectory(prefix="checkback-bench-") as folder,
        serving(folder) as (ours, url, token),
        empty_serving(folder) as (empty, empty_url),
    ):
        native = Line(url, token)
        submitted, _ = native.send("POST", "/api/jobs", {"kind": "bench.empty", "args": {}})
        job_id = submitted["id"]
        native.send("GET", f"/api/jobs/{job_id}?wait=30")
        clients = {era: McpLine(url, era, token) for era in ERAS}
        others = {era: McpLine(empty_url, era) for era in ERAS}
        names = {
            tool["name"].replace(".", "_"): tool["name"]
            for tool in clients[MODERN].ask("tools/list")["tools"]
        }
        ways: dict[str, tuple[int, int, Callable[[], object]]] = {
            "native: GET /api/jobs/ID": (
                ours.pid,
                sizes.calls,
                lambda: native.send("GET", f"/api/jobs/{job_id}"),
            ),
            "native: POST /api/jobs": (
                ours.pid,
                sizes.calls // 3,
                lambda: native.send("POST", "/api/jobs", {"kind": "bench.empty", "args": {}}),
            ),
        }
        for era in ERAS:
            mine, other = clients[era], others[era]
            ways[f"{era}: status"] = (
                ours.pid,
                sizes.calls,
                lambda mine=mine: mine.ask(
                    "tools/call", name=names["job_status"], arguments={"job_id": job_id}
                ),
            )
            ways[f"{era}: submit (bench.empty)"] = (
                ours.pid,
                sizes.calls // 3,
                lambda mine=mine: mine.ask("tools/call", name=names["bench_empty"], arguments={}),
            )
            ways[f"{era}: list of tools"] = (
                ours.pid,
                sizes.calls // 3,
                lambda mine=mine: mine.ask("tools/list"),
            )
            ways[f"{era}: a call of an empty FastMCP server"] = (
                empty.pid,
                sizes.calls,
                lambda other=other: other.ask("tools/call", name="add", arguments={"a": 1, "b": 2}),
            )
        found: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(sizes.rounds + 1):
            for name, (pid, calls, call) in ways.items():
                value = cost(pid, calls, call)
                if number:
                    found[name].append(value)
    base = statistics.median(found["native: GET /api/jobs/ID"])
    row("", "ms", "x native GET")
    for name, values in found.items():
        median = statistics.median(values)
        row(name, f"{median:.2f}", f"{median / base:.1f}")
    for era, name in ERAS.items():
        ratio = statistics.median(found[f"{era}: status"]) / base
        text = f"{name} era: a status call at most {CALL_AIM} x the native one: {ratio:.1f} x"
        aims.append(Aim(text, ratio <= CALL_AIM))


PARTS = {"start": measure_start, "calls": measure_calls}


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the MCP doors of checkback.")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: a minute in all")
    parser.add_argument(
        "--only", default=",".join(PARTS), help="parts to measure: " + ", ".join(PARTS)
    )
    options = parser.parse_args()
    aims: list[Aim] = []
    for name in (name.strip() for name in options.only.split(",")):
        PARTS[name](QUICK if options.quick else FULL, aims)
    title("Aims")
    for aim in aims:
        print(f"  {aim}")


if __name__ == "__main__":
    main()
