"""Rates and quotas of each owner, on a clock of the test's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from checkback.core.errors import InvalidInput, QuotaExceeded
from checkback.security.auth.callers import LOCAL, LOCAL_OWNER, Caller, Scope
from checkback.security.rate_limits import OwnerLimits, Quotas, Rate

ADA, BOB = Caller("ada"), Caller("bob")
JOB, OTHER_JOB = "01890a5d-ac96-774b-bcce-b302099a8057", "01890a5d-ac96-774b-bcce-b302099a8058"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_ten_seconds_worth_may_come_at_once_and_then_the_rate_holds(clock: Clock) -> None:
    rate = Rate(2, clock=clock)
    assert [rate.take("a") for _ in range(20)] == [0.0] * 20
    assert rate.take("a") == 0.5
    assert rate.take("b") == 0.0
    clock.now += 0.5
    assert (rate.take("a"), rate.take("a")) == (0.0, 0.5)
    clock.now += 1000
    assert [rate.take("a") for _ in range(21)] == [0.0] * 20 + [0.5]


def test_a_rate_below_one_lets_one_through_at_a_time(clock: Clock) -> None:
    rate = Rate(0.01, clock=clock)
    assert rate.take("a") == 0.0
    assert rate.take("a") == 100.0


def test_a_rate_takes_bounded_memory(clock: Clock) -> None:
    rate = Rate(1, max_names=100, clock=clock)
    for number in range(1000):
        rate.take(str(number))
    assert len(rate._left) == 100  # pyright: ignore[reportPrivateUsage]


CALLS: dict[str, Callable[[Quotas, Caller], None]] = {
    "requests": lambda quotas, caller: quotas.request(caller),
    "submits": lambda quotas, caller: quotas.submit(caller),
    "checks": lambda quotas, caller: quotas.check(caller, JOB),
}


@pytest.mark.parametrize("name", CALLS)
def test_each_owner_has_a_rate_and_is_told_when_to_try_again(name: str, clock: Clock) -> None:
    quotas = Quotas(replace(OwnerLimits(), **{name: 0.1}), clock=clock)
    CALLS[name](quotas, ADA)
    with pytest.raises(QuotaExceeded) as refused:
        CALLS[name](quotas, ADA)
    assert refused.value.retry_after_seconds == 10
    assert "10 s" in refused.value.hint
    CALLS[name](quotas, BOB)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(
    "caller",
    [LOCAL, Caller(LOCAL_OWNER), Caller("root", frozenset({Scope.ADMIN}))],
    ids=["local", "of the machine", "admin"],
)
def test_whoever_could_change_the_limits_has_none(name: str, caller: Caller, clock: Clock) -> None:
    quotas = Quotas(OwnerLimits(requests=0.1, submits=0.1, checks=0.1), clock=clock)
    for _ in range(100):
        CALLS[name](quotas, caller)


def test_questions_are_counted_for_each_job(clock: Clock) -> None:
    quotas = Quotas(OwnerLimits(checks=0.1), clock=clock)
    quotas.check(ADA, JOB)
    quotas.check(ADA, OTHER_JOB)
    quotas.check(BOB, JOB)
    with pytest.raises(QuotaExceeded):
        quotas.check(ADA, JOB)


def test_only_so_many_uploads_at_once(clock: Clock) -> None:
    quotas = Quotas(OwnerLimits(uploads=2), clock=clock)
    end = quotas.begin_upload(ADA, 0)
    quotas.begin_upload(ADA, 0)
    quotas.begin_upload(BOB, 0)
    with pytest.raises(QuotaExceeded):
        quotas.begin_upload(ADA, 0)
    end()
    end()  # once is enough
    quotas.begin_upload(ADA, 0)
    with pytest.raises(QuotaExceeded):
        quotas.begin_upload(ADA, 0)


def test_uploads_take_only_so_much(clock: Clock) -> None:
    quotas = Quotas(OwnerLimits(upload_bytes=1000), clock=clock)
    quotas.begin_upload(ADA, 999)
    with pytest.raises(QuotaExceeded):
        quotas.begin_upload(ADA, 1000)
    quotas.begin_upload(LOCAL, 10_000)


def test_uploads_of_one_owner_are_counted_by_number() -> None:
    quotas = Quotas(OwnerLimits(upload_files=3))
    quotas.begin_upload(ADA, 0, 2)
    for kept in (2, 3):
        with pytest.raises(QuotaExceeded, match="limit of 3 uploads"):
            quotas.begin_upload(ADA, 0, kept)
    quotas.begin_upload(BOB, 0, 2)
    quotas.begin_upload(LOCAL, 0, 99)


@pytest.mark.parametrize(
    ("seconds", "of_kind", "is_refused"),
    [
        (None, 600, False),
        (3600, 600, False),
        (3601, 600, True),
        (86400, 600, True),
        (7200, 7200, False),
    ],
)
def test_an_owner_may_not_hold_a_slot_for_longer_than_the_setting_or_the_kind_allows(
    seconds: float | None, of_kind: float, is_refused: bool
) -> None:
    quotas = Quotas(OwnerLimits(deadline_seconds=3600))
    quotas.deadline(LOCAL, seconds, of_kind=of_kind)
    if not is_refused:
        quotas.deadline(ADA, seconds, of_kind=of_kind)
        return
    with pytest.raises(InvalidInput) as caught:
        quotas.deadline(ADA, seconds, of_kind=of_kind)
    assert f"`deadline_seconds` is {seconds:.0f}" in caught.value.message
    assert "CHECKBACK_MAX_DEADLINE_SECONDS" in caught.value.hint
