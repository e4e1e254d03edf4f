"""The chaos program itself, for as long as a test may take. Any length by hand: docs/reliability.md."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECONDS = 90


@pytest.mark.slow
@pytest.mark.timeout(420)
def test_every_promise_holds_while_everything_is_broken(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "chaos", "--seconds", str(SECONDS), "--seed", "7"]
    done = subprocess.run(
        [*command, "--keep", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    log = tmp_path / "log.txt"
    assert done.returncode == 0, (done.stdout, done.stderr[-2000:], log.read_text()[-2000:])
    assert "every promise held" in done.stdout
