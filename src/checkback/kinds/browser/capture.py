"""The raw capture: everything that one load of a page gave, before any judgement.

The collector fills it, phase after phase; the analysis modules are pure functions of it. So they
are tested without a browser, and a saved capture can be analyzed again without a new load. A part
that was not collected is empty, and then the report does not mention it.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

SCHEMA = "checkback.bundle/1"

Fields = dict[str, Any]


def _no_fields() -> Fields:
    return {}


def _no_list() -> list[Fields]:
    return []


def _no_names() -> list[str]:
    return []


@dataclass(slots=True)
class PageCapture:
    """One page as it was loaded. Every part is JSON, and every text in it is untrusted."""

    requested_url: str
    #: ISO 8601, in UTC.
    fetched_at: str
    viewport: tuple[int, int]
    final_url: str = ""
    http_status: int = 0
    media_type: str = ""
    redirects: list[Fields] = field(default_factory=_no_list)
    robots: Fields | None = None
    performance: Fields | None = None
    network: Fields | None = None
    egress: Fields | None = None
    console: Fields | None = None
    scroll: Fields | None = None
    facts: Fields | None = None
    #: DOMSnapshot with the computed styles that ``snapshot_styles`` names, in that order.
    snapshot: Fields | None = None
    snapshot_styles: list[str] = field(default_factory=_no_names)
    #: Style sheets as the browser loaded them: address, media, text (cut), size.
    sheets: list[Fields] = field(default_factory=_no_list)
    #: How many of their rules matched something at the end.
    rules_used: int | None = None
    fonts: list[Fields] = field(default_factory=_no_list)
    globals: list[str] = field(default_factory=_no_names)
    #: Name of a technology -> what its global says its version is.
    versions: dict[str, str] = field(default_factory=dict[str, str])
    animations: Fields | None = None
    reduced_motion: Fields | None = None
    #: How long the page was watched for motion, and which canvases were drawn on.
    watched: Fields | None = None
    #: Where pictures taken one after the other differ.
    frames: Fields | None = None
    axe: Fields | None = None
    #: One for each window size: name, size, facts, and a light snapshot.
    resized: list[Fields] = field(default_factory=_no_list)
    environment: Fields = field(default_factory=_no_fields)
    #: Phase or step -> milliseconds.
    timings: dict[str, int] = field(default_factory=dict[str, int])
    warnings: list[Fields] = field(default_factory=_no_list)

    def warn(self, code: str, message: str) -> None:
        """Record something that the reader of the report should know; ``message`` never has text
        from the page.
        """
        if all(known["code"] != code for known in self.warnings):
            self.warnings.append({"code": code, "message": message})

    def save(self, path: Path) -> None:
        """Write the bundle as compressed JSON."""
        text = json.dumps({"schema": SCHEMA, **asdict(self)}, separators=(",", ":"), sort_keys=True)
        # No time in the header: the same bundle gives the same bytes.
        path.write_bytes(gzip.compress(text.encode(), mtime=0))


def load_bundle(path: Path) -> PageCapture:
    """A bundle that was saved. Raises ValueError for one of another schema."""
    data: Fields = json.loads(gzip.decompress(path.read_bytes()))
    if data.pop("schema", None) != SCHEMA:
        raise ValueError(f"{path.name} is not a capture of the schema {SCHEMA}")
    known = {item.name for item in fields(PageCapture)}
    data["viewport"] = tuple(data["viewport"])
    return PageCapture(**{key: value for key, value in data.items() if key in known})
