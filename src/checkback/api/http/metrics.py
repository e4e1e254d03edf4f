"""``GET /metrics``: metrics for Prometheus. They cover all owners' jobs, so they need a token with
that scope.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from prometheus_client import generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from checkback.api.middleware.authentication import METRICS_PATH
from checkback.api.operations import Operation, OperationCall, OperationResult, Resource
from checkback.core.errors import EngineUnavailable, Forbidden
from checkback.engine.jobs.statistics import Statistics
from checkback.engine.worker.upkeep.totals import RUN, WAIT
from checkback.service import Service
from checkback.telemetry.measures import REGISTRY


@dataclass(frozen=True, slots=True)
class ServerFigures:
    """Figures of the server itself: restarts of its parts, and its connections."""

    restarts: Mapping[str, int]
    commands: int
    connections: int


class Metrics:
    """The handler. ``server`` returns the figures of the server itself."""

    def __init__(
        self,
        service: Service,
        server: Callable[[], ServerFigures],
        *,
        version: str,
        disk_budget_bytes: int,
    ) -> None:
        self._service = service
        self._server = server
        self._version = version
        self._disk_budget = disk_budget_bytes

    async def show(self, call: OperationCall) -> Response:
        """All metrics. Without the store only those of the server, and ``checkback_store_up`` says
        so.
        """
        began = time.perf_counter()
        families = [InfoMetricFamily("checkback_build", "This server.", {"version": self._version})]
        try:
            found = await self._service.figures(call.caller)
        except EngineUnavailable:
            families += [_gauge("checkback_store_up", "Whether the store answers.", 0)]
        else:
            seconds = time.perf_counter() - began
            families += [_gauge("checkback_store_up", "Whether the store answers.", 1)]
            families += [
                _gauge(
                    "checkback_store_read_seconds",
                    "Seconds that it took to read these metrics.",
                    seconds,
                )
            ]
            families += [*_queues(found), *_workers(found), *_totals(found), *self._disk(found)]
        families += _of_server(self._server())
        body = generate_latest(_Families(families)) + generate_latest(REGISTRY)
        return Response(body, 200, {"cache-control": "no-store"}, CONTENT_TYPE_PLAIN_0_0_4)

    def _disk(self, statistics: Statistics) -> Iterable[Metric]:
        help_text = "Disk space that artifacts and uploads use, in bytes."
        yield _gauge("checkback_disk_bytes", help_text, statistics.disk_bytes)
        help_text = "Disk space that artifacts and uploads may use, in bytes; 0 means no limit."
        yield _gauge("checkback_disk_budget_bytes", help_text, self._disk_budget)


class _Families:
    """What ``generate_latest`` asks for families."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def build_routes(metrics: Metrics, *, production: bool) -> list[BaseRoute]:
    """The one route."""
    operation = Operation(
        "getMetrics",
        "GET",
        METRICS_PATH,
        "Metrics in Prometheus's text format.",
        metrics.show,
        {200: OperationResult("The figures.", media_type="text/plain")},
        errors=[Forbidden],
    )
    return [Route(METRICS_PATH, Resource([operation], production=production))]


def _gauge(name: str, help_text: str, value: float | None) -> Metric:
    return GaugeMetricFamily(name, help_text, value)


def _queues(statistics: Statistics) -> Iterable[Metric]:
    jobs = GaugeMetricFamily(
        "checkback_jobs",
        "Jobs in each queue; cancelled ones count as failed.",
        labels=["queue", "state"],
    )
    oldest = GaugeMetricFamily(
        "checkback_queue_oldest_wait_seconds",
        "Age of the oldest waiting job in seconds.",
        labels=["queue"],
    )
    for queue, counts in statistics.counts.items():
        for state, number in counts.items():
            jobs.add_metric([queue, state], number)
        oldest.add_metric([queue], statistics.oldest_wait_seconds[queue])
    return jobs, oldest


def _workers(statistics: Statistics) -> Iterable[Metric]:
    yield _gauge("checkback_workers", "Number of running workers.", len(statistics.workers))
    help_text = "Restarts of the loops of the running workers."
    yield _gauge(
        "checkback_worker_loop_restarts",
        help_text,
        sum(one["restarts"] for one in statistics.workers),
    )
    processes = GaugeMetricFamily(
        "checkback_job_processes",
        "Processes of running jobs, and idle ones kept for the next job (each with a "
        "browser, for pages).",
        labels=["kind", "state"],
    )
    for state in ("busy", "idle"):
        for kind, number in statistics.processes(state).items():
            processes.add_metric([kind, state], number)
    yield processes


def _totals(statistics: Statistics) -> Iterable[Metric]:
    ended = CounterMetricFamily(
        "checkback_attempts_ended",
        "Attempts that ended in checkback's workers; all except retried ones ended their job.",
        labels=["kind", "outcome"],
    )
    for (kind, outcome), number in sorted(statistics.totals.ended.items()):
        ended.add_metric([kind, outcome], number)
    yield ended
    for name, what, help_text in (
        ("checkback_attempt_seconds", RUN, "Duration of attempts in seconds."),
        ("checkback_job_wait_seconds", WAIT, ("Seconds that jobs waited for their first attempt.")),
    ):
        histogram = HistogramMetricFamily(name, help_text, labels=["kind"])
        for kind, (buckets, seconds) in sorted(statistics.totals.histograms(what).items()):
            histogram.add_metric([kind], buckets, seconds)
        yield histogram


def _of_server(figures: ServerFigures) -> Iterable[Metric]:
    restarts = CounterMetricFamily(
        "checkback_restarts",
        "Restarts of the store and the worker by this server.",
        labels=["what"],
    )
    for what in ("store", "worker"):
        restarts.add_metric([what], figures.restarts.get(what, 0))
    yield restarts
    help_text = "Commands that this server has sent to the store."
    yield CounterMetricFamily("checkback_store_commands", help_text, value=figures.commands)
    help_text = (
        "Connections to the store that this server has opened; more than one means that "
        "connections were lost."
    )
    yield CounterMetricFamily("checkback_store_connections", help_text, value=figures.connections)
