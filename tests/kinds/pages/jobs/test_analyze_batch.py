"""Batches of pages, comparisons and crops: rules without a browser, then all of it on the real
engine.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from checkback.core.errors import AddressBlocked, InvalidInput, NotFound
from checkback.core.job import JSON, Failure
from checkback.core.states import State
from checkback.kinds.context import Environment, JobContext, StartedJob
from checkback.kinds.pages.jobs import analyze_batch as batch
from checkback.kinds.pages.jobs.analyze_batch import PageBatch, PageBatchArgs
from checkback.kinds.pages.jobs.compare import compare_reports
from checkback.security.auth.callers import LOCAL, Caller
from checkback.service import Service
from checkback.settings import Settings


class Engine:
    """Starts nothing, but keeps the rules: a page needs some looks, then it ends."""

    def __init__(self, looks: int = 3, fail: str = "nothing") -> None:
        self._looks, self._fail = looks, fail
        self.started: list[str] = []
        self.args: list[dict[str, JSON]] = []
        self._left: dict[str, int] = {}
        self.most_at_once: dict[str, int] = {}
        self.most_open = 0
        self.said: list[int] = []

    def start(self, kind: str, args: dict[str, JSON], key: str) -> str:
        assert (kind, args["url"]) == ("page.analyze", key)
        self.started.append(key)
        self.args.append(args)
        self._left[key] = self._looks
        return key

    def look(self, ids: list[str]) -> list[StartedJob]:
        self.most_open = max(self.most_open, len(ids))
        for host in {one.split("/")[2] for one in ids}:
            open_now = sum(one.split("/")[2] == host for one in ids)
            self.most_at_once[host] = max(open_now, self.most_at_once.get(host, 0))
        return [self._stand(one) for one in ids]

    def _stand(self, url: str) -> StartedJob:
        self._left[url] -= 1
        if self._left[url] > 0:
            return StartedJob(url, State.ACTIVE, progress=40)
        if self._fail in url:
            return StartedJob(url, State.FAILED, failure=Failure("HTTP_ERROR", "It answered 404."))
        result = {
            "results": {"quality": {"overallScore": 70, "grade": "C"}},
            "partialSuccess": False,
        }
        return StartedJob(url, State.COMPLETED, 100, result)

    # What the job says, heard by the same hand.
    def progress(self, phase: str | None, percent: int, message: str | None) -> None:
        self.said.append(percent)

    def log(self, line: str) -> None: ...
    def save(self, text: str) -> None: ...
    def artifact(self, name: str, content: bytes | Path, media_type: str) -> Any:
        raise AssertionError("a batch leaves no file")


def run_batch(
    engine: Engine,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = lambda _: None,
    **args: Any,
) -> dict[str, Any]:
    context = JobContext(
        job_id="x",
        kind="page.analyze_batch",
        attempt=1,
        deadline_seconds=60,
        folder=Path(),
        reporter=engine,
        environment=Environment(),
        starter=engine,
    )
    model = PageBatchArgs.model_validate({"pause_ms": 0, **args})
    return PageBatch(model, context, clock=clock, sleep=sleep).run()


def test_no_host_is_asked_for_more_pages_at_once_than_allowed() -> None:
    urls = [f"http://{host}.test/{number}" for number in range(9) for host in ("a", "b")]
    engine = Engine()
    result = run_batch(engine, urls=urls, per_host=3)
    assert engine.most_at_once == {"a.test": 3, "b.test": 3}
    assert sorted(engine.started) == sorted(urls)
    assert (result["total"], result["completed"], result["medianScore"]) == (18, 18, 70)
    assert engine.said == sorted(engine.said)


def test_many_hosts_do_not_fill_the_queue() -> None:
    engine = Engine()
    run_batch(engine, urls=[f"http://h{number}.test/" for number in range(30)])
    assert len(engine.most_at_once) == 30
    assert engine.most_open == batch.MAX_AT_ONCE


def test_a_host_gets_its_pause_between_two_starts() -> None:
    now = [0.0]

    def sleep(_: float) -> None:
        now[0] += 0.5

    engine = Engine(looks=1)
    run_batch(
        engine,
        clock=lambda: now[0],
        sleep=sleep,
        urls=[f"http://a.test/{number}" for number in range(4)],
        pause_ms=2000,
    )
    assert now[0] >= 6.0


def test_a_page_that_fails_is_told_and_the_others_go_on() -> None:
    engine = Engine(fail="/gone")
    urls = ["http://a.test/", "http://a.test/gone", "http://a.test/"]
    result = run_batch(engine, urls=urls, options={"summary": True, "layoutTimeout": 5000})
    assert (result["total"], result["completed"], result["failed"]) == (2, 1, 1)
    assert result["pages"][1]["failure"] == {"code": "HTTP_ERROR", "message": "It answered 404."}
    assert engine.args[0] == {"summary": True, "layoutTimeout": 5000, "url": "http://a.test/"}


async def test_a_batch_is_refused_at_the_door(service: Service) -> None:
    with pytest.raises(AddressBlocked):
        await service.submit(
            LOCAL, "page.analyze_batch", {"urls": ["http://example.com/", "http://127.0.0.1/"]}
        )
    wrong: list[list[str]] = [[], ["http://example.com/"] * 101, ["x"]]
    for urls in wrong:
        with pytest.raises(InvalidInput):
            await service.submit(LOCAL, "page.analyze_batch", {"urls": urls})
    with pytest.raises(InvalidInput, match="UUID"):
        await service.submit(LOCAL, "page.compare", {"job_a": "x", "job_b": "y"})


def report(**parts: Any) -> dict[str, Any]:
    return {"schema": "checkback.page/1", "jobId": "j", "finalUrl": "http://a.test/", **parts}


def section(number: int, kind: str, heading: str, height: int = 100) -> dict[str, Any]:
    return {
        "id": f"s{number}",
        "type": kind,
        "heading": heading,
        "box": [0, 0, 9, height],
        "links": 1,
    }


def test_what_came_went_and_changed() -> None:
    before = report(
        layout={
            "sections": [
                section(1, "hero", "Hello"),
                section(2, "faq", "Ask"),
                section(3, "team", "Us"),
            ]
        },
        design={"colors": {"palette": [["#ffffff", 0.9], ["#112233", 0.1]]}},
        technologies=[{"name": "Bootstrap", "version": "4.6"}],
        accessibility={"violations": [{"id": "image-alt", "count": 3}], "contrast": {"failed": 2}},
        performance={"lcpMs": 900.0, "weight": {"total": 1000}},
        quality={
            "overallScore": 70,
            "axes": {"craftsmanship": {"score": 60, "deductions": [{"rule": "slow", "points": 5}]}},
        },
    )
    after = report(
        layout={
            "sections": [
                section(1, "hero", "Welcome"),
                section(2, "pricing", "Plans"),
                section(3, "team", "Us", 300),
            ]
        },
        design={"colors": {"palette": [["#ffffff", 0.8], ["#445566", 0.2]]}},
        technologies=[{"name": "Bootstrap", "version": "5.3"}],
        accessibility={
            "violations": [{"id": "image-alt", "count": 1}, {"id": "label", "count": 1}]
        },
        performance={"lcpMs": 700.0, "weight": {"total": 1500}},
        quality={"overallScore": 75, "axes": {"craftsmanship": {"score": 70, "deductions": []}}},
    )
    found = compare_reports(before, after)
    assert found["scores"]["overall"] == {"a": 70, "b": 75, "change": 5}
    assert found["scores"]["deductions"]["went"] == ["craftsmanship: slow"]
    assert [item["type"] for item in found["sections"]["came"]] == ["pricing"]
    assert [item["type"] for item in found["sections"]["went"]] == ["faq"]
    hero, team = found["sections"]["changed"]
    assert hero["heading"] == {"a": "Hello", "b": "Welcome"}
    assert team["height"] == {"a": 100, "b": 300, "change": 200}
    assert (found["palette"]["came"], found["palette"]["went"]) == (["#445566"], ["#112233"])
    assert found["technologies"]["came"] == ["Bootstrap 5.3"]
    assert (found["findings"]["came"], found["findings"]["went"]) == (["label"], ["color-contrast"])
    assert found["findings"]["changed"] == [
        {"rule": "image-alt", "a": 3.0, "b": 1.0, "change": -2.0}
    ]
    assert found["performance"]["lcpMs"]["change"] == -200
    assert compare_reports(before, before)["sections"]["changedTotal"] == 0


@pytest.fixture
def settings(settings: Settings, demo_site: str) -> Settings:
    """As everywhere, but jobs may look at the demo site."""
    return replace(settings, allow_hosts=(demo_site,))


@pytest.mark.chromium
@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.usefixtures("worker")
async def test_a_batch_its_comparison_and_its_crops(service: Service, demo_site: str) -> None:
    owner, stranger = Caller("ada"), Caller("bob")
    urls = [f"http://{demo_site}/{path}" for path in ("", "tides.html", "no-such-page")]
    given = {"urls": urls, "options": {"responsiveOptions": {"enabled": False}}, "pause_ms": 0}
    job_id = (await service.submit(owner, "page.analyze_batch", given)).job.id
    job = await service.wait(owner, job_id, 120)
    assert job.state is State.COMPLETED, job.failure
    home, tides, missing = job.result["pages"]
    assert (home["state"], tides["state"], missing["state"]) == ("completed", "completed", "failed")
    assert missing["failure"]["code"] == "HTTP_ERROR"
    assert home["overallScore"] > 0
    kept = await service.get(owner, home["job_id"])
    assert kept.result["completedPhases"] == ["ingest", "layout", "motion", "quality"]

    pair = {"job_a": home["job_id"], "job_b": tides["job_id"]}
    with pytest.raises(NotFound):
        await service.submit(stranger, "page.compare", pair)
    compared = await service.wait(
        owner, (await service.submit(owner, "page.compare", pair)).job.id, 30
    )
    assert compared.state is State.COMPLETED, compared.failure
    assert compared.result["a"]["finalUrl"] == urls[0]
    assert compared.result["sections"]["wentTotal"] > 0

    with pytest.raises(NotFound):
        await service.submit(stranger, "page.crop", {"job": home["job_id"]})
    crop_id = (
        await service.submit(owner, "page.crop", {"job": home["job_id"], "sections": ["s2"]})
    ).job.id
    cropped = await service.wait(owner, crop_id, 30)
    assert cropped.state is State.COMPLETED, cropped.failure
    (crop,) = cropped.result["crops"]
    _, path = await service.artifact(owner, home["job_id"], "report.json")
    second = json.loads(path.read_text())["layout"]["sections"][1]
    _, path = await service.artifact(owner, crop_id, crop["artifact"])
    with Image.open(io.BytesIO(path.read_bytes())) as picture:
        assert list(picture.size) == second["box"][2:]
    assert (crop["type"], crop["box"]) == (second["type"], second["box"])
