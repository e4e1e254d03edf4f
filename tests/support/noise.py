"""An owner who does its worst within the rates: a program of its own, so that it does not slow its
watcher.

``python noise.py NAME URL TOKEN DOCUMENTS`` says ``ready`` on standard output once its noise has
its full effect, and goes on until its standard input is closed.
"""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2

LARGE = 230_000
SMALL_OBJECTS = b'{"file":"aGVsbG8=","a":[' + b"{}," * 20_000_000 + b"{}]}"
NOBODY = "/nowhere/at/all"


class Noise:
    """One owner's program."""

    def __init__(self, http: httpx2.AsyncClient, documents: str) -> None:
        """``documents`` is an address below which there are two PDFs, ``short.pdf`` and
        ``long.pdf``.
        """
        self._http = http
        self._documents = documents
        self.ready = asyncio.Event()

    async def submit(self, kind: str, args: dict[str, Any], **more: Any) -> httpx2.Response:
        return await self._http.post("/api/jobs", json={"kind": kind, "args": args, **more})

    async def upload(self, content: bytes) -> httpx2.Response:
        return await self._http.post("/api/uploads", content=content)

    async def slots(self) -> None:
        """Jobs that run for as long as they may, in every slot, and as many as may wait behind
        them.
        """
        jobs = [(await self.submit("test.gate", {"path": NOBODY})).json() for _ in range(20)]
        while (await self._http.get(f"/api/jobs/{jobs[1]['id']}")).json()["state"] != "active":
            await asyncio.sleep(0.1)
        self.ready.set()
        await asyncio.Event().wait()

    async def expressions(self) -> None:
        """Regular expressions without end, with the longest deadline, one after the other."""
        args = {"url": f"{self._documents}/long.pdf", "search": "(x|xx)+y", "regex": True}
        refused = await self.submit("pdf.find_text", args, deadline_seconds=86400)
        assert refused.status_code == 422, refused.text
        waiting = [
            await self.submit("pdf.find_text", args, deadline_seconds=3600) for _ in range(10)
        ]
        while True:
            record = (await self._http.get(f"/api/jobs/{waiting[0].json()['id']}?wait=50")).json()
            assert record["failure"]["code"] == "pattern_too_slow", record
            self.ready.set()
            waiting = [
                *waiting[1:],
                await self.submit("pdf.find_text", args, deadline_seconds=3600),
            ]

    async def memory(self) -> None:
        """Large arguments that wait, until no more are taken; then some that
        are cancelled at once.
        """
        words = {"words": "x" * LARGE}
        while (await self.submit("test.say", words, delay_seconds=3600)).status_code == 202:
            pass
        self.ready.set()
        newest = (await self._http.get("/api/jobs?limit=1")).json()["jobs"][0]["id"]
        await self._http.delete(f"/api/jobs/{newest}")
        await asyncio.gather(*(self._submit_and_cancel(words) for _ in range(4)))

    async def _submit_and_cancel(self, words: dict[str, str]) -> None:
        while True:
            answer = await self.submit("test.say", words, delay_seconds=3600)
            if answer.status_code == 202:
                await self._http.post(f"/api/jobs/{answer.json()['id']}/cancel")
            else:
                await asyncio.sleep(0.02)

    async def parsing(self) -> None:
        """Bodies that are much to parse: small objects, a file in base64, arguments in small
        pieces.
        """
        file = b'{"file":"' + base64.b64encode(os.urandom(40 << 20)) + b'"}'
        many = {"paths": ["a"] * 50_000}
        headers = {"content-type": "application/json"}

        async def post(path: str, body: bytes) -> None:
            while True:
                try:
                    await self._http.post(path, content=body, headers=headers)
                except httpx2.TransportError:  # it was refused while it was sent
                    await asyncio.sleep(0.02)

        async def submit() -> None:
            while True:
                answer = await self.submit("test.split", many, delay_seconds=3600)
                if answer.status_code == 202:
                    await self._http.delete(f"/api/jobs/{answer.json()['id']}")
                self.ready.set()

        async def list_kinds() -> None:
            while True:
                await self._http.get("/api/kinds")

        await asyncio.gather(
            post("/v1/file/upload/base64", SMALL_OBJECTS),
            post("/v1/file/upload/base64", file),
            submit(),
            list_kinds(),
        )

    async def callbacks(self) -> None:
        """Jobs whose ends are told to a receiver that answers a byte now and then."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            threading.Thread(target=_drip, args=(server,), daemon=True).start()
            source = f"{self._documents}/short.pdf"
            body = {
                "url": source,
                "async": True,
                "callback": f"http://127.0.0.1:{server.getsockname()[1]}/",
            }
            while True:
                for _ in range(10):
                    await self._http.post("/v1/pdf/info", json=body)
                self.ready.set()
                await asyncio.sleep(1)

    async def streams(self) -> None:
        """As many streams and waits as are let in."""
        job_id = (await self.submit("test.add", {"a": 1, "b": 2}, delay_seconds=3600)).json()["id"]

        async def wait() -> None:
            while True:
                if (await self._http.get(f"/api/jobs/{job_id}?wait=50")).status_code == 429:
                    self.ready.set()
                    await asyncio.sleep(1)

        async def follow() -> None:
            while True:
                async with self._http.stream("GET", f"/api/jobs/{job_id}/events") as answer:
                    if answer.status_code == 429:
                        self.ready.set()
                        await asyncio.sleep(1)
                    async for _ in answer.aiter_bytes():
                        pass

        await asyncio.gather(*(wait() for _ in range(60)), *(follow() for _ in range(60)))

    async def uploads(self) -> None:
        """Files of no bytes, as many as are taken."""

        async def upload() -> None:
            while True:
                if (await self.upload(b"")).status_code == 429:
                    self.ready.set()

        await asyncio.gather(*(upload() for _ in range(4)))

    async def files(self) -> None:
        """Results that are large, until no more are taken."""
        while True:
            args = {"path": "/dev/null", "size_bytes": 20 << 20}
            answer = await self.submit("test.write_much", args)
            if answer.status_code == 202:
                await self._http.get(f"/api/jobs/{answer.json()['id']}?wait=50")
            self.ready.set()


def _drip(server: socket.socket) -> None:
    lines: list[socket.socket] = []
    server.settimeout(0.2)
    while True:
        try:
            lines.append(server.accept()[0])
            lines[-1].sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        except TimeoutError:
            pass
        except OSError:
            return
        for line in lines:
            try:
                line.sendall(b"x")
            except OSError:
                lines.remove(line)


async def _main(name: str, url: str, token: str, documents: str) -> None:
    limits = httpx2.Limits(max_connections=200)
    headers = {"authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=60, limits=limits) as http:
        noise = Noise(http, documents)
        work: Callable[[], Awaitable[None]] = getattr(noise, name)
        making = asyncio.ensure_future(work())
        ready = asyncio.ensure_future(noise.ready.wait())
        await asyncio.wait({making, ready}, return_when=asyncio.FIRST_COMPLETED)
        if making.done():
            making.result()
        print("ready", flush=True)
        closed = asyncio.ensure_future(asyncio.to_thread(sys.stdin.read))
        await asyncio.wait({making, closed}, return_when=asyncio.FIRST_COMPLETED)
        if making.done():
            making.result()
        making.cancel()


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:5]))
