"""Jobs that live at PDF.co, against a server that plays it, through the real egress proxy and
worker.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from checkback.app.connect import Connection
from checkback.core.errors import JobFailed
from checkback.core.job import Artifact
from checkback.core.states import State
from checkback.kinds.context import Egress, Environment, JobContext
from checkback.kinds.pdfco.client import Remote
from checkback.kinds.pdfco.poll import PollPolicy, fetch, follow
from checkback.kinds.pdfco.submit import submit
from checkback.security.auth.callers import LOCAL
from checkback.security.egress.client import EgressProxy
from checkback.service import Service
from checkback.settings import Settings
from playing_pdfco import HANG, JOB, KEY, RESET, SUBMITTED, WORKING, PlayedPdfco, playing, success
from worker_processes import as_admin

QUICK = PollPolicy(
    first_seconds=0.0, seconds_per_page=0.0, growth=1.0, longest_seconds=0.0, most_checks=6
)


@pytest.fixture
def pdfco() -> Iterator[PlayedPdfco]:
    with playing() as played:
        yield played


@dataclass
class Notes:
    """What a job says, and what it leaves."""

    folder: Path
    said: list[str] = field(default_factory=list[str])
    saved: list[str] = field(default_factory=list[str])
    files: dict[str, bytes] = field(default_factory=dict[str, bytes])

    def progress(self, phase: str | None, percent: int, message: str | None) -> None:
        self.said.append(f"{phase} {message}")

    def log(self, line: str) -> None:
        self.said.append(line)

    def save(self, text: str) -> None:
        self.saved.append(text)

    def artifact(self, name: str, content: bytes | Path, media_type: str) -> Artifact:
        self.files[name] = content.read_bytes() if isinstance(content, Path) else content
        return Artifact(name, name, media_type, 0, "")


Job = Callable[..., tuple[JobContext, Notes]]


@pytest.fixture
async def job(pdfco: PlayedPdfco, tmp_path: Path) -> AsyncIterator[Job]:
    proxy = await EgressProxy.start(allow_hosts=(pdfco.url.removeprefix("http://"),))
    grant = await proxy.grant("a-job")
    egress = Egress(grant.proxy_url, grant.username, grant.password)

    def make(saved: Any = None, key: str | None = None) -> tuple[JobContext, Notes]:
        notes = Notes(tmp_path)
        ctx = JobContext(
            job_id="a-job", kind="pdfco.run", attempt=1, deadline_seconds=60, folder=tmp_path, reporter=notes,
            environment=Environment(pdfco_url=pdfco.url, pdfco_key=key), egress=egress, saved=saved,
        )  # fmt: skip
        return ctx, notes

    yield make
    await proxy.close()


def impatient(remote: Remote) -> Remote:
    """It does not wait long for an answer: the API that is played here is near."""
    remote.answer_seconds = 0.3
    return remote


def tracked(ctx: JobContext, key: str = KEY, policy: PollPolicy = QUICK) -> dict[str, Any]:
    remote = impatient(Remote.of(ctx, SecretStr(key)))
    return fetch(remote, ctx, follow(remote, ctx, JOB, None, policy), "")


def code_of(work: Callable[[], object]) -> str:
    with pytest.raises(JobFailed) as caught:
        work()
    assert KEY not in caught.value.message
    return caught.value.code


async def test_a_job_is_followed_and_its_file_fetched_without_the_key(
    pdfco: PlayedPdfco, job: Job
) -> None:
    pdfco.files["/result.txt"] = b"some text"
    pdfco.checks = [WORKING, WORKING, success(f"{pdfco.url}/result.txt")]
    ctx, notes = job()
    result = await asyncio.to_thread(tracked, ctx)
    assert notes.files == {"result.txt": b"some text"}
    assert (result["outputs"], result["body"], result["page_count"]) == (
        ["result.txt"],
        "some text",
        3,
    )
    assert result["provider"] == {
        "job_id": JOB, "name": "pdfco", "checks": 3, "credits_used": 2 + 2 + 5, "credits_on_checks": 6,
        "credits_remaining": 900,
    }  # fmt: skip
    fetched = [headers for path, headers, _ in pdfco.seen if path == "/result.txt"]
    assert KEY not in str(fetched)


async def test_a_list_of_files_is_fetched_whole(pdfco: PlayedPdfco, job: Job) -> None:
    pdfco.files["/1.pdf"], pdfco.files["/2.pdf"] = b"%PDF-1", b"%PDF-2"
    pdfco.files["/all.json"] = json.dumps([f"{pdfco.url}/1.pdf", f"{pdfco.url}/2.pdf"]).encode()
    pdfco.checks = [success(f"{pdfco.url}/all.json")]
    ctx, notes = job()
    result = await asyncio.to_thread(tracked, ctx)
    assert result["outputs"] == ["1_1.pdf", "2_2.pdf"]
    assert list(notes.files.values()) == [b"%PDF-1", b"%PDF-2"]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({"status": "failed", "message": "<script>", "errorCode": 442}, "provider_failed"),
        ({"status": "aborted"}, "provider_aborted"),
        ({"status": "unknown"}, "provider_unknown_job"),
        ((402, {"error": True, "status": 402}), "provider_credits"),
        ((401, {"error": True, "status": 401}), "provider_key"),
        ({"error": True, "status": 402, "message": "no credits"}, "provider_credits"),
        ({"error": True, "status": 400}, "provider_refused"),
    ],
)
async def test_every_other_end_is_a_failure_in_our_words(
    pdfco: PlayedPdfco, job: Job, answer: Any, code: str
) -> None:
    pdfco.checks = [answer]
    ctx, _ = job()
    assert await asyncio.to_thread(code_of, lambda: tracked(ctx)) == code


async def test_trouble_on_the_way_is_not_the_jobs_failure(pdfco: PlayedPdfco, job: Job) -> None:
    pdfco.files["/r.txt"] = b"x"
    pdfco.checks = [
        (500, {}), (429, {}, {"Retry-After": "0"}), RESET, HANG, (200, []), {"error": True, "status": 429},
        success(f"{pdfco.url}/r.txt"),
    ]  # fmt: skip
    ctx, _ = job()
    result = await asyncio.to_thread(tracked, ctx)
    assert result["outputs"] == ["r.txt"]
    assert result["provider"]["checks"] == 1


async def test_working_for_ever_ends_with_a_forced_check(pdfco: PlayedPdfco, job: Job) -> None:
    pdfco.checks = [WORKING]
    ctx, _ = job()
    assert await asyncio.to_thread(code_of, lambda: tracked(ctx)) == "provider_timeout"
    asked = pdfco.asked("/v1/job/check")
    assert len(asked) == QUICK.most_checks
    assert [body.get("force") for body in asked] == [None] * 5 + [True]


async def test_a_job_is_submitted_once_with_its_secrets_and_then_only_followed(
    pdfco: PlayedPdfco, job: Job
) -> None:
    pdfco.submits = [SUBMITTED]
    ctx, notes = job()
    remote = Remote.of(ctx, SecretStr(KEY))
    parameters = {"url": "https://example.com/a.pdf", "password": "open"}
    found = await asyncio.to_thread(submit, remote, ctx, "pdf/info", parameters)
    assert found == (JOB, 1)
    assert pdfco.asked("/v1/pdf/info") == [{**parameters, "async": True}]
    assert remote.credits_used == 28
    again, _ = job(saved=json.loads(notes.saved[-1]))
    assert await asyncio.to_thread(submit, remote, again, "pdf/info", parameters) == (JOB, 1)
    assert len(pdfco.asked("/v1/pdf/info")) == 1
    assert KEY not in str(notes.saved)


@pytest.mark.parametrize("trouble", [RESET, HANG, (500, {})])
async def test_a_submission_of_unknown_outcome_is_never_repeated(
    pdfco: PlayedPdfco, job: Job, trouble: Any
) -> None:
    pdfco.submits = [trouble]
    ctx, notes = job()
    remote = impatient(Remote.of(ctx, SecretStr(KEY)))
    assert (
        await asyncio.to_thread(code_of, lambda: submit(remote, ctx, "pdf/info", {}))
        == "provider_unknown"
    )
    again, _ = job(saved=json.loads(notes.saved[-1]))
    assert code_of(lambda: submit(remote, again, "pdf/info", {})) == "provider_unknown"
    assert len(pdfco.asked("/v1/pdf/info")) == 1


async def test_a_refused_submission_may_be_corrected(pdfco: PlayedPdfco, job: Job) -> None:
    pdfco.submits = [(400, {"error": True, "status": 400, "message": "bad"})]
    ctx, notes = job()
    remote = Remote.of(ctx, SecretStr(KEY))
    assert (
        await asyncio.to_thread(code_of, lambda: submit(remote, ctx, "pdf/info", {}))
        == "provider_refused"
    )
    again, _ = job(saved=json.loads(notes.saved[-1]))
    pdfco.submits = [SUBMITTED]
    assert await asyncio.to_thread(submit, remote, again, "pdf/info", {}) == (JOB, 1)


@pytest.mark.parametrize(
    "answer", [(429, {}), (429, {}, {"Retry-After": "1"}), {"error": True, "status": 429}]
)
async def test_a_submission_that_came_too_soon_is_tried_again(
    pdfco: PlayedPdfco, job: Job, answer: Any
) -> None:
    pdfco.submits = [answer]
    ctx, notes = job()
    remote = Remote.of(ctx, SecretStr(KEY))
    with pytest.raises(JobFailed) as caught:
        await asyncio.to_thread(submit, remote, ctx, "pdf/info", {})
    assert (caught.value.code, caught.value.retryable) == ("provider_busy", True)
    again, _ = job(saved=json.loads(notes.saved[-1]))
    pdfco.submits = [SUBMITTED]
    assert await asyncio.to_thread(submit, remote, again, "pdf/info", {}) == (JOB, 1)


async def test_what_the_checks_cost_is_told_and_outlives_an_attempt(
    pdfco: PlayedPdfco, job: Job
) -> None:
    pdfco.checks = [WORKING, WORKING, {"status": "failed", "errorCode": 442, "credits": 2}]
    ctx, notes = job()
    with pytest.raises(JobFailed) as caught:
        await asyncio.to_thread(tracked, ctx)
    assert caught.value.message.endswith("3 checks at PDF.co cost 6 credits.")
    assert "poll 2 checks at PDF.co cost 4 credits." in notes.said
    pdfco.files["/r.txt"], pdfco.checks = b"x", [success(f"{pdfco.url}/r.txt")]
    again, _ = job(saved=json.loads(notes.saved[-1]))
    provider = (await asyncio.to_thread(tracked, again))["provider"]
    assert (provider["checks"], provider["credits_on_checks"], provider["credits_used"]) == (
        4,
        8,
        11,
    )


async def test_without_a_key_nothing_is_asked(pdfco: PlayedPdfco, job: Job) -> None:
    ctx, _ = job()
    assert code_of(lambda: Remote.of(ctx, None)) == "provider_key"
    assert pdfco.seen == []


async def test_the_servers_own_key_is_used_when_none_is_given(job: Job) -> None:
    ctx, _ = job(key="of-the-server")
    remote = Remote.of(ctx, None)
    assert remote.key == "of-the-server"
    assert "of-the-server" not in repr(remote)


# --- Through the worker ---------------------------------------------------------------------------


class TestWholeJobs:
    """The same as real jobs."""

    @pytest.fixture
    def settings(self, settings: Settings, pdfco: PlayedPdfco) -> Settings:
        return replace(
            settings, pdfco_url=pdfco.url, allow_hosts=(pdfco.url.removeprefix("http://"),)
        )

    @pytest.mark.usefixtures("worker")
    async def test_a_file_that_lies_here_goes_there_first(
        self, pdfco: PlayedPdfco, service: Service
    ) -> None:
        pdfco.files["/result.json"] = b"{}"
        pdfco.submits, pdfco.checks = [SUBMITTED], [success(f"{pdfco.url}/result.json")]
        with service.uploads.begin(LOCAL, "a report.pdf") as writer:
            writer.write(b"%PDF-1.7 test file")
            upload = writer.finish()
        args = {"endpoint": "pdf/merge2", "params": {"url": "https://example.com/a.pdf,file:0"},
                "files": [f"upload:{upload.id}"], "api_key": KEY}  # fmt: skip
        job_id = (await service.submit(LOCAL, "pdfco.run", args)).job.id
        job = await service.wait(LOCAL, job_id, 50)
        assert job.state is State.COMPLETED, job.failure
        (name,) = pdfco.taken
        assert pdfco.taken[name] == b"%PDF-1.7 test file"
        (asked,) = pdfco.asked("/v1/pdf/merge2")
        assert asked["url"] == f"https://example.com/a.pdf,{pdfco.url}/kept/{name}"
        assert job.result["provider"]["credits_used"] == 7 + 28 + 5
        put = next(headers for path, headers, _ in pdfco.seen if path.startswith("/put/"))
        assert KEY not in str(put)

    @pytest.mark.usefixtures("worker")
    async def test_a_file_that_is_not_taken_fails_the_job_before_it_costs(
        self, pdfco: PlayedPdfco, service: Service
    ) -> None:
        pdfco.put_status = 403
        with service.uploads.begin(LOCAL, "a.pdf") as writer:
            writer.write(b"%PDF-1.7")
            upload = writer.finish()
        args = {"endpoint": "pdf/info", "params": {"url": "file:0"}, "files": [f"upload:{upload.id}"],
                "api_key": KEY}  # fmt: skip
        job_id = (await service.submit(LOCAL, "pdfco.run", args, attempts=1)).job.id
        job = await service.wait(LOCAL, job_id, 50)
        assert job.failure is not None
        assert job.failure.code == "provider_unreachable"
        assert pdfco.asked("/v1/pdf/info") == []

    @pytest.mark.usefixtures("worker")
    async def test_the_key_is_nowhere_to_be_found_afterwards(
        self, pdfco: PlayedPdfco, service: Service, connection: Connection, settings: Settings,
        caplog: pytest.LogCaptureFixture,
    ) -> None:  # fmt: skip
        pdfco.files["/result.json"] = b'{"a": 1}'
        pdfco.submits, pdfco.checks = [SUBMITTED], [success(f"{pdfco.url}/result.json")]
        args = {"endpoint": "pdf/info", "params": {"url": "https://example.com/a.pdf"}, "api_key": KEY,
                "secret_params": '{"password": "canary-password"}'}  # fmt: skip
        job_id = (await service.submit(LOCAL, "pdfco.run", args)).job.id
        job = await service.wait(LOCAL, job_id, 50)
        assert job.state is State.COMPLETED, job.failure
        assert job.result["body"] == {"a": 1}
        assert pdfco.asked("/v1/pdf/info")[0]["password"] == "canary-password"
        shown = [
            str(await service.get_with_args(LOCAL, job_id)),
            *(await service.log(LOCAL, job_id)),
        ]
        for key in await as_admin(connection.settings, "KEYS", f"{settings.prefix}:*"):
            if await connection.wire.call("TYPE", key) == "hash":
                shown += [str(part) for part in await connection.wire.call("HGETALL", key)]
        for path in settings.home.rglob("*"):
            if path.is_file():
                shown.append(path.read_bytes().decode(errors="replace"))
        everything = "\n".join([*shown, caplog.text])
        assert KEY not in everything
        assert "canary-password" not in everything
