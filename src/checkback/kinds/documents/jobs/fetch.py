"""The kind that only fetches a file, for later jobs and for its hash."""

from __future__ import annotations

import hashlib
import mimetypes
from typing import Any

from checkback.kinds.context import JobContext
from checkback.kinds.documents.args.common import DocumentArgs
from checkback.kinds.documents.job_context import PHASES, document_work
from checkback.kinds.registry import MemoryLimit, job


@job(
    "file.fetch",
    title="Fetch a file",
    queue="documents",
    network=True,
    sandbox=True,
    attempts=3,
    memory_bytes=1 << 30,
    memory_limit=MemoryLimit.ADDRESS_SPACE,
    phases=PHASES[:1],
)
def fetch(args: DocumentArgs, ctx: JobContext) -> dict[str, Any]:
    """Download a file and keep it as a result, 200 MB at most, so that later
    jobs can work on it.
    """
    with document_work(args, ctx) as work:
        with work.source.path.open("rb") as file:
            digest = hashlib.file_digest(
                file, lambda: hashlib.md5(usedforsecurity=False)
            ).hexdigest()
        size = work.source.path.stat().st_size
        name = args.name or work.source.name
        work.ctx.log(f"fetched {size} bytes")
        guessed = mimetypes.guess_type(name)[0] or "application/octet-stream"
        work.output(work.source.path, "", name=name)
        return work.result(md5=digest, size_bytes=size, media_type=guessed)
