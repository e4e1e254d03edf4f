"""What others depend on, as data: the API's documents, tools, records, errors, commands, settings
and names.

``python tests/compatibility/recording.py`` writes it to ``recorded/``; ``test_compatibility.py``
compares what the code gives now with what was recorded. Record again only to add what is new on
purpose.
"""

from __future__ import annotations

import asyncio
import dataclasses
import importlib.metadata
import json
import sys
import tempfile
import urllib.error
import urllib.request
from argparse import ArgumentParser, _SubParsersAction  # pyright: ignore[reportPrivateUsage]
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

RECORDED = Path(__file__).parent / "recorded"
sys.path[:0] = [str(Path(__file__).parents[1] / "support")]

from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport

import checkback
from checkback.cli.parser import make_parser
from checkback.core import errors
from checkback.core.errors import FailureCode
from checkback.core.estimates import Estimate
from checkback.core.job import Artifact, Attempts, Failure, Job, PhaseStart
from checkback.core.states import State
from checkback.dialects import human, mcp_tasks, native, reftrix
from checkback.dialects.pdfco import responses
from checkback.settings import Settings
from serving import Victim, serving

BEGAN = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
NOW = BEGAN + timedelta(seconds=30)


def everything() -> dict[str, Any]:
    """All recordings by name. Starts two servers."""
    with tempfile.TemporaryDirectory(prefix="checkback-recording-") as folder:
        return {
            "records": records(),
            "errors": error_envelopes(),
            "commands": commands(),
            "settings": settings(),
            "names": names(),
            **_of_servers(Path(folder)),
        }


# --- Pure functions -------------------------------------------------------------------------------


def jobs() -> Iterator[tuple[str, Job]]:
    """A job in each state, by the state's name."""
    waiting = Job(
        id="01234567-89ab-4cde-8f01-23456789abcd",
        kind="pdf.to_text",
        queue="documents",
        owner="ada",
        state=State.WAITING,
        created_at=BEGAN,
        args={"url": "https://example.org/a.pdf"},
        attempts=Attempts(0, 0, 3),
        deadline_seconds=600.0,
    )
    yield "waiting", waiting
    yield "delayed", replace(waiting, state=State.DELAYED)
    active = replace(
        waiting,
        state=State.ACTIVE,
        phase="reading",
        progress=40,
        message="page 4 of 10",
        attempts=Attempts(0, 1, 3),
        started_at=BEGAN + timedelta(seconds=2),
        phases=(PhaseStart("fetching", 0.0), PhaseStart("reading", 1.5)),
    )
    yield "active", active
    ended = replace(
        active,
        attempts=Attempts(1, 1, 3),
        finished_at=BEGAN + timedelta(seconds=9),
        expires_at=BEGAN + timedelta(hours=24),
    )
    file = Artifact("f1", "a.txt", "text/plain", 12, "0" * 64)
    result = {"outputs": ["a.txt"], "page_count": 10, "body": "text", "warnings": []}
    yield (
        "completed",
        replace(
            ended,
            state=State.COMPLETED,
            progress=100,
            result=result,
            artifacts=(file,),
            unread=True,
        ),
    )
    for code in FailureCode:
        failure = Failure(code.value, "It failed.", retryable=True, hint="Try again.")
        yield f"failed: {code.value}", replace(ended, state=State.FAILED, failure=failure)
    failure = Failure("cancelled", "The job was cancelled.", retryable=True)
    yield "cancelled", replace(ended, state=State.CANCELLED, failure=failure)


def records() -> dict[str, Any]:
    """One record in each state in each dialect."""
    return {name: _in_all_dialects(job) for name, job in jobs()}


def _in_all_dialects(job: Job) -> dict[str, Any]:
    estimate = (
        Estimate(queue_position=3, eta_seconds=20) if job.state is State.WAITING else Estimate()
    )
    links = {"url": "https://example.org/files/a.txt"}
    until = BEGAN + timedelta(hours=1)
    return {
        "native job": native.job(job, now=NOW, outlook=estimate),
        "native ticket": native.ticket(job, now=NOW, steps=native.HTTP, outlook=estimate),
        "native row": native.row(job),
        "reftrix": reftrix.status(job, "r1"),
        "reftrix queued": reftrix.queued(job.id),
        "pdfco check": responses.check(job, links=links, valid_till=until, duration_ms=12),
        "pdfco submitted": responses.submitted(
            job, url="u", name="n", valid_till=until, duration_ms=12
        ),
        "pdfco finished": responses.finished(
            job, name="n", links=links, body="text", valid_till=until, duration_ms=12
        ),
        "pdfco failure": responses.failure_answer(job),
        "pdfco unknown": [responses.no_such_job(job.id, force=force) for force in (False, True)],
        "mcp task": mcp_tasks.task(job, now=NOW, kept_until=until, outlook=estimate),
        "sentence": {"summary": human.sentence(job, estimate, NOW)},
    }


def error_envelopes() -> dict[str, Any]:
    """Each error of ours in each dialect."""
    found: dict[str, Any] = {}
    for name, form in sorted(vars(errors).items()):
        if isinstance(form, type) and issubclass(form, errors.CheckbackError):
            error = form()
            found[name] = {
                "code": error.code,
                "http_status": error.http_status,
                "native": native.error(error, "r1"),
                "retry_after": native.retry_after(error),
                "pdfco": responses.refusal(error),
                "bases": [base.__name__ for base in form.__mro__[1:-3]],
            }
    found["reftrix"] = reftrix.error("CODE", "A message.", "r1")
    found["failure codes"] = sorted(code.value for code in FailureCode)
    return found


def commands() -> dict[str, Any]:
    """Every command: its help, and its options with their names, values and defaults."""
    found: dict[str, Any] = {}
    _add_command("checkback", make_parser(), found)
    return found


def _add_command(name: str, parser: ArgumentParser, found: dict[str, Any]) -> None:
    options: dict[str, Any] = {}
    for action in parser._actions:  # pyright: ignore[reportPrivateUsage]
        if isinstance(action, _SubParsersAction):
            inner = cast("_SubParsersAction[ArgumentParser]", action).choices
            for command, sub in inner.items():
                _add_command(f"{name} {command}", sub, found)
            continue
        options[" ".join(action.option_strings) or action.dest] = {
            "takes": action.nargs,
            "choices": sorted(str(choice) for choice in action.choices) if action.choices else None,
            "default": action.default
            if isinstance(action.default, (str, int, float, bool))
            else None,
            "required": action.required,
        }
    found[name] = {"help": parser.format_help(), "options": options}


def settings() -> dict[str, Any]:
    """Every setting: its variable, type and default."""
    found: dict[str, Any] = {}
    for field in dataclasses.fields(Settings):
        default = field.default
        plain = isinstance(default, (str, int, float, bool, tuple)) and field.name != "concurrency"
        found[f"CHECKBACK_{field.name.upper()}"] = {
            "type": str(field.type),
            "default": default if plain else None,
            "belongs": str(field.metadata["belongs"]) if "belongs" in field.metadata else None,
        }
    return json.loads(json.dumps(found))


def names() -> dict[str, Any]:
    """Public names, entry points, and modules that others import."""
    points = importlib.metadata.distribution("checkback").entry_points
    return {
        "public": list(checkback.__all__),
        "members": {
            name: sorted(
                member for member in dir(getattr(checkback, name)) if not member.startswith("_")
            )
            for name in checkback.__all__
            if isinstance(getattr(checkback, name), type)
        },
        "entry points": sorted(f"{point.group}: {point.name}" for point in points),
        "importable": ["checkback.kinds.pages.report.report_schema"],
    }


# --- Of a running server --------------------------------------------------------------------------

REQUESTS: list[tuple[str, str, str, bytes | None]] = [
    ("no token", "GET", "/api/jobs", None),
    ("unknown address", "GET", "/api/nothing", None),
    ("wrong method", "PUT", "/api/jobs", b"{}"),
    ("not JSON", "POST", "/api/jobs", b"{"),
    ("unknown kind", "POST", "/api/jobs", b'{"kind": "test.nothing", "args": {}}'),
    ("bad arguments", "POST", "/api/jobs", b'{"kind": "pdf.to_text", "args": {"url": 5}}'),
    ("unknown parameter", "GET", "/api/jobs?colour=red", None),
    ("unknown job", "GET", "/api/jobs/01234567-89ab-4cde-8f01-23456789abcd", None),
    ("unknown file", "GET", "/api/jobs/01234567-89ab-4cde-8f01-23456789abcd/artifacts/a.txt", None),
    ("pdfco check without id", "POST", "/v1/job/check", b"{}"),
    ("pdfco unknown id", "POST", "/v1/job/check", b'{"jobid": "nothing"}'),
    ("pdfco without url", "POST", "/v1/pdf/info", b"{}"),
    ("pdfco unknown address", "POST", "/v1/nothing", b"{}"),
]
CALLS: list[tuple[str, dict[str, Any]]] = [
    ("job_status", {"job_id": "01234567-89ab-4cde-8f01-23456789abcd"}),
    ("job_status", {}),
    ("job_submit", {"kind": "test.nothing", "args": {}}),
    ("page_get_job_status", {"job_id": "01234567-89ab-4cde-8f01-23456789abcd"}),
    ("page_get_job_status", {"job_id": "nothing"}),
    ("page_analyze", {"url": "nothing", "async": True}),
    ("get_job_check", {"job_id": "nothing"}),
    ("pdf_to_text", {"url": ""}),
]


def _of_servers(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for form in ("underscore", "dotted"):
        with serving(
            folder / form, tool_names=form, toolsets="pages,documents,jobs,lean", kinds=""
        ) as server:
            found[f"tools {form}"] = asyncio.run(_tools(server))
            if form == "underscore":
                found["openapi"] = _ask(server, "GET", "/openapi.json", None)["body"]
                found["answers"] = {
                    name: _ask(server, method, path, body, with_token=name != "no token")
                    for name, method, path, body in REQUESTS
                }
                found["tool errors"] = asyncio.run(_tool_errors(server))
    return found


def _ask(
    server: Victim, method: str, path: str, body: bytes | None, *, with_token: bool = True
) -> dict[str, Any]:
    headers = {"content-type": "application/json"}
    if with_token:
        headers["authorization"] = f"Bearer {server.ada}"
    request = urllib.request.Request(server.url + path, data=body, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            return {"status": answer.status, "body": json.load(answer)}
    except urllib.error.HTTPError as error:
        with error:
            return {"status": error.code, "body": json.load(error)}


def _client(server: Victim) -> Client[Any]:
    transport = StreamableHttpTransport(
        f"{server.url}/mcp", headers={"Authorization": f"Bearer {server.ada}"}
    )
    return Client(transport)


async def _tools(server: Victim) -> dict[str, Any]:
    async with _client(server) as client:
        listed = await client.list_tools()
    return {
        tool.name: tool.model_dump(by_alias=True, exclude_none=True, mode="json") for tool in listed
    }


async def _tool_errors(server: Victim) -> list[Any]:
    found: list[Any] = []
    async with _client(server) as client:
        for tool, arguments in CALLS:
            result = await client.call_tool(tool, arguments, raise_on_error=False)
            found.append(
                {
                    "tool": tool,
                    "arguments": arguments,
                    "isError": result.is_error,
                    "structured": result.structured_content,
                }
            )
    return found


def main() -> None:
    """Write all recordings."""
    RECORDED.mkdir(exist_ok=True)
    for name, value in everything().items():
        text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False)
        (RECORDED / f"{name.replace(' ', '_')}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
