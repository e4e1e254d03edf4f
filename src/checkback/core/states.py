"""The six states of a job and the legal moves between them.

This table is the only place that defines them; the service checks it before it changes a job's
state. Other products' names for the same states are in ``checkback.dialects``.
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """The state of a job. The values are public API: add, never rename."""

    WAITING = "waiting"
    """In the queue."""
    DELAYED = "delayed"
    """Starts later, or waits for its next attempt."""
    ACTIVE = "active"
    """Running in a child process."""
    COMPLETED = "completed"
    """The result is available."""
    FAILED = "failed"
    """No attempt is left."""
    CANCELLED = "cancelled"
    """It was cancelled."""

    @property
    def is_final(self) -> bool:
        """Whether only an explicit retry can change this state."""
        return self in FINAL


FINAL = frozenset({State.COMPLETED, State.FAILED, State.CANCELLED})

MOVES: dict[State, frozenset[State]] = {
    State.WAITING: frozenset({State.ACTIVE, State.CANCELLED, State.FAILED}),
    State.DELAYED: frozenset({State.WAITING, State.CANCELLED}),
    # Back to waiting: its worker was lost or shut down. Delayed: the next attempt waits for its
    # back-off.
    State.ACTIVE: frozenset(
        {State.COMPLETED, State.FAILED, State.CANCELLED, State.WAITING, State.DELAYED}
    ),
    State.COMPLETED: frozenset(),
    # An explicit retry, which starts a new attempt.
    State.FAILED: frozenset({State.WAITING}),
    State.CANCELLED: frozenset({State.WAITING}),
}


def may_move(before: State, after: State) -> bool:
    """Whether a job in ``before`` may become ``after`` in one step."""
    return after in MOVES[before]
