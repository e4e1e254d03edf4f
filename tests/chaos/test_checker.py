"""The checker of the chaos program: it sees each broken promise in a history, and none in a good
one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chaos.checker import check
from chaos.history import Event, History, read_history

WORKER, CHILD = 100, 200
NO_CAUSE = "ended or started again without cause"
ALL = "jobs lost", "jobs stuck", "results replaced", "alive after cancel", NO_CAUSE


class Tale:
    """A history that is made up, event by event."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def tell(self, at: float, event: str, **facts: Any) -> Tale:
        self.events.append({"event": event, "at": at, "job": "j", **facts})
        return self

    def submitted(
        self, at: float = 0, job: str = "j", key: str = "k", kind: str = "chaos.work"
    ) -> Tale:
        return self.tell(at, "submitted", job=job, key=key, kind=kind, deadline=20)

    def ran(
        self, began: float, ended: float | None, run: str = "r1", sign: float | None = None
    ) -> Tale:
        """An attempt; one that did not end gave its last sign at ``sign``."""
        self.tell(began, "start", run=run, worker=WORKER, child=CHILD)
        if sign is not None:
            self.tell(sign, "beat", run=run)
        return self if ended is None else self.tell(ended, "end", run=run)

    def answer(self, at: float, state: str, run: str | None = None, **facts: Any) -> Tale:
        seen = {"code": None, "started": 1, "finished": None, **facts}
        return self.tell(at, "answer", asked=at - 0.1, state=state, run=run, **seen)

    def fault(self, what: str, began: float, until: float, hits: list[int] | None) -> Tale:
        self.events.append(
            {"event": "fault", "at": until, "what": what, "began": began, "hits": hits}
        )
        return self

    def broken(self) -> set[str]:
        """What the checker finds broken."""
        figures = check(sorted(self.events, key=lambda event: event["at"])).figures
        return {name for name in ALL if figures[name]}


def good() -> Tale:
    """A job that ran once and was asked for twice."""
    return Tale().submitted().ran(1, 2).answer(3, "completed", "r1").answer(9, "completed", "r1")


def test_a_good_history_is_found_good() -> None:
    tale = good().tell(4, "file", run="r1")
    verdict = check(tale.events)
    assert verdict.problems == []
    assert (verdict.figures["jobs accepted"], verdict.figures["checks answered"]) == (1, 2)


def test_a_job_that_is_unknown_later_is_lost() -> None:
    assert good().tell(5, "missing", asked=4.9).broken() == {"jobs lost"}


def test_a_job_that_nobody_heard_of_again_is_lost() -> None:
    assert Tale().submitted().broken() == {"jobs lost"}


def test_two_jobs_of_one_key_break_the_first_promise() -> None:
    tale = good().submitted(5, job="other").ran(6, 7, "r2")
    tale.events[-1]["job"] = tale.events[-2]["job"] = "other"
    tale.answer(8, "completed", "r2").events[-1]["job"] = "other"
    assert tale.broken() == {"jobs lost"}


def test_a_job_that_ran_and_that_nobody_was_told_of_is_the_twin_of_another() -> None:
    tale = good().ran(6, 7, "r2")
    tale.events[-1]["job"] = tale.events[-2]["job"] = "other"
    assert tale.broken() == {"jobs lost"}


def test_a_job_that_never_ends_is_stuck() -> None:
    assert Tale().submitted().ran(1, None).answer(200, "active").broken() == {"jobs stuck"}


def test_a_lost_attempt_that_is_noticed_too_late_is_stuck() -> None:
    tale = Tale().submitted().fault("kill -9 x", 2, 3, [WORKER])
    tale.ran(1, None, "r1").ran(70, 71, "r2").answer(72, "completed", "r2")
    assert tale.broken() == {"jobs stuck"}


def test_time_without_a_store_does_not_count() -> None:
    tale = (
        Tale()
        .submitted()
        .fault("kill -9 x", 2, 3, [WORKER])
        .fault("the store was away", 2, 20, None)
    )
    tale.ran(1, None, "r1").ran(70, 71, "r2").answer(72, "completed", "r2")
    assert tale.broken() == set()


def test_a_rescue_is_measured_from_the_last_sign_of_life() -> None:
    tale = Tale().submitted().fault("kill -9 x", 2, 3, [WORKER])
    tale.ran(1, None, "r1", sign=2).ran(33, 34, "r2").answer(35, "completed", "r2")
    assert tale.broken() == set()
    assert check(tale.events).figures["longest rescue, s"] == 31


@pytest.mark.parametrize("state", ["active", "failed"])
def test_an_end_that_changes_is_a_result_replaced(state: str) -> None:
    assert "results replaced" in good().answer(10, state).broken()


def test_another_result_later_is_a_result_replaced() -> None:
    tale = good().fault("kill -9 x", 1, 2, [WORKER]).ran(10, 11, "r2").answer(12, "completed", "r2")
    assert tale.broken() == {"results replaced"}


def test_a_result_before_the_attempt_had_ended_is_seen() -> None:
    tale = Tale().submitted().ran(1, 9).answer(3, "completed", "r1")
    assert tale.broken() == {"results replaced"}


def test_a_file_of_another_attempt_is_seen() -> None:
    assert good().tell(5, "file", run="r0").broken() == {"results replaced"}


def cancelled(last_sign: float) -> Tale:
    tale = Tale().submitted().ran(1, None, sign=last_sign)
    tale.tell(3, "cancel").tell(3.1, "cancelled", state="cancelled")
    return tale.answer(30, "cancelled", code="cancelled")


def test_a_cancelled_job_that_is_dead_soon_is_fine() -> None:
    assert cancelled(last_sign=8).broken() == set()


def test_a_job_that_lives_on_after_its_cancel_is_seen() -> None:
    assert cancelled(last_sign=9).broken() == {"alive after cancel"}


def test_a_fault_after_a_cancel_gives_it_time() -> None:
    assert cancelled(last_sign=9).fault("stop x", 4, 8, [WORKER]).broken() == set()


def test_a_fault_that_lasts_gives_it_all_its_time_and_five_seconds_more() -> None:
    assert cancelled(last_sign=24).fault("sever x for long", 2, 20, [WORKER]).broken() == set()
    assert cancelled(last_sign=26).fault("sever x for long", 2, 20, [WORKER]).broken() == {
        "alive after cancel"
    }


def test_a_cancel_that_is_forgotten_is_seen() -> None:
    assert "alive after cancel" in cancelled(last_sign=4).answer(40, "waiting").broken()


def test_a_cancel_that_nobody_asked_for_has_no_cause() -> None:
    tale = Tale().submitted().answer(3, "cancelled", code="cancelled")
    assert tale.broken() == {NO_CAUSE}


def started_again() -> Tale:
    return Tale().submitted().ran(1, None, "r1").ran(40, 41, "r2").answer(42, "completed", "r2")


def test_a_job_started_again_without_a_fault_has_no_cause() -> None:
    assert started_again().broken() == {NO_CAUSE}


@pytest.mark.parametrize(
    ("what", "until", "hits"),
    [
        ("kill -9 x", 3, [WORKER]),
        ("end x", 3, [WORKER]),
        ("stop x for long", 30, [WORKER]),
        ("the store was away", 30, None),
    ],
)
def test_a_fault_that_ends_attempts_is_a_cause(
    what: str, until: float, hits: list[int] | None
) -> None:
    assert started_again().fault(what, 2, until, hits).broken() == set()


@pytest.mark.parametrize(
    ("what", "began", "until", "hits"),
    [
        ("kill -9 x", 2, 3, [WORKER + 1]),
        ("kill -9 x", 50, 51, [WORKER]),
        ("stop x", 2, 6, [WORKER]),
        ("kill -9 Valkey", 2, 4, None),
    ],
)
def test_a_fault_elsewhere_or_later_or_too_short_is_none(
    what: str, began: float, until: float, hits: list[int] | None
) -> None:
    assert started_again().fault(what, began, until, hits).broken() == {
        "ended or started again without cause"
    }


@pytest.mark.parametrize(
    ("code", "what"), [("crashed", "kill -9 a child"), ("timeout", "stop a child")]
)
def test_a_broken_child_explains_its_own_jobs_failure_only(code: str, what: str) -> None:
    def failed() -> Tale:
        return Tale().submitted().ran(1, None).answer(25, "failed", code=code)

    assert failed().fault(what, 2, 2, [CHILD]).broken() == set()
    assert failed().fault(what, 2, 2, [CHILD + 1]).broken() == {NO_CAUSE}


@pytest.mark.parametrize(
    ("kind", "kills", "fine"),
    [
        ("chaos.work", 3, True),
        ("chaos.work", 2, False),
        ("chaos.once", 1, True),
        ("chaos.once", 0, False),
    ],
)
def test_so_many_lost_workers_fail_a_job_and_no_fewer(kind: str, kills: int, fine: bool) -> None:
    tale = Tale().submitted(kind=kind)
    for number in range(max(kills, 1)):
        tale.ran(1 + 40 * number, None, f"r{number}")
    for number in range(kills):
        tale.fault("kill -9 x", 2 + 40 * number, 3 + 40 * number, [WORKER])
    end = 20 + 40 * max(kills, 1)
    tale.answer(end, "failed", code="worker_lost", started=max(kills, 1), finished=end - 10)
    assert tale.broken() == (set() if fine else {NO_CAUSE})


def test_a_history_is_read_in_the_order_of_its_times(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    first, second = History(path), History(path)
    first.tell("start", job="a")
    second.tell("end", job="a")
    first.tell("start", job="b")
    events = read_history(path)
    assert [event["event"] for event in events] == ["start", "end", "start"]
    assert [event["at"] for event in events] == sorted(event["at"] for event in events)
