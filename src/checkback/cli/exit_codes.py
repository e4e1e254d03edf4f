"""The exit codes of the command."""

from __future__ import annotations

from enum import IntEnum

from checkback.core.states import State


class Exit(IntEnum):
    """Exit codes; they are API."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    CANCELLED = 3
    UNKNOWN = 4
    RUNNING = 5


def of_state(state: State) -> Exit:
    """The exit code for a job's state."""
    return {
        State.COMPLETED: Exit.DONE,
        State.FAILED: Exit.FAILED,
        State.CANCELLED: Exit.CANCELLED,
    }.get(state, Exit.RUNNING)
