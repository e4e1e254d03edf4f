"""A worker with one error built in: ``python -m chaos.broken lock-renewal``. The checker must see
each of them.

The errors are put into this process only; the product has no switch for them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from checkback.cli import main
from checkback.engine.processes.runner import Stop
from checkback.engine.worker.attempt import Attempt
from checkback.engine.worker.worker_settings import LockTimes


def _an_hour(_: LockTimes) -> int:
    return 3_600_000


def _never_renew_locks() -> None:
    setattr(LockTimes, "renew_ms", property(_an_hour))  # noqa: B010


def _never_look_for_lost_jobs() -> None:
    setattr(LockTimes, "stalled_check_ms", property(_an_hour))  # noqa: B010


def _never_hear_a_cancel() -> None:
    stop = Attempt.stop

    def stop_otherwise(self: Attempt, why: Stop) -> None:
        if why is not Stop.CANCELLED:
            stop(self, why)

    Attempt.stop = stop_otherwise


BREAKS: dict[str, Callable[[], None]] = {
    "lock-renewal": _never_renew_locks,
    "rescue": _never_look_for_lost_jobs,
    "cancel": _never_hear_a_cancel,
}

if __name__ == "__main__":
    BREAKS[sys.argv[1]]()
    sys.exit(main(["worker"]))
