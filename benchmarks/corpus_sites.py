"""Real sites for benchmarks: fetched as npm or Debian packages, served on loopback, kept as raw
bundles.

A list of sites is JSON: for each a ``name``, a ``package`` (``npm:NAME@VERSION`` or
``deb:NAME=VERSION``), the ``root`` folder to serve and the ``entry`` page in it. A ``root`` begins
with the folder that the package is unpacked into, so a folder that holds the sites already needs no
fetching. The browser runs once for each site; from then on the bundle in the cache is read.
"""

# pyright: basic

from __future__ import annotations

import asyncio
import functools
import http.server
import json
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from checkback.core.job import Artifact
from checkback.kinds.browser.capture import PageCapture, load_bundle
from checkback.kinds.browser.session import browser_session
from checkback.kinds.context import Egress, Environment, JobContext
from checkback.kinds.pages.jobs.args import PageAnalyzeArgs
from checkback.kinds.pages.pipeline import analyze_page
from checkback.security.egress.client import EgressProxy

JOB_ID = "0192f1f0-0000-7000-8000-000000000001"


def fetch(site: dict[str, Any], folder: Path) -> Path:
    """The folder to serve for a site, fetched with its package manager unless it is there."""
    root = folder / site["root"]
    if (root / site["entry"]).exists():
        return root
    kind, _, package = site["package"].partition(":")
    top = folder / site["root"].split("/")[0]
    with tempfile.TemporaryDirectory() as temporary:
        if kind == "npm":
            subprocess.run(["npm", "pack", "--silent", package], cwd=temporary, check=True)
            (archive,) = Path(temporary).glob("*.tgz")
            subprocess.run(["tar", "-xzf", archive, "-C", temporary], check=True)
            (unpacked,) = (entry for entry in Path(temporary).iterdir() if entry.is_dir())
            shutil.move(unpacked, top)
        elif kind == "deb":
            subprocess.run(
                ["apt-get", "download", "-qq", package.partition("=")[0]], cwd=temporary, check=True
            )
            (archive,) = Path(temporary).glob("*.deb")
            top.mkdir(parents=True)
            subprocess.run(["dpkg-deb", "-x", archive, top], check=True)
        else:
            raise SystemExit(f"{site['name']}: no way to fetch {site['package']}")
    return root


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def served(folder: Path) -> Generator[str]:
    """A folder on loopback; its host and port."""
    handler = functools.partial(_QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


class _Folder:
    """A job's reporter that keeps its files in a folder and drops the rest."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def progress(self, phase: str | None, percent: int, message: str | None) -> None:
        pass

    def log(self, line: str) -> None:
        print(f"  {line}")

    def save(self, text: str) -> None:
        pass

    def artifact(self, name: str, content: bytes | Path, media_type: str) -> Artifact:
        body = content if isinstance(content, bytes) else content.read_bytes()
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / name).write_bytes(body)
        return Artifact(name, name, media_type, len(body), "0" * 64)


async def collect(site: dict[str, Any], root: Path, cache: Path, **args: Any) -> PageCapture:
    """Analyse a site as a job would; its files and its bundle are left in the cache."""
    kept: list[PageCapture] = []
    folder = cache / site["name"]
    with served(root) as host, tempfile.TemporaryDirectory() as temporary:
        proxy = await EgressProxy.start(allow_hosts=(host,))
        try:
            async with browser_session(Environment()) as session:
                grant = await proxy.grant("job")
                context = JobContext(
                    job_id=JOB_ID,
                    kind="page.analyze",
                    attempt=1,
                    deadline_seconds=600,
                    folder=Path(temporary),
                    reporter=_Folder(folder),
                    environment=Environment(),
                    egress=Egress(grant.proxy_url, grant.username, grant.password),
                    resource=session,
                )
                model = PageAnalyzeArgs.model_validate(
                    {"url": f"http://{host}/{site['entry']}", **args}
                )
                result = await analyze_page(model, context, session, keep=kept.append)
        finally:
            await proxy.close()
    (folder / "result.json").write_text(json.dumps(result, indent=1))
    kept[0].save(folder / "bundle.json.gz")
    return kept[0]


def bundle_of(
    site: dict[str, Any], folder: Path, cache: Path, *, again: bool = False
) -> PageCapture:
    """The bundle of a site, from the cache unless it is missing or asked for ``again``."""
    path = cache / site["name"] / "bundle.json.gz"
    if path.exists() and not again:
        return load_bundle(path)
    print(f"loading {site['name']} ...", flush=True)
    return asyncio.run(collect(site, fetch(site, folder), cache))
