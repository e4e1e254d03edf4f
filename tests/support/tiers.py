"""Which tier a test belongs to, by the fixtures that it uses: unit, integration or system.

A fixture that starts processes is named here; tests get their markers from it in ``conftest.py``.
"""

from __future__ import annotations

from collections.abc import Iterable

INTEGRATION = frozenset({"valkey", "victim", "start_proxy", "store", "own_store"})
"""Fixtures of one shared process: a store, a server, a proxy."""

SYSTEM = frozenset(
    {
        "analyze",
        "arrivals",
        "baits",
        "converted",
        "current",
        "demo_site",
        "fastmcp_tasks_python",
        "node",
        "npm",
        "openai_agents_python",
        "own_server",
        "pdfco_mcp_python",
        "programs",
        "reader",
        "receiver",
        "redis",
        "running",
        "servers",
        "session",
        "shell",
        "start_server",
        "stdio",
        "watched",
        "way",
        "worker",
        "workers",
    }
)
"""Fixtures of a test's own processes: servers, workers with their children, browsers, programs."""


def tier_of(fixtures: Iterable[str]) -> str:
    """``unit``, ``integration`` or ``system``."""
    used = frozenset(fixtures)
    if used & SYSTEM:
        return "system"
    if used & INTEGRATION:
        return "integration"
    return "unit"
