"""Print the Debian packages that page analysis lacks here: nothing where it can start a browser.

An error that no package fixes, such as a wrong CHECKBACK_BROWSER, ends with exit code 1 and says
why.
"""

import os
import subprocess
import sys

from playwright._impl._driver import compute_driver_executable

from checkback.core.errors import JobFailed
from checkback.kinds.browser.executable import find_browser

BROWSER = "chromium-headless-shell fonts-liberation fonts-noto-core fonts-noto-cjk"
LIBRARY_MISSING = 127  # the dynamic loader's exit code


def starts(program: str) -> bool:
    """Whether the program finds all its libraries."""
    try:
        done = subprocess.run([program, "--version"], capture_output=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode != LIBRARY_MISSING


if not starts(compute_driver_executable()[0]):
    print("libatomic1")  # the one library of its Node.js that a small Debian lacks
named = os.environ.get("CHECKBACK_BROWSER")
try:
    program = str(find_browser(named).path)
except JobFailed as error:
    if named:
        sys.exit(f"error: {error.message}\nhint: {error.hint}")
    print(BROWSER)
else:
    if starts(program):
        print(f"browser: {program}", file=sys.stderr)
    elif named:
        sys.exit(
            "error: The program in CHECKBACK_BROWSER does not start.\nhint: Unset it, or start it "
            "by hand."
        )
    else:
        print(BROWSER)
