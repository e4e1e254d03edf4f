"""A server on loopback that plays PDF.co's API as its documents describe it, with its ways to go
wrong.
"""

from __future__ import annotations

import http.server
import json
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import parse_qs, quote, urlsplit

KEY = "their-secret-key-2041"
JOB = "6YSZD3U872ZYYFEDMQCQSGEEO8YSF5WA--151-300"


@dataclass
class PlayedPdfco:
    """What the server does next, and what it was asked. Answers are used up in order; the last one
    stays.
    """

    url: str = ""
    submits: list[Any] = field(default_factory=list[Any])
    checks: list[Any] = field(default_factory=list[Any])
    files: dict[str, bytes] = field(default_factory=dict[str, bytes])
    #: What was handed in by PUT, by name, and the answer to it.
    taken: dict[str, bytes] = field(default_factory=dict[str, bytes])
    put_status: int = 200
    seen: list[tuple[str, dict[str, str], Any]] = field(
        default_factory=list[tuple[str, dict[str, str], Any]]
    )

    def asked(self, path: str) -> list[Any]:
        """The bodies of all requests to a path."""
        return [body for seen, _, body in self.seen if seen == path]


def success(url: str, **more: Any) -> dict[str, Any]:
    """A check's answer about a job that is done."""
    return {"status": "success", "message": "Success", "url": url, "jobId": JOB, "pageCount": 3, "credits": 5,
            "remainingCredits": 900, **more}  # fmt: skip


WORKING = {"status": "working", "remainingCredits": 902}
SUBMITTED = {
    "error": False,
    "status": 200,
    "jobId": JOB,
    "pageCount": 1,
    "credits": 28,
    "remainingCredits": 930,
}
HANG, RESET = "hang", "reset"


def _handler(
    played: PlayedPdfco, ending: threading.Event
) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            played.seen.append((self.path, dict(self.headers), None))
            parts = urlsplit(self.path)
            if parts.path == "/v1/file/upload/get-presigned-url":
                name = quote(parse_qs(parts.query)["name"][0])
                put, url = f"{played.url}/put/{name}?signed=1", f"{played.url}/kept/{name}"
                answer = {"presignedUrl": put, "url": url, "credits": 7, "error": False}
                self._send(200, json.dumps(answer).encode(), {})
                return
            content = played.files.get(self.path)
            self._send(200 if content is not None else 404, content or b"", {})

        def do_PUT(self) -> None:
            played.seen.append((self.path, dict(self.headers), None))
            name = urlsplit(self.path).path.removeprefix("/put/")
            played.taken[name] = self.rfile.read(int(self.headers["Content-Length"]))
            self._send(played.put_status, b"", {})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            played.seen.append((self.path, dict(self.headers), body))
            answers = played.checks if self.path == "/v1/job/check" else played.submits
            answer: Any = answers.pop(0) if len(answers) > 1 else answers[0]
            if answer == HANG:
                ending.wait(30)
                return
            if answer == RESET:
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            if self.headers.get("x-api-key") != KEY:
                answer = (401, {"error": True, "status": 401, "message": "Invalid API key"})
            parts = cast("tuple[Any, ...]", answer if isinstance(answer, tuple) else (200, answer))
            self._send(
                int(parts[0]), json.dumps(parts[1]).encode(), parts[2] if len(parts) > 2 else {}
            )

        def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


@contextmanager
def playing() -> Generator[PlayedPdfco]:
    """The server, on a free port."""
    played, ending = PlayedPdfco(), threading.Event()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(played, ending))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    played.url = f"http://127.0.0.1:{server.server_port}"
    yield played
    ending.set()
    server.shutdown()
    server.server_close()
    thread.join()
