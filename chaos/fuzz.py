"""``python -m chaos.fuzz --seconds 600``: requests that nobody thought of, at every way in of a
real server.

Ada's job and upload hold a mark. Bob, a stranger and Ada herself send requests made at random from
what the server says of itself (its OpenAPI document, its tools, PDF.co's endpoints, the web page),
with values of the wrong kind, and some of them with bytes changed. No answer may be an error of the
server's, none but Ada's may hold her mark, and in the end the server is as alive as before. The
same seed makes the same requests.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, urlencode

from chaos.crowd_line import Line
from chaos.fuzz_values import META, TOUGH_PATHS, any_value, mutated, value_for
from chaos.parts import Parts, Server
from checkback.dialects.pdfco.requests import ENDPOINTS
from checkback.engine.processes import tree
from checkback.security.auth.token_files import add_token

AT_ONCE = 4
ANSWER_SECONDS = 40.0
QUICK_SECONDS = 2.0
MAX_GROWTH_BYTES = 300 << 20
MARK = "the-mark-of-ada-4711"
PROBLEMS_SHOWN = 10
LOGGED = re.compile(r"Request \S+ failed|never retrieved|Exception in ASGI|Unhandled|CRITICAL")


@dataclass(slots=True)
class Request:
    """One request as it goes over the line, and who sends it."""

    who: str
    kind: str
    raw: bytes
    is_whole: bool = True


@dataclass
class Findings:
    """What was sent and what was wrong."""

    sent: Counter[str] = field(default_factory=Counter[str])
    statuses: Counter[int] = field(default_factory=Counter[int])
    problems: list[str] = field(default_factory=list[str])


class Maker:
    """Makes requests."""

    def __init__(
        self, seed: int, host: str, tokens: dict[str, str], pool: list[str], api: dict[str, Any]
    ) -> None:
        self._random = random.Random(seed)
        self._host = host
        self._tokens = tokens
        self._pool = pool
        self._operations = [
            (method.upper(), path, described)
            for path, methods in api["openapi"]["paths"].items()
            for method, described in methods.items()
        ]
        self._schemas: dict[str, Any] = {kind["name"]: kind["args_schema"] for kind in api["kinds"]}
        self._tools: list[dict[str, Any]] = api["tools"]

    def next(self) -> Request:
        """The next request."""
        chosen = self._random
        who = chosen.choices(["ada", "bob", "stranger"], [5, 3, 1])[0]
        kind = chosen.choice(["api", "submit", "pdfco", "mcp", "mcp", "page", "link"])
        method, path, headers, body = getattr(self, f"_{kind}")()
        lines = {"Host": self._host, "Connection": "close", **headers}
        if who != "stranger":
            lines["Authorization"] = f"Bearer {self._tokens[who]}"
        if body or method in ("POST", "PUT"):
            lines["Content-Length"] = str(len(body))
        head = "\r\n".join(
            [f"{method} {path} HTTP/1.1", *(f"{name}: {text}" for name, text in lines.items())]
        )
        raw = head.encode("latin-1", "replace") + b"\r\n\r\n" + body
        if chosen.random() < 0.1:
            return Request(who, "bytes", mutated(chosen, raw), is_whole=False)
        return Request(who, kind, raw)

    def _filled(self, path: str) -> str:
        return re.sub(r"\{[^}]+\}", lambda _: quote(self._word(), safe="/.%"), path)

    def _word(self) -> str:
        chosen = self._random
        return chosen.choice(self._pool) if chosen.random() < 0.5 else chosen.choice(TOUGH_PATHS)

    def _query(self, names: list[str]) -> str:
        chosen = self._random
        picked = [name for name in names if chosen.random() < 0.6]
        pairs = [(name, str(any_value(chosen, self._pool))[:200]) for name in picked]
        return f"?{urlencode(pairs, errors='replace')}" if pairs else ""

    def _api(self) -> tuple[str, str, dict[str, str], bytes]:
        method, path, described = self._random.choice(self._operations)
        names = [one["name"] for one in described.get("parameters", ()) if one.get("in") == "query"]
        names = [
            "wait" if name == "wait" and self._random.random() < 0.1 else name for name in names
        ]
        query = self._query([name for name in names if name != "wait"])
        body = self._json(any_value(self._random, self._pool)) if method == "POST" else b""
        return method, self._filled(path) + query, {"Content-Type": "application/json"}, body

    def _submit(self) -> tuple[str, str, dict[str, str], bytes]:
        kind = self._random.choice(sorted(self._schemas))
        args = value_for(self._random, self._schemas[kind], self._pool)
        body: dict[str, Any] = {"kind": kind, "args": args, "delay_seconds": 3600}
        if self._random.random() < 0.3:
            name = self._random.choice(
                ["key", "attempts", "deadline_seconds", "delay_seconds", "callback_url", "x"]
            )
            body[name] = any_value(self._random, self._pool)
        return "POST", "/api/jobs", {"Content-Type": "application/json"}, self._json(body)

    def _pdfco(self) -> tuple[str, str, dict[str, str], bytes]:
        chosen = self._random
        more = [
            "job/check",
            "file/upload",
            "file/upload/base64",
            "file/upload/get-presigned-url",
            "file/delete",
        ]
        path = f"{chosen.choice(['/v1/', '/'])}{chosen.choice([*ENDPOINTS, *more])}"
        names = [
            "url",
            "jobid",
            "async",
            "name",
            "pages",
            "profiles",
            "expiration",
            "callback",
            "file",
            "html",
            "searchString",
            "regexSearch",
            "password",
            "images",
            "annotations",
            "fields",
            "inline",
            "lang",
        ]
        given = {name: any_value(chosen, self._pool) for name in names if chosen.random() < 0.4}
        given["url"] = chosen.choice(
            [f"upload:{self._word()}", "https://pages.example/", given.get("url")]
        )
        given["async"] = True
        form = chosen.choice(["json", "json", "form", "multipart", "query"])
        if form == "query":
            text = {name: str(value)[:200] for name, value in given.items()}
            return "GET", f"{path}?{urlencode(text, errors='replace')}", {}, b""
        if form == "form":
            body = urlencode(
                {name: str(value) for name, value in given.items()}, errors="replace"
            ).encode()
            return "POST", path, {"Content-Type": "application/x-www-form-urlencoded"}, body
        if form == "multipart":
            parts = [
                f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
                for name, value in given.items()
            ]
            body = "".join([*parts, "--x--\r\n"]).encode("utf-8", "replace")
            return "POST", path, {"Content-Type": "multipart/form-data; boundary=x"}, body
        return "POST", path, {"Content-Type": "application/json"}, self._json(given)

    def _mcp(self) -> tuple[str, str, dict[str, str], bytes]:
        chosen = self._random
        tool = chosen.choice(self._tools)
        methods = [
            "tools/list",
            "resources/list",
            "resources/read",
            "completion/complete",
            "tasks/get",
            "ping",
        ]
        method = "tools/call" if chosen.random() < 0.7 else chosen.choice(methods)
        arguments: object = value_for(chosen, tool["inputSchema"], self._pool)
        if isinstance(arguments, dict) and chosen.random() < 0.9:
            given = cast("dict[str, Any]", arguments)
            given |= {name: 0 for name in ("wait_seconds", "timeout") if name in given}
            given |= {"async": True} if "async" in tool["inputSchema"]["properties"] else {}
        params: dict[str, Any] | Any = {"name": tool["name"], "arguments": arguments, "_meta": META}
        if method != "tools/call":
            params = {
                "uri": f"job://{self._word()}",
                "cursor": any_value(chosen, self._pool),
                "_meta": META,
            }
        if chosen.random() < 0.1:
            params = any_value(chosen, self._pool)
        message = {
            "jsonrpc": "2.0",
            "id": chosen.randrange(10**6),
            "method": method,
            "params": params,
        }
        lines = {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "Mcp-Protocol-Version": "2026-07-28",
            "Mcp-Method": method,
        }
        if method == "tools/call":
            lines["Mcp-Name"] = tool["name"]
        return "POST", "/mcp", lines, self._json(message)

    def _page(self) -> tuple[str, str, dict[str, str], bytes]:
        chosen = self._random
        path = chosen.choice(
            [
                "/",
                "/jobs/{id}",
                "/jobs/{id}/cancel",
                "/jobs/{id}/retry",
                "/submit",
                "/submit/{kind}",
                "/signin",
                "/static/{name}",
                "/metrics",
                "/health",
                "/nowhere/{x}",
            ]
        )
        if path.count("/") > 2 or (path in ("/signin", "/submit/{kind}") and chosen.random() < 0.5):
            body = urlencode(
                {self._word(): self._word() for _ in range(3)}, errors="replace"
            ).encode()
            return (
                "POST",
                self._filled(path),
                {"Content-Type": "application/x-www-form-urlencoded"},
                body,
            )
        return (
            "GET",
            self._filled(path) + self._query(["q", "cursor", "owner", "code", "file", "picture"]),
            {},
            b"",
        )

    def _link(self) -> tuple[str, str, dict[str, str], bytes]:
        chosen = self._random
        path = self._filled(
            chosen.choice(["/files/{a}/{b}", "/files/uploads/{a}/{b}", "/files/put/{a}/{b}/{c}"])
        )
        query = urlencode(
            {"exp": any_value(chosen, self._pool), "sig": self._word()}, errors="replace"
        )
        if "/put/" in path:
            return "PUT", f"{path}?{query}", {}, b"words"
        return "GET", f"{path}?{query}", {"Range": f"bytes={self._word()}"}, b""

    def _json(self, value: Any) -> bytes:
        return json.dumps(value).encode()


class Fuzz:
    """One run."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._seed = seed
        self.findings = Findings()

    async def run(self, seconds: float) -> None:
        """Start a server, send for so long, look whether all is well."""
        parts = Parts(self._folder, 0, None)
        tokens_file = self._folder / "tokens.toml"
        tokens = {"ada": add_token(tokens_file, "ada"), "bob": add_token(tokens_file, "bob")}
        environment = {**parts.environment, "CHECKBACK_TOKENS": str(tokens_file)}
        server = Server(environment, self._folder / "log.txt", with_worker=True)
        await server.start()
        try:
            await server.ready()
            maker = await self._prepare(server, tokens)
            before = tree.resident_bytes([server.pid])
            ends = time.monotonic() + seconds
            await asyncio.gather(*(self._send(server, maker, ends) for _ in range(AT_ONCE)))
            await self._look(server, before)
        finally:
            await asyncio.to_thread(tree.kill_tree, server.pid)
            await server.wait()

    async def _prepare(self, server: Server, tokens: dict[str, str]) -> Maker:
        ada = Line(server.url, tokens["ada"])
        done = await ada.post("/api/jobs", {"kind": "chaos.say", "args": {"words": MARK}})
        waiting = await ada.post(
            "/api/jobs", {"kind": "chaos.say", "args": {"words": MARK}, "delay_seconds": 86_400}
        )
        made = await ada.post("/v1/file/upload/base64", {"file": "aGVsbG8="})
        upload = re.search(r"/uploads/([0-9a-f]{32})/", made["url"])
        await ada.get(f"/api/jobs/{done['id']}?wait=30")
        pool = [
            done["id"],
            waiting["id"],
            upload[1] if upload else "",
            "said.txt",
            "chaos.say",
            "checkback.css",
        ]
        kinds = (await ada.get("/api/kinds"))["kinds"]
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": META}}
        listed = await _ask_mcp(server.url, tokens["ada"], message)
        api = {
            "openapi": await ada.get("/openapi.json"),
            "kinds": kinds,
            "tools": listed["result"]["tools"],
        }
        return Maker(self._seed, server.url.removeprefix("http://"), tokens, pool, api)

    async def _send(self, server: Server, maker: Maker, ends: float) -> None:
        host, _, port = server.url.removeprefix("http://").partition(":")
        while time.monotonic() < ends:
            request = maker.next()
            self.findings.sent[request.kind] += 1
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    answer = await _exchange(host, int(port), request)
            except TimeoutError:
                answer = b""
                if request.is_whole:
                    self._problem("no answer", request, answer)
            except OSError as error:
                self._problem(f"no connection ({error})", request, b"")
                return
            self._judge(request, answer)

    def _judge(self, request: Request, answer: bytes) -> None:
        found = re.match(rb"HTTP/1\.1 (\d{3})", answer)
        status = int(found[1]) if found else 0
        self.findings.statuses[status] += 1
        if status >= 500 and status != 503:
            self._problem(f"status {status}", request, answer)
        if status == 0 and request.is_whole:
            self._problem("no status", request, answer)
        if b"Traceback" in answer:
            self._problem("a traceback", request, answer)
        if request.who != "ada" and MARK.encode() in answer:
            self._problem("another owner's mark", request, answer)

    def _problem(self, what: str, request: Request, answer: bytes) -> None:
        self.findings.problems.append(
            f"{what}: {request.who}: {request.raw[:1500]!r} -> {answer[:300]!r}"
        )

    async def _look(self, server: Server, before: int) -> None:
        """Whether the server is as it was."""
        line = Line(server.url, server.token)
        began = time.monotonic()
        health = await line.get("/health")
        took = time.monotonic() - began
        if not health["ready"] or any(health["restarts"].values()):
            self.findings.problems.append(f"health: {health}")
        if took > QUICK_SECONDS:
            self.findings.problems.append(f"/health took {took:.1f} s")
        grown = tree.resident_bytes([server.pid]) - before
        if grown > MAX_GROWTH_BYTES:
            self.findings.problems.append(f"the server grew by {grown >> 20} MB")
        for row in (self._folder / "log.txt").read_text(errors="replace").splitlines():
            if LOGGED.search(row):
                self.findings.problems.append(f"log: {row[:300]}")

    def tell(self) -> None:
        """Print what was found."""
        print(f"fuzz: seed {self._seed}, {sum(self.findings.sent.values())} requests")
        for kind, number in sorted(self.findings.sent.items()):
            print(f"  {kind:20} {number:>8}")
        print(
            "  statuses: "
            + ", ".join(f"{code} {n}" for code, n in sorted(self.findings.statuses.items()))
        )
        for problem in self.findings.problems[:PROBLEMS_SHOWN]:
            print(f"PROBLEM: {problem}")
        print("FAILED" if self.findings.problems else "no answer was an error of the server's")


async def _exchange(host: str, port: int, request: Request) -> bytes:
    """The beginning of the answer; a stream of events is hung up on after its first words."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(request.raw)
        if not request.is_whole:
            writer.write_eof()
        answer = b""
        while piece := await reader.read(65536):
            answer += piece
            if b"text/event-stream" in answer and b"\r\n\r\n" in answer:
                return answer
            if len(answer) > 1 << 20:
                return answer
        return answer
    except ConnectionResetError:
        return b"" if request.is_whole else b"HTTP/1.1 400 reset"
    finally:
        writer.transport.abort()


async def _ask_mcp(url: str, token: str, message: dict[str, Any]) -> dict[str, Any]:
    host, _, port = url.removeprefix("http://").partition(":")
    body = json.dumps(message).encode()
    head = (
        f"POST /mcp HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {token}\r\n"
        f"Connection: close\r\n"
        f"Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
        f"Mcp-Protocol-Version: 2026-07-28\r\nMcp-Method: {message['method']}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(head.encode() + body)
    answer = await reader.read()
    writer.close()
    text = answer[answer.index(b'{"jsonrpc"') :]
    return json.JSONDecoder().raw_decode(text.decode())[0]


def main() -> int:
    """Run by the options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m chaos.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="how long (600)")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        fuzz = Fuzz(Path(folder), options.seed)
        asyncio.run(fuzz.run(options.seconds))
    fuzz.tell()
    return bool(fuzz.findings.problems)


if __name__ == "__main__":
    sys.exit(main())
