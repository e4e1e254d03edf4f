"""What jobs' processes know of the worker's environment: nothing of checkback's, no keys of
anybody's.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping

from checkback.kinds.browser.executable import playwright_cache
from checkback.telemetry.recording import for_children

_OURS = "CHECKBACK_"
_PASSED_ON = frozenset(
    {
        "PATH",
        "LANG",
        "LANGUAGE",
        "TZ",
        "LD_LIBRARY_PATH",
        "FONTCONFIG_PATH",
        "FONTCONFIG_FILE",
        "PLAYWRIGHT_BROWSERS_PATH",
        "PYTHONHOME",
        "PYTHONPATH",
        "PYTHONUTF8",
        "SSL_CERT_DIR",
        "SSL_CERT_FILE",
        "TESSDATA_PREFIX",
    }
)
"""What built-in kinds and their programs need: to be found, to show text, to know whom TLS trusts.
"""


def for_own_kinds(environment: Mapping[str, str]) -> dict[str, str]:
    """For the kinds of a user's own: all but what belongs to checkback and to its telemetry."""
    return {
        name: value
        for name, value in for_children(environment).items()
        if not name.startswith(_OURS)
    }


def for_built_in_kinds(environment: Mapping[str, str]) -> dict[str, str]:
    """For the built-in kinds, which read strangers' bytes: a short list."""
    kept = {
        name: value
        for name, value in environment.items()
        if name in _PASSED_ON or name.startswith("LC_")
    }
    # Each job has its own home, and a downloaded browser is in the worker's.
    kept.setdefault("PLAYWRIGHT_BROWSERS_PATH", str(playwright_cache()))
    return for_children(kept)


def live_in(folder: str) -> None:
    """Make a folder this process's home and its place for temporary files."""
    os.environ["HOME"] = os.environ["TMPDIR"] = folder
    tempfile.tempdir = None
