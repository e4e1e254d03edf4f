"""How the jobs of a kind look in their queue to other programs that share it.

A kind without a codec is named as itself there, and the data of its jobs are their arguments. The
codecs are kept here, not with the kinds, because a program that only reads a job's state must not
import the kinds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, cast

from checkback.core.job import JSON


class Encode(Protocol):
    """Makes a job's data from what was submitted."""

    def __call__(
        self,
        job_id: str,
        args: Mapping[str, JSON],
        created_at: datetime,
        request_id: str | None,
        /,
    ) -> dict[str, JSON]: ...


class Decode(Protocol):
    """Makes the arguments from a job's data, which any program may have written."""

    def __call__(self, data: Mapping[str, JSON], /) -> dict[str, JSON]: ...


@dataclass(frozen=True, slots=True)
class QueueCodec:
    """The names and the data by which other programs know the jobs of one kind in one queue."""

    kind: str
    queue: str
    job_name: str
    encode: Encode
    decode: Decode


_by_kind: dict[tuple[str, str], QueueCodec] = {}
_by_job_name: dict[tuple[str, str], QueueCodec] = {}


def register(codec: QueueCodec) -> None:
    """Use this codec from now on in this process."""
    _by_kind[codec.queue, codec.kind] = codec
    _by_job_name[codec.queue, codec.job_name] = codec


def job_name(kind: str, queue: str) -> str:
    """What BullMQ calls a job of this kind."""
    codec = _by_kind.get((queue, kind))
    return codec.job_name if codec is not None else kind


def kind_of(name: str, queue: str) -> str:
    """The kind of a job that BullMQ calls ``name``."""
    codec = _by_job_name.get((queue, name))
    return codec.kind if codec is not None else name


def queue_data(
    kind: str,
    queue: str,
    job_id: str,
    args: Mapping[str, JSON],
    created_at: datetime,
    request_id: str | None,
) -> JSON:
    """A job's data as other programs expect to find it in that queue."""
    codec = _by_kind.get((queue, kind))
    if codec is None:
        return dict(args)
    return codec.encode(job_id, args, created_at, request_id)


def args_of(data: JSON, kind: str, queue: str) -> JSON:
    """The arguments in a job's data. Data of another form than expected is returned unchanged, and
    refused by the kind.
    """
    codec = _by_kind.get((queue, kind))
    if codec is None or not isinstance(data, Mapping):
        return data
    return codec.decode(cast("Mapping[str, JSON]", data))
