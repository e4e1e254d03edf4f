"""``checkback.testing``: a kind runs in the test's process and is recorded, or on a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from checkback import Client, InvalidInput, JobContext, JobFailed, State, job
from checkback.core.errors import CheckbackError
from checkback.kinds import registry
from checkback.testing import RecordedRun, run_kind, running_server

ROOT = Path(__file__).parents[1]
OWN_KIND = ROOT / "examples" / "own_kind.py"


@job("testing.walk", phases=("outward", "back"))
def walk(steps: int, ctx: JobContext) -> dict[str, object]:
    """Report everything that a job can report."""
    done = ctx.saved or 0
    ctx.phase("outward", "on the way")
    ctx.progress(50)
    ctx.log("half way")
    ctx.phase("back")
    ctx.warn("rain", "It rained.")
    ctx.artifact("steps.txt", str(steps))
    ctx.save(done + steps)
    return {"steps": done + steps, "attempt": ctx.attempt, "cancelled": ctx.cancelled}


@job("testing.later")
async def later(name: str) -> str:
    """A coroutine."""
    await asyncio.sleep(0)
    return f"hello {name}"


@job("testing.breaks")
def breaks(how: str) -> object:
    """End otherwise."""
    if how == "fails":
        raise JobFailed("too_tired", "It is late.")
    return object()


@job("testing.half")
def half() -> dict[str, str]:
    """Half a surrogate pair, as a file name may have it."""
    return {"name": "\udce9"}


@pytest.fixture(scope="module", autouse=True)
def loaded() -> None:
    """The kind that the documents show."""
    registry.load((str(OWN_KIND),))


def test_a_run_records_all_that_a_kind_reports() -> None:
    run = run_kind("testing.walk", {"steps": 3})
    assert run.result == {
        "steps": 3,
        "attempt": 1,
        "cancelled": False,
        "warnings": [{"code": "rain", "message": "It rained."}],
    }
    assert run.phases == ["outward", "back"]
    assert [(one.percent, one.message) for one in run.reports] == [
        (0, "on the way"),
        (50, "on the way"),
        (50, None),
    ]
    assert run.log == ["half way", "rain: It rained."]
    assert run.artifacts == {"steps.txt": b"3"}
    assert run.saved == [3]
    assert [warning.code for warning in run.warnings] == ["rain"]


def test_a_later_attempt_finds_what_was_saved_and_a_cancel_is_seen() -> None:
    run = run_kind(walk, {"steps": 2}, saved=5, attempt=2, cancelled=True)
    assert (run.result["steps"], run.result["attempt"], run.result["cancelled"]) == (7, 2, True)


def test_a_coroutine_is_awaited() -> None:
    assert run_kind(later, {"name": "Ada"}).result == "hello Ada"


def test_arguments_are_checked_as_on_submit() -> None:
    with pytest.raises(InvalidInput, match="steps"):
        run_kind(walk, {"steps": "many"})
    with pytest.raises(CheckbackError, match="not registered"):
        run_kind(len)
    with pytest.raises(CheckbackError, match=r"testing\.wlk"):
        run_kind("testing.wlk")


def test_a_failure_and_a_result_that_is_not_json_are_raised() -> None:
    with pytest.raises(JobFailed, match="It is late"):
        run_kind(breaks, {"how": "fails"})
    with pytest.raises(JobFailed) as raised:
        run_kind(breaks, {"how": "returns"})
    assert raised.value.code == "invalid_result"


def test_a_result_whose_text_was_changed_says_so_in_the_log() -> None:
    run = run_kind(later, {"name": "Ada"})
    assert run.log == []
    run = run_kind("testing.half")
    assert run.result == {"name": "\ufffd"}
    assert len(run.log) == 1
    assert "result" in run.log[0]


def test_the_example_of_the_documents_passes() -> None:
    text = (ROOT / "docs" / "kinds.md").read_text("utf-8")
    _, _, rest = text.partition("## Testing a kind")
    example = rest.partition("```python\n")[2].partition("```")[0]
    names: dict[str, object] = {}
    exec(compile(example, "kinds.md", "exec"), names)
    test = names["test_finds_the_primes"]
    assert callable(test)
    test()


@pytest.fixture(scope="module")
def own_server() -> Iterator[Client]:
    with running_server(str(OWN_KIND), job_concurrency=1) as client:
        yield client


def test_a_kind_runs_on_a_real_server(own_server: Client) -> None:
    submitted = own_server.submit("primes.find", {"below": 10})
    done = own_server.wait(submitted.id, 30)
    assert (done.state, done.result) == (State.COMPLETED, 4)
    assert own_server.artifact(done.id, "primes.txt") == b"2\n3\n5\n7"
    assert isinstance(run_kind("primes.find", {"below": 10}), RecordedRun)
