"""The toolset ``lean``: seven tools that reach every kind, for agents whose context is small.

A kind is found and described when it is needed, instead of being a tool by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Any

from fastmcp.tools.base import ToolResult
from mcp_types import ToolAnnotations
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from checkback.api.mcp import icons
from checkback.api.mcp.tools.context import (
    READS,
    ApiTool,
    Arguments,
    JobTool,
    ToolContext,
    checked,
    reply,
    schema_of,
)
from checkback.api.mcp.tools.job_tools import job_tools, starter
from checkback.api.mcp.tools.schemas import portable
from checkback.core.job import Job
from checkback.dialects import native
from checkback.kinds import registry
from checkback.security.auth.callers import Caller

JOB_TOOLS = ("job.wait", "job.result", "job.list", "job.cancel")
"""The tools for jobs of any kind that belong to this set."""

MAX_FOUND = 20

_STARTS = {
    "readOnlyHint": False,
    "destructiveHint": False,
    "idempotentHint": False,
    "openWorldHint": True,
}


class SearchInput(BaseModel):
    model_config = ConfigDict(extra="forbid")

    query: Annotated[
        str,
        Field(
            max_length=500,
            description="Search words, such as: pdf tables. Empty lists all kinds.",
        ),
    ] = ""


class DescribeInput(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: Annotated[str, Field(description="Name of a kind from kind.search.")]


class SubmitInput(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: Annotated[str, Field(description="Name of a kind from kind.search.")]
    args: Annotated[dict[str, Any], Field(description="Arguments as kind.describe lists them.")] = (
        Field(default_factory=dict[str, Any])
    )
    key: Annotated[
        str | None, Field(description="Idempotency key: the same key returns the same job.")
    ] = None


class FoundKind(TypedDict):
    """A kind in a list."""

    kind: str
    about: str


class FoundKinds(TypedDict):
    """The kinds that a search found, best first."""

    kinds: list[FoundKind]
    more: Annotated[int, Field(description="Number of further kinds that match.")]


class KindDescription(TypedDict):
    """A kind, with its arguments."""

    kind: str
    title: str
    description: str
    args: Annotated[dict[str, Any], Field(description="JSON schema of the arguments.")]
    deadline_seconds: float
    attempts: int


class LeanTools:
    """The handlers of the tools that are only in this set."""

    def __init__(self, tool_context: ToolContext) -> None:
        self._tool_context = tool_context

    async def search(self, _: Caller, arguments: Arguments, __: str) -> ToolResult:
        """The kinds whose name, title or description contains the words, best matches first."""
        words = set(_words(checked(SearchInput, arguments).query))
        matches = _best_matches(words)
        kinds: list[FoundKind] = [
            {"kind": kind.name, "about": _first_sentence(kind)} for kind in matches[:MAX_FOUND]
        ]
        return reply({"kinds": kinds, "more": max(0, len(matches) - MAX_FOUND)})

    async def describe(self, _: Caller, arguments: Arguments, __: str) -> ToolResult:
        """One kind."""
        kind = registry.get(checked(DescribeInput, arguments).kind)
        record: KindDescription = {
            "kind": kind.name,
            "title": kind.title,
            "description": self._tool_context.names.text(kind.description),
            "args": portable(kind.args_schema()),
            "deadline_seconds": kind.deadline_seconds,
            "attempts": kind.attempts,
        }
        return reply(record)

    async def begin(self, caller: Caller, arguments: Arguments, request_id: str) -> Job:
        """Start a job of any kind."""
        wanted = checked(SubmitInput, arguments)
        submitted = await self._tool_context.service.submit(
            caller, wanted.kind, wanted.args, key=wanted.key, request_id=request_id
        )
        return submitted.job


def lean_tools(tool_context: ToolContext, *, has_job_tools: bool) -> Iterable[ApiTool | JobTool]:
    """The tools of this set; ``has_job_tools`` says that those for jobs of any kind already
    exist.
    """
    tools = LeanTools(tool_context)
    yield _tool(
        "kind.search", "Search kinds of job", "Find kinds of job by search words. Use it "
                                              "first, then kind.describe.",
        tools.search, SearchInput, FoundKinds, tool_context,
    )  # fmt: skip
    yield _tool(
        "kind.describe", "Describe a kind of job", "Return what a kind of job does and which "
                                                   "arguments it takes.",
        tools.describe, DescribeInput, KindDescription, tool_context,
    )  # fmt: skip
    submit = ApiTool.of(
        "job.submit",
        tool_context.guarded(starter(tool_context, tools.begin)),
        title="Submit a job",
        description=f"Start a background job. Returns the result if it is ready within "
        f"{tool_context.kind_wait_seconds:g} seconds, otherwise a job_id for job.wait.",
        parameters=SubmitInput.model_json_schema(),
        output_schema=schema_of(native.JobSummary),
        annotations=ToolAnnotations.model_validate({"title": "Submit a job", **_STARTS}),
        icon=icons.JOB,
    )
    yield JobTool(submit, tool_context.guarded(tools.begin))
    if not has_job_tools:
        yield from job_tools(tool_context, JOB_TOOLS)


def _tool(
    name: str,
    title: str,
    description: str,
    answer: Any,
    takes: type[BaseModel],
    gives: Any,
    tool_context: ToolContext,
) -> ApiTool:
    return ApiTool.of(
        name,
        tool_context.guarded(answer),
        title=title,
        description=description,
        parameters=takes.model_json_schema(),
        output_schema=schema_of(gives),
        annotations=ToolAnnotations.model_validate({"title": title, **READS}),
        icon=icons.JOB,
    )


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())


def _best_matches(words: set[str]) -> list[registry.Kind]:
    """The kinds that match any of the words, best first; all of them if there are no words."""
    scores = {kind.name: _score(kind, words) for kind in registry.all_kinds()}
    matches = [kind for kind in registry.all_kinds() if scores[kind.name] > 0 or not words]
    return sorted(matches, key=lambda kind: -scores[kind.name])


def _score(kind: registry.Kind, words: set[str]) -> int:
    """How well a kind matches: words in its name count most, then those in its title."""
    score = 0
    for place, weight in ((kind.name, 4), (kind.title, 2), (kind.description, 1)):
        there = _words(place)
        score += weight * sum(any(one.startswith(word) for one in there) for word in words)
    return score


def _first_sentence(kind: registry.Kind) -> str:
    text = " ".join((kind.description or kind.title).split())
    return re.split(r"(?<=[.!?])\s", text, maxsplit=1)[0][:200]
