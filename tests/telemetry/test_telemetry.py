"""A server with a collector beside it: traces from the request to the job's process, figures, log
lines.

Everything is real: exporters, server, worker, the jobs' processes; only the collector is small.
"""

from __future__ import annotations

import itertools
import json
import re
import secrets
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp_types.version import LATEST_MODERN_VERSION
from prometheus_client.parser import text_string_to_metric_families

from checkback.core.trace_context import TraceContext
from checkback.dialects.mcp_tasks import EXTENSION
from checkback.security.auth.callers import Scope
from checkback.security.auth.token_files import add_token
from collecting import Collector, Recorded, collecting, until
from serving import Victim, serving

ROOT = Path(__file__).parent.parent.parent
SERVER, PRODUCER, CONSUMER, INTERNAL = 2, 4, 5, 1
CANARY = "canary-words-of-arguments"
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@dataclass
class Watched:
    """A server, and who collects what it sends."""

    server: Victim
    collector: Collector
    client: httpx2.Client
    metrics_token: str

    def submit(self, kind: str, args: dict[str, Any], **headers: str) -> str:
        answer = self.client.post("/api/jobs", json={"kind": kind, "args": args}, headers=headers)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def ended(self, job_id: str) -> dict[str, Any]:
        job = self.client.get(f"/api/jobs/{job_id}", params={"wait": 50}).json()
        assert job["is_final"]
        return job

    def traced(self, kind: str, args: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
        """Run a job in a trace of its own: the trace, the caller's span, the job at its end."""
        trace_id, span_id = secrets.token_hex(16), secrets.token_hex(8)
        job_id = self.submit(kind, args, traceparent=f"00-{trace_id}-{span_id}-01")
        return trace_id, span_id, self.ended(job_id)

    def scrape(self) -> Samples:
        answer = self.client.get(
            "/metrics", headers={"authorization": f"Bearer {self.metrics_token}"}
        )
        assert answer.status_code == 200, answer.text
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
        }

    def lines(self) -> list[dict[str, Any]]:
        return [
            json.loads(line) for line in (self.server.home / "test.log").read_text().splitlines()
        ]


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """One server for all tests here."""
    with collecting() as collector, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.port}")
        patch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=the-collectors-own-key")
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        patch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "200")
        home = tmp_path_factory.mktemp("watched") / "home"
        with serving(home, log_format="json") as server, client_of(server, server.root) as client:
            # A call waits only some seconds for its job, and the first one comes before any worker
            # is there.
            first = client.post(
                "/api/jobs", json={"kind": "test.add", "args": {"a": 1, "b": 1}}
            ).json()["id"]
            assert client.get(f"/api/jobs/{first}?wait=50").json()["state"] == "completed"
            yield Watched(
                server, collector, client, add_token(home / "tokens.toml", "p", [Scope.METRICS])
            )


def client_of(server: Victim, token: str) -> httpx2.Client:
    return httpx2.Client(
        base_url=server.url, headers={"authorization": f"Bearer {token}"}, timeout=60
    )


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples.get((name, frozenset(labels.items())), 0.0)


# --- Traces ---------------------------------------------------------------------------------------


def test_one_trace_leads_from_the_request_to_the_jobs_process(watched: Watched) -> None:
    trace_id, span_id, job = watched.traced("test.say", {"words": CANARY})
    request = watched.collector.span("POST /api/jobs", trace_id)
    submit = watched.collector.span("submit test.say", trace_id)
    run = watched.collector.span("run test.say", trace_id)
    process = watched.collector.span("process test.say", trace_id)
    chain = [request, submit, run, process]
    assert request.parent_id == span_id
    assert all(below.parent_id == above.span_id for above, below in itertools.pairwise(chain))
    assert [one.kind for one in chain] == [SERVER, PRODUCER, CONSUMER, INTERNAL]
    assert [one.process for one in chain] == ["serve", "serve", "worker", "worker"]
    assert not any(one.is_error for one in chain)
    assert request.attributes["http.response.status_code"] == 202
    assert run.attributes == {
        "messaging.system": "bullmq",
        "messaging.operation.name": "run",
        "messaging.operation.type": "process",
        "messaging.destination.name": "jobs",
        "messaging.message.id": job["id"],
        "checkback.job.kind": "test.say",
        "checkback.job.attempt": 1,
        "checkback.outcome": "completed",
    }
    phases = [
        watched.collector.span(f"phase {name}", trace_id) for name in ("thinking", "speaking")
    ]
    assert {one.parent_id for one in phases} == {process.span_id}
    assert sum(one.seconds for one in phases) <= process.seconds
    assert not any(CANARY.encode() in body for body in watched.collector.bodies)


@pytest.mark.parametrize("extensions", [{}, {EXTENSION: {}}], ids=["result", "task"])
def test_a_call_over_mcp_goes_on_with_the_trace_of_its_message(
    watched: Watched, extensions: dict[str, Any]
) -> None:
    trace_id, span_id = secrets.token_hex(16), secrets.token_hex(8)
    params = {
        "name": "test_add",
        "arguments": {"a": 1, "b": 2},
        "_meta": {
            "traceparent": f"00-{trace_id}-{span_id}-01",
            "io.modelcontextprotocol/protocolVersion": LATEST_MODERN_VERSION,
            "io.modelcontextprotocol/clientInfo": {"name": "tests", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {"extensions": extensions},
        },
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    headers = {
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": LATEST_MODERN_VERSION,
        "mcp-method": "tools/call",
        "mcp-name": "test_add",
    }
    answer = watched.client.post("/mcp", json=body, headers=headers).text
    assert ('"resultType":"task"' if extensions else '"state":"completed"') in answer.replace(
        " ", ""
    ), answer
    call = watched.collector.span("tools/call test.add", trace_id)
    submit = watched.collector.span("submit test.add", trace_id)
    run = watched.collector.span("run test.add", trace_id)
    assert (call.parent_id, submit.parent_id, run.parent_id) == (
        span_id,
        call.span_id,
        submit.span_id,
    )
    name = "checkback_mcp_calls_total"
    found = until(
        watched.scrape, lambda found: value(found, name, tool="test.add", outcome="ok") > 0
    )
    assert value(found, name, tool="test.add", outcome="ok") > 0


def test_a_process_that_is_killed_ends_its_spans_as_errors(watched: Watched) -> None:
    trace_id, _, job = watched.traced("test.segfault", {})
    assert job["failure"]["code"] == "crashed"
    for name in ("run test.segfault", "process test.segfault"):
        span = watched.collector.span(name, trace_id)
        assert (span.is_error, span.attributes["error.type"]) == (True, "crashed")


def test_every_attempt_is_a_child_of_the_submit(watched: Watched, tmp_path: Path) -> None:
    trace_id, _, _ = watched.traced("test.flaky", {"path": str(tmp_path / "tries"), "failures": 2})
    submit = watched.collector.span("submit test.flaky", trace_id)

    def runs(spans: list[Recorded]) -> list[Recorded] | None:
        found = [one for one in spans if (one.name, one.trace_id) == ("run test.flaky", trace_id)]
        return found if len(found) == 3 else None

    found = watched.collector.wait(runs)
    assert {one.parent_id for one in found} == {submit.span_id}
    told = {
        one.attributes["checkback.job.attempt"]: one.attributes["checkback.outcome"]
        for one in found
    }
    assert told == {1: "failed", 2: "failed", 3: "completed"}

    def ended(samples: Samples) -> list[float]:
        name = "checkback_attempts_ended_total"
        return [
            value(samples, name, kind="test.flaky", outcome=one) for one in ("retried", "completed")
        ]

    assert ended(until(watched.scrape, lambda found: ended(found) == [2, 1])) == [2, 1]


def test_a_jobs_process_knows_its_trace_and_nothing_of_the_collector(watched: Watched) -> None:
    trace_id, _, job = watched.traced("test.surroundings", {})
    process = watched.collector.span("process test.surroundings", trace_id)
    assert job["result"] == {
        "traceparent": f"00-{trace_id}-{process.span_id}-01",
        "variables": {"OTEL_SDK_DISABLED": "true"},
        "loaded": False,
    }
    # A phase that the kind does not declare could be anybody's words.
    assert watched.collector.span("phase other", trace_id).parent_id == process.span_id
    assert not any(b"words of a page" in body for body in watched.collector.bodies)


def test_a_part_belongs_to_the_trace_of_its_job(watched: Watched) -> None:
    trace_id, _, job = watched.traced("test.split", {"paths": [str(ROOT / "README.md")]})
    assert job["state"] == "completed", job
    process = watched.collector.span("process test.split", trace_id)
    assert watched.collector.span("run test.gate", trace_id).parent_id == process.span_id


def test_figures_are_sent_to_the_collector_too(watched: Watched) -> None:
    watched.traced("test.add", {"a": 1, "b": 2})
    wanted = {
        "checkback.attempts.ended",
        "checkback.attempt.duration",
        "checkback.job.wait.duration",
        "http.server.request.duration",
    }
    with watched.collector.arrived:
        assert watched.collector.arrived.wait_for(lambda: wanted <= watched.collector.metrics, 20)


# --- Figures --------------------------------------------------------------------------------------


def test_what_ended_is_counted_by_kind_and_outcome(watched: Watched) -> None:
    before = watched.scrape()
    for job_id in [watched.submit("test.large", {"size": 10}) for _ in range(3)]:
        assert watched.ended(job_id)["state"] == "completed"
    for job_id in [watched.submit("test.fail", {"retryable": False}) for _ in range(2)]:
        assert watched.ended(job_id)["state"] == "failed"
    later = watched.client.post(
        "/api/jobs", json={"kind": "test.pid", "delay_seconds": 600}
    ).json()["id"]
    assert watched.client.post(f"/api/jobs/{later}/cancel").status_code == 200

    def added(samples: Samples, name: str, **labels: str) -> float:
        return value(samples, name, **labels) - value(before, name, **labels)

    def ended(samples: Samples, kind: str, outcome: str) -> float:
        return added(samples, "checkback_attempts_ended_total", kind=kind, outcome=outcome)

    def all_ended(samples: Samples) -> bool:
        return (
            ended(samples, "test.fail", "failed") == 2
            and ended(samples, "test.pid", "cancelled") == 1
        )

    found = until(watched.scrape, all_ended)
    assert ended(found, "test.pid", "cancelled") == 1
    assert (ended(found, "test.large", "completed"), ended(found, "test.fail", "failed")) == (3, 2)
    assert ended(found, "test.large", "failed") == ended(found, "test.fail", "completed") == 0
    for name in ("checkback_attempt_seconds", "checkback_job_wait_seconds"):
        assert added(found, f"{name}_count", kind="test.large") == 3
        assert added(found, f"{name}_bucket", kind="test.large", le="+Inf") == 3
    assert added(found, "checkback_attempt_seconds_sum", kind="test.large") > 0
    posted = {"route": "/api/jobs", "method": "POST", "status": "202"}
    assert added(found, "checkback_http_requests_total", **posted) == 6
    assert added(found, "checkback_jobs", queue="jobs", state="completed") == 3
    assert value(found, "checkback_workers") == value(found, "checkback_store_up") == 1


def test_an_address_that_is_none_makes_no_series_of_its_own(watched: Watched) -> None:
    name = f"/no-such-place-{secrets.token_hex(4)}"
    assert watched.client.get(name).status_code == 404
    assert watched.client.request("BREW", "/api/jobs").status_code == 405
    found = watched.scrape()
    other = {"route": "other", "method": "GET", "status": "404"}
    assert value(found, "checkback_http_requests_total", **other) > 0
    assert not any(name in part or "BREW" in part for _, labels in found for _, part in labels)


def test_figures_are_for_admins_and_for_tokens_that_are_for_nothing_else(watched: Watched) -> None:
    def status(path: str, token: str | None) -> int:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return httpx2.get(watched.server.url + path, headers=headers, timeout=60).status_code

    assert status("/metrics", None) == 401
    assert status("/metrics", watched.server.ada) == 403
    assert (
        status("/metrics", watched.server.root) == status("/metrics", watched.metrics_token) == 200
    )
    for path in ("/api/jobs", "/api/kinds", "/", "/mcp", "/v1/account/credit/balance"):
        assert status(path, watched.metrics_token) == 403, path


def test_every_figure_of_the_dashboard_and_the_document_is_one_that_is_there(
    watched: Watched,
) -> None:
    trace_id, _, _ = watched.traced("test.add", {"a": 1, "b": 2})
    watched.collector.span("run test.add", trace_id)
    answer = watched.client.get("/metrics").text
    families = {family.name: family.type for family in text_string_to_metric_families(answer)}
    names: set[str] = set()
    for name, kind in families.items():
        ends = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"]}.get(kind, [""])
        names |= {name + end for end in ends}
    dashboard = (ROOT / "examples" / "grafana-dashboard.json").read_text()
    used = set(re.findall(r"\b(?:checkback|process)_[a-z_]+", dashboard))
    assert used and used <= names
    page = (ROOT / "docs" / "telemetry.md").read_text()
    documented = set(re.findall(r"^\| `(checkback_\w+)` \|", page, re.MULTILINE))
    assert documented == {
        name + "_total" if kind == "counter" else name
        for name, kind in families.items()
        if name.startswith("checkback_")
    }


def test_the_dashboard_can_be_imported_as_it_is() -> None:
    dashboard = json.loads((ROOT / "examples" / "grafana-dashboard.json").read_text())
    (source,) = [one for one in dashboard["templating"]["list"] if one["type"] == "datasource"]
    panels = [one for one in dashboard["panels"] if one["type"] != "row"]
    assert source["query"] == "prometheus" and len(panels) >= 10
    assert len({one["id"] for one in dashboard["panels"]}) == len(dashboard["panels"])
    for panel in panels:
        assert panel["datasource"]["uid"] == f"${{{source['name']}}}", panel["title"]
        assert panel["targets"] and all(target["expr"] for target in panel["targets"])


# --- Log lines ------------------------------------------------------------------------------------


def test_every_line_of_the_log_is_an_object_that_names_job_and_request(watched: Watched) -> None:
    request_id = f"request-{secrets.token_hex(4)}"
    trace_id = secrets.token_hex(16)
    traceparent = f"00-{trace_id}-{secrets.token_hex(8)}-01"
    key = "sk-" + "a1B2c3D4e5F6g7H8i9J0"
    headers = {"x-request-id": request_id, "traceparent": traceparent}
    job_id = watched.submit("test.raise", {"text": f"{CANARY} {key}"}, **headers)
    assert watched.ended(job_id)["state"] == "failed"
    lines = watched.lines()
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    of_job = [line for line in lines if line.get("job_id") == job_id]
    about = {(one["request_id"], one["kind"], one["attempt"], one["trace_id"]) for one in of_job}
    assert about == {(request_id, "test.raise", 1, trace_id)}
    assert any("Traceback" in one["message"] and CANARY in one["message"] for one in of_job)
    assert any(one["message"].startswith("Attempt 1 ended: failed") for one in of_job)
    assert key not in (watched.server.home / "test.log").read_text()


# --- Trace context --------------------------------------------------------------------------------

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def _wrong() -> Generator[object]:
    yield from (None, 1, "", "garbage", f"00-{TRACE}-{SPAN}", f"00-{TRACE.upper()}-{SPAN}-01")
    yield from (f"ff-{TRACE}-{SPAN}-01", f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01")
    yield from (f"00-{TRACE}-{SPAN}-01-more", f"00-{TRACE}-{SPAN}-01\n00")


def test_a_trace_context_is_read_as_the_specification_says() -> None:
    read = TraceContext.parse(f"00-{TRACE}-{SPAN}-01", "vendor=1")
    assert read is not None and read == TraceContext(TRACE, SPAN, True, "vendor=1")
    assert TraceContext.from_metadata(read.to_metadata()) == read
    later = TraceContext.parse(f"cc-{TRACE}-{SPAN}-00-what-comes-later", "x" * 513)
    assert later == TraceContext(TRACE, SPAN, False)
    for wrong in _wrong():
        assert TraceContext.parse(wrong) is None, wrong
    for text in (None, "", "no json", "[]", "[" * 5000, '{"traceparent": 1}', " " * 5000):
        assert TraceContext.from_metadata(text) is None
