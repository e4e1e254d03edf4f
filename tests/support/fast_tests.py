"""``pytest --fast``: the tests of the inner loop, which are unit and integration tests that are not slow.

What is slow is recorded in ``slow_tests.txt``: ``scripts/test --record-slow`` measures it again.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

SLOW_SECONDS = 0.25
"""Longer than this, on average over a test's parameters, is slow."""
LIST = Path(__file__).with_name("slow_tests.txt")


def add_options(parser: pytest.Parser) -> None:
    """The options of this module."""
    group = parser.getgroup("checkback")
    group.addoption("--fast", action="store_true", help="only tests of the inner loop")
    group.addoption(
        "--record-slow",
        action="store_true",
        help="measure which unit and integration tests are slow",
    )


def name_of(node_id: str) -> str:
    """A test's name without its parameters."""
    return node_id.partition("[")[0]


def select(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is not fast, or what is not measured."""
    if not config.getoption("fast") and not config.getoption("record_slow"):
        return
    slow = (
        frozenset(LIST.read_text("utf-8").split()) if config.getoption("fast") else frozenset[str]()
    )
    kept: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    for item in items:
        is_system = item.get_closest_marker("system") or item.get_closest_marker("slow")
        needs_program = item.get_closest_marker("chromium") or item.get_closest_marker("node")
        if is_system or needs_program or name_of(item.nodeid) in slow:
            left_out.append(item)
        else:
            kept.append(item)
    config.hook.pytest_deselected(items=left_out)
    items[:] = kept


class SlowTests:
    """Measures tests, and writes down the slow ones at the end."""

    def __init__(self) -> None:
        self._seconds: defaultdict[str, float] = defaultdict(float)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add up set-up, call and teardown."""
        self._seconds[report.nodeid] += report.duration

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the list, in the controlling process only."""
        if hasattr(session.config, "workerinput"):
            return
        times: defaultdict[str, list[float]] = defaultdict(list)
        for node_id, seconds in self._seconds.items():
            times[name_of(node_id)].append(seconds)
        slow = [name for name, found in times.items() if sum(found) / len(found) > SLOW_SECONDS]
        LIST.write_text("\n".join(sorted(slow)) + "\n", "utf-8")
