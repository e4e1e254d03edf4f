"""The kind that only fetches a file, for later jobs and for its hash."""

from __future__ import annotations

import hashlib
import mimetypes
from pathlib import Path
from typing import Any

from checkback.kinds.context import JobContext
from checkback.kinds.documents.args.common import DocumentArgs
from checkback.kinds.documents.job_context import PHASES, document_work
from checkback.kinds.documents.jobs.document_job import GIB, document_job


@document_job(
    "file.fetch",
    title="Fetch a file",
    attempts=3,
    deterministic=False,
    memory_bytes=GIB,
    phases=PHASES[:1],
)
def fetch(args: DocumentArgs, ctx: JobContext) -> dict[str, Any]:
    """Download a file of at most 200 MB and keep it as a result, so that later jobs can use it."""
    with document_work(args, ctx) as work:
        path = work.source.path
        digest, size = _md5(path), path.stat().st_size
        name = args.name or work.source.name
        ctx.log(f"fetched {size} bytes")
        work.output(path, "", name=name)
        media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return work.result(md5=digest, size_bytes=size, media_type=media_type)


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
