"""What a caller may do and see."""

from __future__ import annotations

from checkback.core.errors import Forbidden, NotFound
from checkback.core.job import Job
from checkback.security.auth.callers import Caller, Scope


def require(caller: Caller, scope: Scope) -> None:
    """Raise Forbidden for a caller without the scope."""
    if not caller.may(scope):
        raise Forbidden(f"This token lacks the `{scope}` scope.")


def may_see(caller: Caller, owner: str) -> bool:
    """Whether what belongs to ``owner`` exists for the caller."""
    return owner == caller.owner or caller.is_admin


def visible(caller: Caller, job: Job | None) -> Job:
    """The job, if the caller may see it. Raises NotFound."""
    if job is None or not may_see(caller, job.owner):
        raise NotFound
    return job


def listed_owner(caller: Caller, owner: str | None) -> str:
    """Whose jobs are listed: the caller's own unless another ``owner`` is named, or ``*``. Raises
    Forbidden.
    """
    if owner is not None and owner != caller.owner and not caller.is_admin:
        raise Forbidden("Only an admin token may list the jobs of another owner.")
    return owner or caller.owner
