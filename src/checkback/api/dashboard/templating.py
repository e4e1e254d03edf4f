"""Renders templates. Everything is escaped, and a strict content security policy blocks everything
else.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse

from checkback.core.clean_text import clean
from checkback.core.states import State
from checkback.dialects import human, native

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    # With no-referrer a browser would send the origin of our forms as null, which the
    # authentication middleware refuses.
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}


def html(template: str, values: dict[str, Any], status: int = 200) -> HTMLResponse:
    """A page. A value that a template uses and ``values`` lacks raises an error."""
    defaults = {"caller": None, "error": None}
    text = clean(_ENVIRONMENT.get_template(template).render(defaults | values))
    return HTMLResponse(text, status, headers=dict(HEADERS))


def shown(value: object) -> str:
    """JSON for people."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def clock(moment: datetime | None) -> str:
    """A time of day in UTC, with its date."""
    return "–" if moment is None else moment.strftime("%Y-%m-%d %H:%M:%S UTC")


_ENVIRONMENT = Environment(
    loader=PackageLoader("checkback.api.dashboard"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters.update(
    duration=human.duration, size=human.size, shown=shown, clock=clock, iso=native.iso
)
_ENVIRONMENT.globals["icons"] = human.ICONS  # pyright: ignore[reportArgumentType]
_ENVIRONMENT.globals["states"] = list(State)  # pyright: ignore[reportArgumentType]
