"""Uploads in the native API: upload a file once, and let any number of jobs work on it."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, Field
from starlette.responses import Response
from typing_extensions import TypedDict

from checkback.api.operations import Operation, OperationCall, OperationResult, StrictJsonResponse
from checkback.api.signed_files import save
from checkback.core.errors import Forbidden, InvalidInput, TooLarge
from checkback.service import Service


class UploadQuery(BaseModel):
    """The name of the file."""

    name: str = Field(
        "file", max_length=500, description="Name of the file; results are named after it."
    )


class UploadRecord(TypedDict):
    """An uploaded file. ``source`` is what a job takes as its ``url``."""

    id: str
    source: str
    name: str
    size_bytes: int
    md5: str


def upload_operations(service: Service) -> Sequence[Operation]:
    """The operations about uploads."""

    async def upload(call: OperationCall) -> Response:
        name = call.query(UploadQuery).name
        stored = await save(service.uploads.begin(call.caller, name), call.request.stream())
        record: UploadRecord = {
            "id": stored.id,
            "source": f"upload:{stored.id}",
            "name": stored.name,
            "size_bytes": stored.size_bytes,
            "md5": stored.md5,
        }
        return StrictJsonResponse(record, 201, {"cache-control": "no-store"})

    return [
        Operation(
            "uploadFile",
            "POST",
            "/api/uploads",
            "Upload a file: the body is its content, at most 200 MB. The file is kept for a "
            "day after its last use.",
            upload,
            {201: OperationResult("The upload.", UploadRecord)},
            query=UploadQuery,
            errors=[InvalidInput, TooLarge, Forbidden],
        )
    ]
