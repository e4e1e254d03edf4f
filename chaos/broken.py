"""A worker with one mistake built in: ``python -m chaos.broken lock-renewal``. The checker must see
each of them.

The mistakes are put into this process only; the product has no switch for them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from checkback.cli import main
from checkback.engine.processes.runner import Stop
from checkback.engine.worker import process as worker
from checkback.engine.worker.attempt import Attempt


def _never_renew_locks() -> None:
    worker.LOCK_RENEW_MS = 3_600_000


def _never_look_for_lost_jobs() -> None:
    worker.STALLED_CHECK_MS = 3_600_000


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
