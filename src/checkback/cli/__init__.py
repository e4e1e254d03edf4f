"""The command ``checkback``. Data goes to standard output, everything else to standard error.

Exit codes: 0 completed (or done), 1 failed, 2 wrong usage, 3 cancelled, 4 no such job, 5 still
running. Each command imports what it needs when it runs: ``checkback check`` answers before MCP's
libraries would be loaded.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence

from checkback.cli.exit_codes import Exit
from checkback.core.errors import CheckbackError, InvalidInput, NotFound


def _replace_what_cannot_be_shown() -> None:
    """A terminal that lacks a character shows another one instead of ending the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _report(error: CheckbackError) -> int:
    """Print an error, and return the exit code for it."""
    from checkback.cli.terminal import printable

    sys.stderr.write(f"error: {printable(error.message)}\nhint: {printable(error.hint)}\n")
    if isinstance(error, NotFound):
        return Exit.UNKNOWN
    return Exit.USAGE if isinstance(error, InvalidInput) else Exit.FAILED


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. An error is one sentence with a hint."""
    from checkback.cli.parser import make_parser

    _replace_what_cannot_be_shown()
    options = make_parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except CheckbackError as error:
        return _report(error)
    except KeyboardInterrupt:
        # The job continues: that is its purpose.
        sys.stderr.write(
            "interrupted; the job is still running, check it with `checkback check ID`\n"
        )
        return Exit.RUNNING
    except BrokenPipeError:
        return Exit.DONE
