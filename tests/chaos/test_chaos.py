"""The chaos programs themselves, for as long as a test may take. Any length by hand:
docs/reliability.md.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from checkback.engine.processes import tree

ROOT = Path(__file__).parents[2]
SECONDS = 90
FUZZ_SECONDS = 45


class Program:
    """One of them, from its start on."""

    def __init__(self, folder: Path, *words: str) -> None:
        self._said, self._errors = folder / "said.txt", folder / "errors.txt"
        with self._said.open("w") as said, self._errors.open("w") as errors:
            command = [sys.executable, "-m", *words]
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=errors)

    def end(self) -> tuple[int, str, str]:
        """Wait for its end; gives its code and what it printed."""
        code = self.process.wait()
        return code, self._said.read_text(), self._errors.read_text()


@dataclass(frozen=True)
class Programs:
    """All of them, and the folder that the first one keeps."""

    chaos: Program
    kept: Path
    kills: Program
    fuzz: Program


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programs]:
    """All side by side: each has a server of its own, and the first waits mostly for locks to run
    out.
    """
    chaos, kills, fuzz = (tmp_path_factory.mktemp(name) for name in ("chaos", "kills", "fuzz"))
    options = ["--seconds", str(SECONDS), "--seed", "7", "--keep", str(chaos)]
    started = Programs(
        Program(chaos, "chaos", *options),
        chaos,
        Program(kills, "chaos.kills", "--times", "2"),
        Program(fuzz, "chaos.fuzz", "--seconds", str(FUZZ_SECONDS)),
    )
    yield started
    for program in (started.chaos, started.kills, started.fuzz):
        if program.process.poll() is None:
            tree.kill_tree(program.process.pid)
            program.process.wait(10)


@pytest.mark.slow
@pytest.mark.timeout(420)
def test_every_promise_holds_while_everything_is_broken(programs: Programs) -> None:
    code, said, errors = programs.chaos.end()
    assert code == 0, (said, errors[-2000:], (programs.kept / "log.txt").read_text()[-2000:])
    assert "every promise held" in said


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_server_that_is_killed_amid_submits_and_work_knows_every_job(programs: Programs) -> None:
    code, said, errors = programs.kills.end()
    assert code == 0, (said, errors[-2000:])
    assert "every job ran" in said


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_no_request_made_at_random_is_an_error_of_the_servers_or_shows_anothers_words(
    programs: Programs,
) -> None:
    code, said, errors = programs.fuzz.end()
    assert code == 0, (said, errors[-2000:])
    requests = int(said.partition(" requests")[0].rpartition(" ")[2])
    assert requests > 300, said
