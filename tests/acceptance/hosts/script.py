"""What the scripted model does: submit, poll, cancel, submit, wait, read, look at an image, make an
error.

It goes by what a host shows of each answer, as a model would: a step whose answer does not show
what it takes to go on has failed, and so has the host.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
UNKNOWN = "00000000-0000-4000-8000-000000000000"
IMAGE = "[image]"
"""Mark in a shown result for an image that the model could see."""


@dataclass(frozen=True, slots=True)
class Step:
    """One call: what it is called in reports, the tool's name, and a pattern that the answer must
    show.
    """

    name: str
    tool: str
    arguments: dict[str, Any]
    shows: str
    #: The step whose answer names the job; its id is an argument of this one.
    job_of: str | None = None


STEPS: Sequence[Step] = (
    Step("submit", "host_count", {"seconds": 120}, UUID.pattern),
    Step("poll", "job_status", {}, r"active|waiting", job_of="submit"),
    Step("cancel", "job_cancel", {}, r"cancelled", job_of="submit"),
    Step("submit again", "host_count", {"seconds": 4}, UUID.pattern),
    Step("wait", "job_wait", {"wait_seconds": 40}, r"completed", job_of="submit again"),
    Step("result", "job_result", {}, r"steps", job_of="submit again"),
    Step("draw", "host_picture", {}, UUID.pattern),
    Step("drawn", "job_wait", {"wait_seconds": 40}, r"noise\.png", job_of="draw"),
    Step("picture", "job_result", {"artifact": "noise.png"}, r"\[image\]|/files/", job_of="draw"),
    Step("error", "job_status", {"job_id": UNKNOWN}, r"job_not_found"),
)


def find_tool(names: Sequence[str], wanted: str) -> str | None:
    """A tool by the end of its name: hosts put the server's name before it."""
    found = [name for name in names if _letters(name).endswith(_letters(wanted))]
    return min(found, key=len, default=None)


def next_call(names: Sequence[str], answers: Sequence[str]) -> tuple[str, dict[str, Any]] | str:
    """The next tool to call, after the answers so far; or the last word."""
    if len(answers) >= len(STEPS):
        return "All steps are done."
    step = STEPS[len(answers)]
    tool = find_tool(names, step.tool)
    if tool is None:
        return f"There is no tool {step.tool}."
    arguments = dict(step.arguments)
    if step.job_of is not None:
        earlier = answers[[one.name for one in STEPS].index(step.job_of)]
        found = UUID.search(earlier)
        if found is None:
            return f"The answer to {step.job_of!r} names no job."
        arguments["job_id"] = found.group()
    return tool, arguments


def outcome(answers: Sequence[str]) -> dict[str, str]:
    """What became of each step: ``ok``, ``not done``, or what was shown instead."""
    found: dict[str, str] = {}
    for number, step in enumerate(STEPS):
        if number >= len(answers):
            found[step.name] = "not done"
        elif re.search(step.shows, answers[number]):
            found[step.name] = "ok, seen" if IMAGE in answers[number] else "ok"
        else:
            found[step.name] = answers[number][:200]
    return found


def _letters(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())
