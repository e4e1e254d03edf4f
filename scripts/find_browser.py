"""Say whether page analysis finds a browser here: exit code 0 and its path, or 1."""

import os
import sys

from checkback.core.errors import JobFailed
from checkback.kinds.pages.browser import find_browser

try:
    program = find_browser(os.environ.get("CHECKBACK_BROWSER"))
except JobFailed:
    sys.exit(1)
print(f"browser: {program.path}", file=sys.stderr)
