"""Which checks apply to every route and every tool: found by trying, and compared with
docs/security.md.

A route or a tool that is added appears here by itself. ``WRITE_TABLES=1`` writes the tables anew:
read what changed.
"""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2
from fastmcp.utilities.asgi_transport import StreamingASGITransport
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp

from checkback.api.operations import Resource
from checkback.app.connect import Connection
from checkback.app.web import Activity, make_application
from checkback.core.tool_names import underscore
from checkback.kinds import registry
from checkback.security.auth.callers import Caller, Scope
from checkback.security.auth.token_files import add_token
from every_door import META, UNKNOWN

DOCUMENT = Path(__file__).parents[2] / "docs" / "security.md"
BASE = "http://127.0.0.1:8787"
JSON = {"content-type": "application/json", "accept": "application/json, text/event-stream"}


class World:
    """The whole application, with a job, an upload and tokens of two owners."""

    def __init__(
        self, application: ASGIApp, tokens: dict[str, str], values: dict[str, str]
    ) -> None:
        self.application = application
        self.tokens = tokens
        #: What stands for the parameters of paths and the arguments of tools: Ada's.
        self.values = values
        self.cookie = ""

    async def ask(
        self, method: str, path: str, who: str = "", content: bytes = b"", **headers: str
    ) -> tuple[int, bytes]:
        """Status and beginning of an answer; streams are hung up on."""
        lines = {name.replace("_", "-"): value for name, value in headers.items()}
        if who:
            lines["authorization"] = f"Bearer {self.tokens.get(who, who)}"
        transport = StreamingASGITransport(self.application)
        async with (
            httpx2.AsyncClient(transport=transport, base_url=BASE, timeout=20) as client,
            client.stream(method, path, headers=lines, content=content) as answer,
        ):
            if answer.headers.get("content-type", "").startswith("text/event-stream"):
                async for line in answer.aiter_lines():
                    if line.startswith("data: {"):
                        return answer.status_code, line.encode()
                return answer.status_code, b""
            return answer.status_code, await answer.aread()


@asynccontextmanager
async def open_world(connection: Connection, folder: Path) -> AsyncGenerator[World]:
    """Not a fixture: what is opened here is closed by the same task."""
    file = folder / "tokens.toml"
    tokens = {
        "ada": add_token(file, "ada"),
        "bob": add_token(file, "bob"),
        "reader": add_token(file, "ada", [Scope.READ]),
    }
    connection = replace(connection, settings=replace(connection.settings, tokens=file))
    application = make_application(
        connection, port=8787, activity=Activity(), restarts={}, no_token=False
    )
    ada = Caller("ada", frozenset({Scope.READ, Scope.WRITE}))
    with connection.service.uploads.begin(ada, "a.txt") as writer:
        writer.write(b"words")
        upload = writer.finish()
    args = {"a": 1, "b": 2}
    job = (await connection.service.submit(ada, "test.add", args, delay_seconds=600)).job
    values = {"job_id": job.id, "upload_id": upload.id, "kind": "test.add", "name": "checkback.css"}
    made = World(application, tokens, {**values, "rest": "x"})
    own = find_application(application)
    async with own.router.lifespan_context(own):
        transport = httpx2.ASGITransport(application)
        async with httpx2.AsyncClient(transport=transport, base_url=BASE) as client:
            signed = await client.post("/signin", data={"token": tokens["ada"]})
        made.cookie = signed.headers["set-cookie"].partition(";")[0]
        yield made


def find_application(application: object) -> Starlette:
    """Our own routes, below all that stands before them."""
    while not isinstance(application, Starlette):
        names = ("_own", "_app", "_application")
        application = next(
            getattr(application, name) for name in names if hasattr(application, name)
        )
    return application


def every_route(application: Starlette) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = [("POST", "/mcp"), ("GET", "/mcp"), ("DELETE", "/mcp")]
    for route in application.routes:
        assert isinstance(route, Route), route
        resource = route.app if isinstance(route.app, Resource) else None
        methods: Iterable[str] = resource.operations if resource else route.methods or ()
        found += [(method, route.path) for method in sorted(methods) if method != "HEAD"]
    return found


def of_other_owners(path: str) -> bool:
    """Whether a route is asked for something that belongs to one owner."""
    return "job_id" in path or path.startswith(("/v1/", "/files/"))


BODY: dict[str, Any] = {
    "async": True,
    "name": "a.pdf",
    "html": "<p>words</p>",
    "file": "aGVsbG8=",
    "searchString": "words",
    "ownerPassword": "secret",
    "password": "secret",
    "text": "words",
}
"""Enough for every endpoint of PDF.co's API but for its source."""


def request_of(method: str, path: str, values: dict[str, str]) -> tuple[str, str, bytes]:
    """The address, the type and the body of a request that only its checks refuse."""
    at = re.sub(r"\{(\w+)(:path)?\}", lambda match: values[match[1]], path)
    if path.startswith("/v1/"):
        is_page = path == "/v1/pdf/convert/from/url"
        source = "https://pages.example/" if is_page else f"upload:{values['upload_id']}"
        given = BODY | {"url": source, "jobid": values["job_id"]}
        if method == "GET":
            return f"{at}?{urlencode(given)}", "", b""
        return at, JSON["content-type"], json.dumps(given).encode()
    if method != "POST":
        return at, "", b""
    if path == "/mcp":
        return at, JSON["content-type"], b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
    if path == "/api/jobs":
        body = b'{"kind":"test.add","args":{"a":1,"b":2},"delay_seconds":600}'
        return at, JSON["content-type"], body
    if path.startswith("/submit/"):
        return at, "application/x-www-form-urlencoded", b"a=1&b=2"
    return at, "application/octet-stream", b""


async def checks_of(world: World, method: str, path: str) -> str:
    """What is refused on one route, as a row of the table has it."""
    unknown = world.values | {"job_id": UNKNOWN, "upload_id": "0" * 32}

    async def ask(
        who: str, values: dict[str, str] = world.values, **headers: str
    ) -> tuple[int, bytes]:
        at, kind, body = request_of(method, path, values)
        lines = {"accept": JSON["accept"], **({"content_type": kind} if kind else {}), **headers}
        return await world.ask(method, at, who, body, **lines)

    stranger, _ = await ask("")
    is_link = path.startswith("/files/")
    token = "token" if stranger == 401 else "signed link" if is_link and stranger == 403 else "none"
    hosts = (
        (await ask("ada", host="evil.example"))[0],
        (await ask("ada", origin="https://evil.example"))[0],
    )
    cookie = await ask("", cookie=world.cookie, sec_fetch_site="cross-site")
    scope = "none"
    if token == "token":
        if (await ask("reader"))[0] == 403:
            scope = "write"
        if (await ask("ada", unknown))[0] == 403:
            scope = "admin or metrics"
    owner = "-"
    if token == "token" and of_other_owners(path):
        (theirs, seen), (nobodys, gone) = await ask("bob"), await ask("bob", unknown)
        same = without_ids(seen, world.values) == without_ids(gone, unknown)
        if nobodys >= 400 or path == "/v1/job/check":
            owner = "as a missing one" if theirs == nobodys and same else f"{theirs}, not {nobodys}"
    cells = (
        token,
        scope,
        "refused" if hosts == (403, 403) else f"{hosts}",
        "refused" if cookie[0] == 403 else "-",
        owner,
    )
    return " | ".join(cells)


def without_ids(body: bytes, values: dict[str, str]) -> str:
    """An answer without what names the question, or differs from one request to the next."""
    text = body.decode("utf-8", "replace")
    for value in (values["job_id"], values["upload_id"]):
        text = text.replace(value, "ID")
    text = re.sub(
        r'"(request_id|duration|form_token)": ?("[^"]*"|\d+)|value="[0-9a-f]{64}"', "", text
    )
    return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "", text)


async def test_the_table_of_checks_over_all_routes_is_that_of_the_document(
    connection: Connection, tmp_path: Path
) -> None:
    rows: defaultdict[str, list[str]] = defaultdict(list)
    async with open_world(connection, tmp_path) as world:
        everywhere = every_route(find_application(world.application))
        paths = {path for _, path in everywhere}
        for method, path in everywhere:
            if f"/v1{path}" not in paths:  # PDF.co's API is there without /v1, too
                rows[await checks_of(world, method, path)].append(f"{method} {path}")
    titles = (
        "token",
        "scope",
        "another Host or Origin",
        "another site's page",
        "another owner's",
        "routes",
    )
    made = [f"| {' | '.join(titles)} |", "|---|---|---|---|---|---|"]
    for row, routes in sorted(rows.items()):
        made.append(f"| {row} | {_listed(routes)} |")
    compare("routes", made)


def _listed(routes: list[str]) -> str:
    """Routes of one row; the many of PDF.co's API, which all read alike, as
    their number and names.
    """
    ours = [route for route in routes if " /v1/" not in route]
    theirs = sorted({route.replace("/v1/", "") for route in routes if " /v1/" in route})
    words = [f"`{route}`" for route in ours]
    if theirs:
        words.append(
            "of PDF.co's API, with and without `/v1`: " + ", ".join(f"`{one}`" for one in theirs)
        )
    return ", ".join(words)


async def call(world: World, who: str, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The result of a tool."""
    params = {"name": tool, "arguments": arguments}
    return await ask_mcp(world, who, "tools/call", params, mcp_name=tool)


async def ask_mcp(
    world: World, who: str, method: str, params: dict[str, Any], **lines: str
) -> dict[str, Any]:
    """The answer to a message without a session."""
    body = json.dumps(
        {"jsonrpc": "2.0", "id": 1, "method": method, "params": params | {"_meta": META}}
    )
    lines |= {"mcp_protocol_version": "2026-07-28", "mcp_method": method}
    _, answer = await world.ask(
        "POST",
        "/mcp",
        who,
        body.encode(),
        content_type=JSON["content-type"],
        accept=JSON["accept"],
        **lines,
    )
    said = json.loads(answer.removeprefix(b"data: "))
    return said.get("result") or said


def arguments_of(schema: dict[str, Any], values: dict[str, str], tool: str) -> dict[str, Any]:
    """Arguments that a tool takes: what it needs, and Ada's job or upload wherever one can be
    named.
    """
    made: dict[str, Any] = {}
    needed = set(schema.get("required", ()))
    for name, described in schema["properties"].items():
        if name in ("job_id", "jobId"):
            made[name] = values["job_id"]
        elif name == "url" and not tool.startswith(("page_", "webpage_")):
            made[name] = f"upload:{values['upload_id']}"
        elif name == "wait_seconds" or (name == "timeout" and tool.startswith("wait_")):
            made[name] = 0
        elif name in needed:
            made[name] = FITTING.get(name) or FITTING_TYPES[described.get("type", "string")]
    return made


FITTING: dict[str, Any] = {
    "url": "https://pages.example/",
    "urls": ["https://pages.example/"],
    "kind": "test.add",
    "args": {"a": 1, "b": 2},
    "path": "/nowhere/a.pdf",
}
FITTING_TYPES: dict[str, Any] = {
    "string": "words", "integer": 1, "number": 1, "boolean": True, "array": ["words"], "object": {},
}  # fmt: skip


async def test_the_table_of_checks_over_all_tools_is_that_of_the_document(
    connection: Connection, tmp_path: Path
) -> None:
    rows: defaultdict[str, list[str]] = defaultdict(list)
    async with open_world(connection, tmp_path) as world:
        unknown = world.values | {"job_id": UNKNOWN, "upload_id": "0" * 32}
        listed = await ask_mcp(world, "reader", "tools/list", {})
        of_tests = {underscore(kind.name) for kind in registry.all_kinds() if not kind.is_built_in}
        for tool in sorted(listed["tools"], key=lambda tool: tool["name"]):
            name: str = tool["name"]
            if name in of_tests:
                continue
            theirs, nobodys = (
                arguments_of(tool["inputSchema"], values, name)
                for values in (world.values, unknown)
            )
            refused = await call(world, "reader", name, theirs)
            scope = "write" if "scope" in json.dumps(refused.get("content")) else "none"
            owner = "-"
            if theirs != nobodys:
                told = [
                    without_ids(json.dumps(await call(world, "bob", name, given)).encode(), values)
                    for given, values in ((theirs, world.values), (nobodys, unknown))
                ]
                owner = "as a missing one" if told[0] == told[1] else "different"
            rows[f"{scope} | {owner}"].append(f"`{name}`")
    made = ["| scope | another owner's | tools |", "|---|---|---|"]
    made += [f"| {row} | {', '.join(names)} |" for row, names in sorted(rows.items())]
    compare("tools", made)


def compare(name: str, made: list[str]) -> None:
    """The lines between two marks of the document, or writes them."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    text = DOCUMENT.read_text()
    before, _, rest = text.partition(begin)
    there, _, after = rest.partition(end)
    if os.environ.get("WRITE_TABLES"):
        DOCUMENT.write_text(f"{before}{begin}\n" + "\n".join(made) + f"\n{end}{after}")
        return
    assert there.strip().splitlines() == made
