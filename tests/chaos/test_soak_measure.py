"""What a soak takes for growth, and what not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from chaos.soak_measure import MEGABYTE, Sample, judge_growth, judge_restarts

ROOT = Path(__file__).parents[2]
WARM_SECONDS, END_SECONDS = 600.0, 3600.0


def samples(
    *, rss: float = 100, handles: int = 20, others: int = 4, store: float = 10, zombies: int = 0
) -> list[Sample]:
    """An hour in which everything stays as it was until the last third: there it has these values,
    and other processes come and go.
    """
    return [
        Sample(
            seconds=60.0 * minute,
            rss={"worker": int((rss if minute > 40 else 100) * MEGABYTE)},
            handles={"worker": (handles if minute > 40 else 20) + minute % 3},
            keys={},
            files={},
            others=(others if minute > 40 else 4) + minute % 4,
            zombies=zombies if minute == 50 else 0,
            store_bytes=int((store if minute > 40 else 10) * MEGABYTE),
        )
        for minute in range(61)
    ]


def test_an_hour_without_growth_is_fine() -> None:
    assert (
        judge_growth(samples(rss=109, handles=22, others=14, store=12), WARM_SECONDS, END_SECONDS)
        == []
    )


@pytest.mark.parametrize(
    ("grown", "words"),
    [
        ({"rss": 112}, "memory of worker grew from 100.0 to 112.0 MB"),
        ({"handles": 23}, "handles of worker grew from 20 to 23"),
        ({"others": 15}, "children and browsers grew from 4 to 15"),
        ({"store": 13}, "bytes of the store's data grew from 10.0 to 13.0 MB"),
        ({"zombies": 1}, "1 zombies after 50 minutes"),
    ],
)
def test_what_grows_is_told(grown: dict[str, int], words: str) -> None:
    assert judge_growth(samples(**grown), WARM_SECONDS, END_SECONDS) == [words]


def test_what_was_started_again_is_told() -> None:
    assert judge_restarts({"store": 0, "worker": 0, "worker_loop": 0}) == []
    assert judge_restarts({"store": 0, "worker": 2}) == ["the worker was started again 2 times"]


def test_a_soak_that_is_too_short_to_show_growth_is_refused() -> None:
    command = [sys.executable, "-m", "chaos.soak", "--minutes", "20"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--minutes must be more than 10" in done.stderr
