"""The words, searches and forms of the web page: pure functions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from checkback.api.dashboard import forms
from checkback.api.dashboard.search import parse
from checkback.core.errors import InvalidInput
from checkback.core.estimates import Estimate, KindRun
from checkback.core.job import Job, PhaseStart
from checkback.core.states import State
from checkback.dialects import human
from checkback.kinds import registry

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
ID = "01a21596-ac39-79bb-b205-fa1e5ded59bd"


def job(state: State, **fields: Any) -> Job:
    return Job(
        ID, "page.analyze", "page-analyze", "ada", state, NOW - timedelta(seconds=60), **fields
    )


# --- Words ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"), (-3, "0.0 s"), (0.42, "0.4 s"), (12.4, "12 s"), (119, "119 s"), (200, "3 min 20 s"),
        (180, "3 min"), (7500, "2 h 5 min"), (7200, "2 h"), (273_600, "3 d 4 h"),
    ],
)  # fmt: skip
def test_durations_are_told_in_words(seconds: float | None, text: str) -> None:
    assert human.duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 bytes"), (1500, "1.5 kB"), (2_500_000, "2.5 MB")]
)
def test_sizes_are_told_in_words(count: int, text: str) -> None:
    assert human.size(count) == text


@pytest.mark.parametrize(
    ("number", "text"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (11, "11th"), (22, "22nd")]
)
def test_places_are_told_in_words(number: int, text: str) -> None:
    assert human.ordinal(number) == text


@pytest.mark.parametrize(
    ("one", "outlook", "text"),
    [
        (job(State.WAITING), Estimate(3), "3rd in the queue"),
        (job(State.WAITING), Estimate(3, 20), "3rd in the queue, done in about 20 s"),
        (job(State.DELAYED), Estimate(), "Starts later"),
        (
            job(
                State.ACTIVE, phase="responsive", progress=82, started_at=NOW - timedelta(seconds=9)
            ),
            Estimate(eta_seconds=3),
            "responsive, 82 %, about 3.0 s left",
        ),
        (
            job(State.ACTIVE, phase="layout", started_at=NOW - timedelta(seconds=9)),
            Estimate(),
            "layout, for 9.0 s",
        ),
        (job(State.CANCELLED), Estimate(), "Cancelled"),
    ],
)
def test_a_job_stands_in_one_sentence(one: Job, outlook: Estimate, text: str) -> None:
    assert human.sentence(one, outlook, NOW) == text


def test_the_bar_shows_the_queue_first_and_each_phase_with_its_time() -> None:
    one = job(
        State.ACTIVE,
        started_at=NOW - timedelta(seconds=40),
        phases=(PhaseStart("load", 0.0), PhaseStart("draw", 10.0)),
    )
    segments = human.bar(one, NOW)
    assert [(one.name, round(one.seconds), one.role) for one in segments] == [
        ("in the queue", 20, "queue"),
        ("load", 10, "past"),
        ("draw", 30, "now"),
    ]
    assert sum(one.width for one in segments) == pytest.approx(human.BAR_WIDTH, abs=1)


def test_a_kinds_figures_need_some_runs() -> None:
    assert human.figures("k", [KindRun(1.0)] * 4) is None
    found = human.figures("k", [KindRun(float(n)) for n in range(1, 21)])
    assert found is not None
    assert (found.median, found.runs) == ("10 s", 20)


# --- Searches -------------------------------------------------------------------------------------


def test_a_search_has_fields_and_words() -> None:
    found = parse("kind:page.analyze state:FAILED owner:ada since:2h 01A2", now=NOW)
    assert (found.kind, found.state, found.owner) == ("page.analyze", State.FAILED, "ada")
    assert found.since == NOW - timedelta(hours=2)
    assert found.words == ("01a2",)
    assert found.problems == ()


@pytest.mark.parametrize("text", ["state:gone", "since:soon", "colour:red", "since:99999d"])
def test_what_makes_no_sense_is_named_and_the_rest_counts(text: str) -> None:
    found = parse(f"{text} kind:a.b", now=NOW)
    assert len(found.problems) == 1
    assert found.kind == "a.b"


@pytest.mark.parametrize(
    ("text", "finds"),
    [("01a2", True), ("page", True), ("01a2 page", True), ("02", False), ("since:30s", True),
     ("since:2026-11-26", True), ("since:2026-11-27", False), ("", True)],
)  # fmt: skip
def test_words_are_looked_for_in_ids_and_kinds(text: str, finds: bool) -> None:
    assert parse(text, now=NOW).finds(job(State.WAITING)) is finds


# --- Forms ----------------------------------------------------------------------------------------


def test_every_kind_that_can_be_filled_in_has_a_form() -> None:
    for kind in registry.all_kinds():
        if forms.can_be_filled_in(kind):
            found = forms.fields(kind)
            assert {field.name for field in found} == set(kind.args_schema().get("properties", {}))
            assert {field.control for field in found} <= {
                "text", "password", "number", "checkbox", "select", "lines", "json"
            }  # fmt: skip


def test_a_filled_in_form_becomes_the_arguments() -> None:
    found = forms.fields(registry.get("test.add"))
    assert forms.arguments(found, {"a": " 1 ", "b": "2", "form_token": "x"}) == {"a": 1, "b": 2}
    assert forms.arguments(found, {"a": "1", "b": ""}) == {"a": 1}
    with pytest.raises(InvalidInput, match="is not a number"):
        forms.arguments(found, {"a": "many"})


def test_a_file_can_be_given_where_a_kind_takes_one() -> None:
    by_name = {field.name: field for field in forms.fields(registry.get("pdf.to_text"))}
    assert by_name["url"].is_source
    assert by_name["password"].control == "password"
    (urls,) = [field for field in forms.fields(registry.get("pdf.merge")) if field.name == "urls"]
    assert (urls.control, urls.is_source) == ("lines", True)
    assert forms.arguments([urls], {"urls": "upload:a\n\n upload:b "}) == {
        "urls": ["upload:a", "upload:b"]
    }
