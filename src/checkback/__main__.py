"""``python -m checkback`` is the command ``checkback``."""

import sys

from checkback.cli import main

if __name__ == "__main__":
    sys.exit(main())
