"""Runs jobs on hostile documents, as their users do, and tells how they ended."""

from __future__ import annotations

import pypdfium2

from checkback.core.job import Job
from checkback.core.states import State
from checkback.security.auth.callers import LOCAL
from checkback.service import Service

DEADLINE_SECONDS = 10.0
COMPLETED = "completed"
_MANY = ("pdf.merge", "image.to_pdf")


async def run(service: Service, kind: str, content: bytes, name: str, **args: object) -> Job:
    """Hand a file in, run a job on it, and give the job at its end."""
    return await run_within(DEADLINE_SECONDS, service, kind, content, name, **args)


async def run_within(
    seconds: float, service: Service, kind: str, content: bytes, name: str, **args: object
) -> Job:
    """As ``run``, with another deadline."""
    with service.uploads.begin(LOCAL, name) as writer:
        writer.write(content)
        source = f"upload:{writer.finish().id}"
    named: dict[str, object] = {"urls": [source]} if kind in _MANY else {"url": source}
    if kind == "pdf.split":
        named["pages"] = "*"
    submitted = await service.submit(LOCAL, kind, {**named, **args}, deadline_seconds=seconds)
    return await service.wait(LOCAL, submitted.job.id, 100)


def ending(job: Job) -> str:
    """``completed``, or the code of its failure, which has words of ours."""
    assert job.state in (State.COMPLETED, State.FAILED)
    if job.failure is None:
        return COMPLETED
    assert job.failure.message
    return job.failure.code


async def still_works(service: Service) -> None:
    """An ordinary document goes through."""
    assert ending(await run(service, "document.to_pdf", b"plain words\n", "a.txt")) == COMPLETED


async def output_text(service: Service, job: Job) -> str:
    """All text of the PDFs that a job left."""
    texts: list[str] = []
    for artifact in job.artifacts:
        _, path = await service.artifact(LOCAL, job.id, artifact.id)
        with pypdfium2.PdfDocument(path) as pdf:
            texts += [page.get_textpage().get_text_range() for page in pdf]
    return "\n".join(texts)
