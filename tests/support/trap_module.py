"""Leaves a file in the data folder when it is imported. Nothing may import it because a caller
names it.
"""

import os
from pathlib import Path

(Path(os.environ["CHECKBACK_HOME"]) / "trapped").touch()


def run() -> None:
    """What a kind of that name would be."""
