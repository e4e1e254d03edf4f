"""The installed command, as a person or a script uses it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

COMMAND = (sys.executable, "-m", "checkback")
UNKNOWN = "01a201ae-de92-792d-a279-f3d27cb99f9e"


@pytest.mark.parametrize(
    ("arguments", "suggestion"),
    [
        (("submti", "x"), "Did you mean submit?"),
        (("serve", "--prot", "1"), "Did you mean --port?"),
        (("list", "--state", "complete"), "Did you mean completed?"),
    ],
)
def test_a_misspelled_word_gets_a_suggestion(
    tmp_path: Path, arguments: tuple[str, ...], suggestion: str
) -> None:
    done = Shell(tmp_path).run(*arguments, code=2)
    assert done.stderr.rstrip().endswith(suggestion)


class Shell:
    """Runs ``checkback`` against one data folder."""

    def __init__(self, home: Path, **variables: str) -> None:
        self.environment = os.environ | {
            "CHECKBACK_HOME": str(home),
            "CHECKBACK_PORT": "0",
            "CHECKBACK_KINDS": "sample_kinds",
            "CHECKBACK_GRACE_SECONDS": "2",
            **variables,
        }

    def run(self, *arguments: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*COMMAND, *arguments], env=self.environment, capture_output=True, text=True, timeout=60
        )
        if code is not None:
            assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done

    def out(self, *arguments: str, code: int | None = 0) -> str:
        return self.run(*arguments, code=code).stdout.strip()


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A folder whose server the first command starts."""
    opened = Shell(tmp_path_factory.mktemp("shell") / "home")
    yield opened
    opened.run("stop")


def test_the_first_command_starts_the_server_and_the_next_ones_use_it(shell: Shell) -> None:
    assert shell.out("submit", "test.add", "a=1", "b=2", "--wait") == "3"
    found = shell.run("doctor", code=None)
    assert "running (PID " in found.stdout


def test_exit_codes_tell_the_state(shell: Shell, tmp_path: Path) -> None:
    done = shell.out("submit", "test.add", "a=1", "b=2")
    shell.run("wait", done, code=0)
    assert done in shell.out("check", done, code=0)
    failed = shell.out("submit", "test.fail")
    shell.run("wait", failed, code=1)
    assert "It broke." in shell.out("check", failed, code=1)
    running = shell.out("submit", "test.gate", f"path={tmp_path / 'go'}")
    shell.run("check", running, code=5)
    shell.run("wait", running, "--timeout", "0.2", code=5)
    shell.run("cancel", running, code=0)
    shell.run("check", running, code=3)
    shell.run("check", UNKNOWN, code=4)
    shell.run("check", "nonsense", code=2)
    shell.run("submit", "test.nothing", code=2)
    shell.run("submit", "test.add", "a", code=2)
    shell.run("nonsense", code=2)


def test_data_goes_to_standard_output_and_the_rest_to_standard_error(shell: Shell) -> None:
    done = shell.run("submit", "test.say", "words=hello", "--wait")
    assert json.loads(done.stdout) == {"said": "hello"}
    assert "completed" in done.stderr
    problem = shell.run("check", UNKNOWN, code=4)
    assert problem.stdout == ""
    assert problem.stderr.startswith("error: ")
    assert "\nhint: " in problem.stderr


def test_everything_speaks_json(shell: Shell) -> None:
    job = json.loads(shell.out("submit", "test.say", "words=hi", "--json"))
    assert (job["kind"], job["is_final"]) == ("test.say", False)
    ended = json.loads(shell.out("wait", job["id"], "--json"))
    assert (ended["state"], ended["result"]) == ("completed", {"said": "hi"})
    assert json.loads(shell.out("check", job["id"], "--json"))["state"] == "completed"
    assert json.loads(shell.out("check", job["id"], "--dialect", "reftrix"))["success"] is True
    assert sorted(json.loads(shell.out("log", job["id"], "--json"))) == ["log: hi", "printed: hi"]
    assert json.loads(shell.out("result", job["id"])) == {"said": "hi"}
    assert job["id"] in {one["id"] for one in json.loads(shell.out("list", "--json"))["jobs"]}
    assert "test.say" in {one["kind"] for one in json.loads(shell.out("kinds", "--json"))}
    lines = shell.out("watch", job["id"], "--json").splitlines()
    assert [json.loads(line)["state"] for line in lines] == ["completed"]


def test_the_files_of_a_job_are_listed_and_fetched(shell: Shell, tmp_path: Path) -> None:
    job_id = shell.out("submit", "test.say", "words=hello")
    shell.run("wait", job_id)
    assert shell.out("artifact", job_id).split() == ["words.txt", "5", "text/plain"]
    assert json.loads(shell.out("artifact", job_id, "--json"))[0]["name"] == "words.txt"
    assert shell.out("artifact", job_id, "words.txt") == "hello"
    shell.run("artifact", job_id, "words.txt", "--output", str(tmp_path / "copy"))
    assert (tmp_path / "copy").read_text() == "hello"
    assert "has no artifact" in shell.run("artifact", job_id, "other", code=4).stderr


def test_a_failed_job_runs_again(shell: Shell, tmp_path: Path) -> None:
    job_id = shell.out(
        "submit", "test.flaky", f"path={tmp_path / 'runs'}", "failures=1", "--attempts", "1"
    )
    shell.run("wait", job_id, code=1)
    shell.run("retry", job_id)
    assert shell.run("wait", job_id).stdout.strip() == "2"
    shell.run("retry", job_id, code=1)


def test_a_deleted_job_is_gone(shell: Shell) -> None:
    job_id = shell.out("submit", "test.add", "a=1", "b=2")
    shell.run("wait", job_id)
    assert shell.out("delete", job_id) == f"deleted {job_id}"
    shell.run("check", job_id, code=4)
    shell.run("delete", job_id, code=4)


def test_a_key_gives_the_same_job(shell: Shell) -> None:
    first = shell.out("submit", "test.add", "a=1", "b=2", "--key", "one")
    assert shell.out("submit", "test.add", "a=1", "b=2", "--key", "one") == first
    assert (
        "used before"
        in shell.run("submit", "test.add", "a=1", "b=3", "--key", "one", code=None).stderr
    )


def test_text_from_outside_cannot_drive_the_terminal(shell: Shell) -> None:
    job_id = shell.out("submit", "test.fail", 'message="\\u001b]52;c;eA==\\u0007 \\u001b[2J"')
    shell.run("wait", job_id, code=1)
    evil = "\\u001b]0;title\\u0007\\u001b[2J\\u009b31m"
    failed = shell.out("submit", "test.inject", f'words="{evil}"', "fail=true")
    done = shell.out("submit", "test.inject", f'words="{evil}"')
    commands = {
        ("wait", failed): 1,
        ("wait", done): 0,
        ("log", done): 0,
        ("result", done): 0,
        ("list",): 0,
    }
    for command, code in ({("check", job_id): 1} | commands).items():
        shown = shell.run(*command, code=code)
        assert not set(shown.stdout + shown.stderr) & set("\x1b\x07\x9b"), command


def test_other_settings_than_the_servers_are_refused(shell: Shell, tmp_path: Path) -> None:
    running = shell.out("submit", "test.gate", f"path={tmp_path / 'never'}")
    shell.environment = shell.environment | {"CHECKBACK_KEEP_COMPLETED_HOURS": "1"}
    try:
        refused = shell.run("check", running, code=2)
        assert "CHECKBACK_KEEP_COMPLETED_HOURS" in refused.stderr
        assert "checkback stop" in refused.stderr
    finally:
        del shell.environment["CHECKBACK_KEEP_COMPLETED_HOURS"]
        shell.run("cancel", running)


def test_a_module_of_kinds_that_is_not_there_is_told(tmp_path: Path) -> None:
    lonely = Shell(tmp_path / "home", CHECKBACK_KINDS="no_such_module")
    told = lonely.run("submit", "test.add", code=None)
    assert told.returncode in (1, 2)
    assert "no_such_module" in told.stderr
    assert "Traceback" not in told.stderr


def test_the_configuration_of_each_client_is_printed(shell: Shell) -> None:
    token = shell.out("token")
    assert token in shell.out("config", "claude-code")
    for client in ("claude-desktop", "cursor", "vscode"):
        written = json.loads(shell.out("config", client))
        assert "checkback" in (written.get("mcpServers") or written.get("servers"))
    assert " mcp" in shell.out("config", "claude-code", "--stdio")


def test_a_token_is_shown_once_and_stored_as_a_hash(shell: Shell) -> None:
    made = shell.out("token", "add", "alice")
    stored = (Path(shell.environment["CHECKBACK_HOME"]) / "tokens.toml").read_text()
    assert made.startswith("cb_")
    assert made not in stored
    assert "alice" in stored


def test_another_address_needs_tokens(tmp_path: Path) -> None:
    alone = Shell(tmp_path / "home")
    refused = alone.run("serve", "--host", "0.0.0.0", code=2)
    assert "requires tokens" in refused.stderr
    refused = alone.run("serve", "--host", "0.0.0.0", "--no-token", code=2)
    assert "loopback" in refused.stderr


def test_the_version_is_told(shell: Shell) -> None:
    from importlib.metadata import version

    assert shell.out("--version") == f"checkback {version('checkback')}"


def test_stop_says_when_there_is_nothing_to_stop(tmp_path: Path) -> None:
    assert "no server is running" in Shell(tmp_path / "home").run("stop").stderr


def test_a_check_imports_neither_pydantic_nor_redis_nor_mcp(shell: Shell) -> None:
    job_id = shell.out("submit", "test.add", "a=1", "b=2")
    shell.run("wait", job_id)
    code = (
        "import sys; from checkback.cli import main; main(['check', sys.argv[1]]);"
        "slow = ('pydantic', 'redis', 'bullmq', 'fastmcp', 'mcp', 'rich', 'opentelemetry');"
        "print([name for name in slow if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, job_id],
        env=shell.environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stdout
