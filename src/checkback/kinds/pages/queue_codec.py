"""How ReftrixMCP's programs know the jobs of ``page.analyze`` in their BullMQ queue
(docs/reftrix.md).

This module is read by programs that import no kinds: it must stay light.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from checkback.core.job import JSON
from checkback.core.queue_codec import QueueCodec

KIND = "page.analyze"
QUEUE = "page-analyze"

Fields = dict[str, Any]


def encode(
    job_id: str, args: Mapping[str, JSON], created_at: datetime, request_id: str | None = None
) -> Fields:
    """The job data for these arguments, which a Node worker of ReftrixMCP can read."""
    options = {key: value for key, value in args.items() if key != "url"}
    data = {
        "webPageId": job_id,
        "url": args["url"],
        "options": options,
        "createdAt": created_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    if request_id is not None:
        data["requestId"] = request_id
    return data


def decode(data: Mapping[str, JSON]) -> Fields:
    """The arguments in job data that any client may have added.

    Nothing is checked here: data of another form gives arguments that the kind's model refuses, by
    name.
    """
    given: object = data.get("options")
    options: Mapping[str, JSON] = {}
    if isinstance(given, Mapping):
        options = cast("Mapping[str, JSON]", given)
    args: Fields = {key: value for key, value in options.items() if value is not None}
    if "url" in data:
        args["url"] = data["url"]
    return args


QUEUE_CODEC = QueueCodec(KIND, QUEUE, "page-analyze", encode, decode)
