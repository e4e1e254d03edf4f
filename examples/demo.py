"""The whole of checkback in one run: a server, a page analysis and document jobs through MCP with
live phases, their results as text.

Run it with ``scripts/demo [URL]``. It serves ``examples/demo-site`` on this machine, starts
``checkback serve`` with a separate data folder (``.demo``), and talks to it as any MCP client
would.
"""

from __future__ import annotations

import asyncio
import functools
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx2
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from checkback.security.sandbox import policy

HERE = Path(__file__).parent
SITE = HERE / "demo-site"
HOME = HERE.parent / ".demo"
console = Console()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files without a word."""

    def log_message(self, format: str, *args: Any) -> None:
        pass


def serve_site() -> str:
    """Serve the demo site from a thread; returns its host and port."""
    handler = functools.partial(QuietHandler, directory=str(SITE))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"127.0.0.1:{server.server_port}"


def start_server(allowed: str) -> tuple[subprocess.Popen[str], dict[str, str]]:
    """Start ``checkback serve`` and wait until it says where it is."""
    allow = ",".join(filter(None, [allowed, os.environ.get("CHECKBACK_ALLOW_HOSTS")]))
    environment = os.environ | {
        "CHECKBACK_HOME": str(HOME),
        "CHECKBACK_PORT": "0",
        "CHECKBACK_ALLOW_HOSTS": allow,
        "CHECKBACK_LOG_LEVEL": "warning",
    }
    if not policy.standing().are_enough:
        environment["CHECKBACK_ACCEPT_MISSING_SANDBOX"] = "1"
    command = [sys.executable, "-m", "checkback", "serve", "--json"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    line = process.stdout.readline() if process.stdout else ""
    if not line:
        sys.exit("checkback serve did not start")
    return process, json.loads(line)


def tell_sandbox(server: dict[str, str]) -> None:
    """Say which sandbox the jobs run in, and whether the demo continues without one."""
    walls = httpx2.get(f"{server['url']}/health", trust_env=False).json()["sandbox"]
    console.print(f"sandbox: {walls['walls']}", highlight=False)
    if not walls["enough"]:
        console.print(
            "  It is missing here. The demo accepts that for its own page and documents; "
            "a server of yours refuses such jobs.",
            highlight=False,
        )


async def analyse(client: Client[Any], url: str) -> dict[str, Any]:
    """Submit an analysis, show its phases while it runs, and return its status at the end."""
    answered = await client.call_tool(
        "page_analyze", {"url": url, "async": True}, raise_on_error=False
    )
    answer = answered.structured_content or {}
    if answered.is_error:
        return {
            "status": "failed",
            "failedReason": answer.get("error", {}).get("message", "refused"),
        }
    job_id = answer["jobId"]
    console.print(
        f"\n[bold]page_analyze[/] {url}\n  answered at once: job {job_id}", highlight=False
    )
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description:<11}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeElapsedColumn(),
    )
    seen: list[str] = []
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("waiting", total=100)
        while True:
            result = await client.call_tool(
                "page_get_job_status", {"job_id": job_id}, raise_on_error=False
            )
            content = result.structured_content or {}
            status = content.get("data", {})
            if not content.get("success"):
                sys.exit(content.get("error", {}).get("message", "the job was lost"))
            phase = status.get("currentPhase") or status["status"]
            if phase not in seen:
                seen.append(phase)
                if not console.is_terminal:
                    console.print(f"  {phase} {status['progress']} %", highlight=False)
            progress.update(bar, completed=status["progress"], description=phase)
            if status["status"] in ("completed", "failed"):
                return status
            await asyncio.sleep(0.15)


def tell(report: dict[str, Any]) -> None:
    """The analysis in a few sentences."""
    layout, quality = report.get("layout", {}), report.get("quality", {})
    motion, responsive = report.get("motion", {}), report.get("responsive", {})
    sections = layout.get("sections", [])
    kinds = ", ".join(str(section.get("type")) for section in sections) or "none"
    console.print(
        f"\n  [bold]{report.get('title', '')}[/]  HTTP {report.get('httpStatus')}", highlight=False
    )
    console.print(f"  {len(sections)} sections: {kinds}", highlight=False)
    design = report.get("design", {})
    console.print(f"  theme: {json.dumps(design.get('theme'))[:120]}", highlight=False)
    console.print(
        f"  motion: {len(motion.get('keyframes', []))} keyframe rules, "
        f"{motion.get('running', 0)} animations running after the load",
        highlight=False,
    )
    viewports = responsive.get("viewports", [])
    if viewports:
        names = ", ".join(f"{one.get('name')} {one.get('width')} px" for one in viewports)
        console.print(
            f"  looked at in {names}; {len(responsive.get('differences', []))} differences",
            highlight=False,
        )
    console.print(
        f"  quality: {quality.get('overallScore')} of 100, grade {quality.get('grade')}",
        highlight=False,
    )
    for one in quality.get("recommendations", [])[:3]:
        console.print(f"    - {one.get('title')}", highlight=False, markup=False)


async def show_artifacts(server: dict[str, str], job_id: str, name: str) -> None:
    """Fetch the report and the screenshot over HTTP, as any program would, and
    tell what they say.
    """
    headers = {"Authorization": f"Bearer {server['token']}"}
    async with httpx2.AsyncClient(
        base_url=server["url"], headers=headers, trust_env=False
    ) as http_client:
        report = (
            (await http_client.get(f"/api/jobs/{job_id}/artifacts/report.json"))
            .raise_for_status()
            .json()
        )
        picture = (
            await http_client.get(f"/api/jobs/{job_id}/artifacts/screenshot.jpg")
        ).raise_for_status()
    tell(report)
    path = HOME / f"{name}.jpg"
    path.write_bytes(picture.content)
    console.print(f"  screenshot: {path}", highlight=False)


async def document(client: Client[Any], tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Run a document tool, show its progress while it runs, and return its status and content at
    the end.
    """
    answer = (
        await client.call_tool(tool, arguments, raise_on_error=False)
    ).structured_content or {}
    job_id = answer.get("content", {}).get("jobId")
    if job_id is None:
        return answer
    console.print(f"\n[bold]{tool}[/]\n  answered at once: job {job_id}", highlight=False)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description:<11}"),
        BarColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("working", total=100)
        while answer.get("status") == "working":
            checked = await client.call_tool(
                "get_job_check", {"job_id": job_id}, raise_on_error=False
            )
            answer = checked.structured_content or {}
            content = answer.get("content", {})
            phase = content.get("phase") or answer.get("status", "")
            progress.update(bar, completed=content.get("progress", 100), description=phase)
    return answer


async def show_document(client: Client[Any], url: str) -> int:
    """Print a page to PDF and read the PDF's text, each a job; returns the
    number of failed ones.
    """
    printed = await document(
        client, "webpage_to_pdf", {"url": url, "paperSize": "A4", "name": "page.pdf"}
    )
    if printed.get("status") != "success":
        console.print(
            f"  failed: {printed.get('content', {}).get('message')}", highlight=False, markup=False
        )
        return 1
    link = printed["content"]["url"]
    async with httpx2.AsyncClient(trust_env=False) as http_client:
        pdf = (await http_client.get(link)).raise_for_status().content
    path = HOME / "page.pdf"
    path.write_bytes(pdf)
    count = printed["content"].get("pageCount")
    console.print(f"  {count} pages, {len(pdf) // 1024} KB: {path}", highlight=False)
    read = await document(client, "pdf_to_text", {"url": link})
    if read.get("status") != "success":
        console.print(
            f"  failed: {read.get('content', {}).get('message')}", highlight=False, markup=False
        )
        return 1
    async with httpx2.AsyncClient(trust_env=False) as http_client:
        text = (await http_client.get(read["content"]["url"])).raise_for_status().text
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    console.print(f"  {len(text.split())} words; it begins:", highlight=False)
    for line in lines[:4]:
        console.print(f"    {line[:90]}", highlight=False, markup=False)
    return 0


async def run(server: dict[str, str], urls: list[str]) -> int:
    """Analyse each page, and make documents of the first; returns the number of failed jobs."""
    failed = 0
    transport = StreamableHttpTransport(
        f"{server['url']}/mcp", headers={"Authorization": f"Bearer {server['token']}"}
    )
    async with Client(transport) as client:
        tools = await client.list_tools()
        names = ", ".join(tool.name for tool in tools[:8])
        console.print(f"connected over MCP; {len(tools)} tools: {names}, ...")
        for number, url in enumerate(urls):
            started = time.monotonic()
            status = await analyse(client, url)
            if status["status"] == "failed":
                failed += 1
                console.print(
                    f"  failed: {status.get('failedReason')}", highlight=False, markup=False
                )
                continue
            await show_artifacts(server, status["jobId"], f"screenshot-{number + 1}")
            console.print(f"  done in {time.monotonic() - started:.1f} s", highlight=False)
        failed += await show_document(client, urls[0])
    return failed


def main() -> int:
    """Start everything, run, and end what was started."""
    site = serve_site()
    process, server = start_server(site)
    tell_sandbox(server)
    try:
        return asyncio.run(run(server, [f"http://{site}/", *sys.argv[1:]]))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


if __name__ == "__main__":
    sys.exit(main())
