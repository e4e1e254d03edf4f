"""How other BullMQ programs know our jobs, and how we know theirs."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from checkback.app.connect import Connection
from checkback.core.queue_codec import args_of, job_name, kind_of
from checkback.kinds import registry
from checkback.kinds.pages.queue_codec import QUEUE, decode, encode
from checkback.security.auth.callers import LOCAL

JOB_ID = "019a9f2e-0000-7000-8000-000000000001"
NOW = datetime(2026, 11, 22, 12, 0, 0, 123456, UTC)


def test_queue_data_is_read_as_it_was_written() -> None:
    args = {"url": "https://example.com", "summary": True, "layoutOptions": {"fullPage": False}}
    data = encode(JOB_ID, args, NOW)
    assert set(data) == {"webPageId", "url", "options", "createdAt"}
    assert data["createdAt"] == "2026-11-22T12:00:00.123Z"
    assert decode(data) == args


def test_a_foreign_producers_data_is_read() -> None:
    data = {
        "webPageId": JOB_ID,
        "url": "https://a.b",
        "options": {"timeout": 9000, "features": None},
        "requestId": "q",
    }
    assert decode(data) == {"url": "https://a.b", "timeout": 9000}
    assert decode({"url": "https://a.b", "options": "?"}) == {"url": "https://a.b"}


@pytest.mark.parametrize("data", [None, 7, "text", [1, 2]])
def test_data_of_another_form_is_left_to_the_kind_to_refuse(data: Any) -> None:
    assert args_of(data, "page.analyze", QUEUE) == data


def test_a_kind_is_named_for_others_in_its_own_queue_only() -> None:
    assert (job_name("page.analyze", QUEUE), kind_of("page-analyze", QUEUE)) == (
        "page-analyze",
        "page.analyze",
    )
    assert job_name("page.analyze", "jobs") == "page.analyze"
    assert kind_of("page-analyze", "jobs") == "page-analyze"
    assert job_name("test.add", QUEUE) == kind_of("test.add", QUEUE) == "test.add"


async def test_what_is_stored_is_what_other_programs_expect(connection: Connection) -> None:
    done = await connection.service.submit(
        LOCAL, "page.analyze", {"url": "https://example.com/"}, request_id="r1"
    )
    key = connection.queues.keys.job(QUEUE, done.job.id)
    name, data = await connection.wire.call("HMGET", key, "name", "data")
    assert name == "page-analyze"
    stored = json.loads(data)
    assert (stored["webPageId"], stored["requestId"]) == (done.job.id, "r1")
    assert stored["options"] == {}


async def test_an_own_kind_in_the_page_queue_gets_its_own_arguments_alone(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = dict(registry._kinds)  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(registry, "_kinds", known)

    @registry.job("my.shot", queue=QUEUE)
    def shot(url: str) -> str:
        return url

    done = await connection.service.submit(
        LOCAL, "my.shot", {"url": "https://example.com/"}, request_id="r1"
    )
    job = await connection.service.get_with_args(LOCAL, done.job.id)
    assert (job.kind, job.args) == ("my.shot", {"url": "https://example.com/"})
