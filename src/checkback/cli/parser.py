"""The command line: every command, its arguments, and one line of help for each."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from typing import Any, ClassVar, NoReturn

STATES = ("waiting", "delayed", "active", "completed", "failed", "cancelled")
CLIENTS = ("claude-code", "claude-desktop", "cursor", "vscode")


def make_parser() -> argparse.ArgumentParser:
    """The whole command line. Each command's options carry the function that runs it."""
    parser = _Parser(
        prog="checkback",
        description="Durable background jobs that agents, programs and people can check back on.",
        epilog="Exit codes: 0 completed, 1 failed, 2 usage, 3 cancelled, 4 unknown, 5 still "
        "running.",
    )
    parser.add_argument("--version", action="version", version=_Version("%(prog)s"))
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _server_commands(commands)
    _job_commands(commands)
    _other_commands(commands)
    return parser


class _Parser(argparse.ArgumentParser):
    """argparse's parser, whose errors also say what was probably meant."""

    #: The options of all commands: argparse reports an unknown one after the command was parsed.
    options: ClassVar[set[str]] = set()

    def add_argument(self, *names: Any, **settings: Any) -> argparse.Action:
        self.options.update(name for name in names if name.startswith("--"))
        return super().add_argument(*names, **settings)

    def error(self, message: str) -> NoReturn:
        super().error(message + self._suggestion(message))

    def _suggestion(self, message: str) -> str:
        from checkback.core.error_text import did_you_mean

        if choice := _INVALID_CHOICE.search(message):
            return "." + did_you_mean(choice[1], re.findall(r"[\w-]+", choice[2]))
        if unknown := _UNKNOWN_OPTION.search(message):
            return "." + did_you_mean(unknown[1], self.options, prefix="--")
        return ""


_INVALID_CHOICE = re.compile(r"invalid choice: '(.*?)' \(choose from (.*)\)")
_UNKNOWN_OPTION = re.compile(r"unrecognized arguments: (--[\w-]+)")


class _Version(str):
    """The version, read only when it is printed."""

    __slots__ = ()

    def __mod__(self, _: Any) -> str:
        from checkback.app.daemon import find_version

        return f"checkback {find_version()}"


def _later(module: str, name: str) -> Callable[[argparse.Namespace], int]:
    """A command's function, imported when it runs."""

    def run(options: argparse.Namespace) -> int:
        import importlib

        return getattr(importlib.import_module(f"checkback.cli.{module}"), name)(options)

    return run


def _add(commands: Any, name: str, module: str, help_text: str) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=help_text, description=help_text)
    command.set_defaults(run=_later(module, name))
    return command


def _kinds_option(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--import",
        dest="kinds",
        action="append",
        metavar="MODULE",
        help="load your own kinds: the name of a module or the path of a .py file",
    )


def _json_option(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="print JSON")


def _server_commands(commands: Any) -> None:
    serve = _add(
        commands, "serve", "server_commands", "run the server: job store, worker, HTTP API and MCP"
    )
    serve.add_argument("--host", help="address to listen on (default: 127.0.0.1)")
    serve.add_argument(
        "--port", type=int, help="port to listen on (default: 8787; 0 selects a free one)"
    )
    serve.add_argument(
        "--no-token", action="store_true", help="require no token; loopback addresses only"
    )
    serve.add_argument(
        "--no-worker", action="store_true", help="do not run a worker; others run the jobs"
    )
    serve.add_argument("--background", action="store_true", help=argparse.SUPPRESS)
    _kinds_option(serve)
    _json_option(serve)
    _add(commands, "stop", "server_commands", "stop the server of this data folder")
    _add(commands, "repair", "server_commands", "repair a damaged job store")
    worker = _add(commands, "worker", "server_commands", "run a worker, on this machine or another")
    worker.add_argument("--parent", type=int, help=argparse.SUPPRESS)
    _kinds_option(worker)
    mcp = _add(commands, "mcp", "server_commands", "speak MCP on standard input and output")
    mcp.add_argument(
        "--tool-names",
        choices=("underscore", "dotted", "auto"),
        help="form of the tool names (default: underscore)",
    )
    mcp.add_argument(
        "--save-to",
        metavar="FOLDER",
        help="folder in which agents may save files of jobs (default: none)",
    )
    _kinds_option(mcp)
    shim = _add(
        commands, "pdfco-mcp", "server_commands", "run PDF.co's own MCP server against this machine"
    )
    shim.set_defaults(run=_later("pdfco_shim", "run"))
    config = _add(
        commands, "config", "server_commands", "print the configuration for an MCP client"
    )
    config.add_argument("client", choices=CLIENTS)
    config.add_argument(
        "--stdio",
        action="store_true",
        help="have the client start checkback instead of using HTTP",
    )
    config.add_argument(
        "--dotted",
        action="store_true",
        help="use tool names like page.analyze, for users of ReftrixMCP",
    )
    token = _add(
        commands,
        "token",
        "server_commands",
        "show the folder's token, print a sign-in link, or add a token",
    )
    token.add_argument("action", nargs="?", choices=("show", "link", "add"), default="show")
    token.add_argument("owner", nargs="?", help="owner that the new token belongs to")
    token.add_argument(
        "--scope",
        action="append",
        choices=("read", "write", "admin", "metrics"),
        help="what the new token may do (default: read and write)",
    )


def _job_commands(commands: Any) -> None:
    submit = _add(commands, "submit", "job_commands", "submit a job and print its id")
    submit.add_argument("kind")
    submit.add_argument(
        "args",
        nargs="*",
        metavar="NAME=VALUE",
        help=(
            "arguments; a value that is valid JSON is parsed as JSON; file=PATH uploads a "
            "local file"
        ),
    )
    submit.add_argument("--key", help="idempotency key: the same key gives the same job")
    submit.add_argument(
        "--deadline", type=float, metavar="SECONDS", help="time limit of one attempt"
    )
    submit.add_argument(
        "--delay", type=float, default=0.0, metavar="SECONDS", help="delay before the job may start"
    )
    submit.add_argument("--attempts", type=int, help="maximum number of attempts")
    submit.add_argument("--wait", action="store_true", help="wait for the end and print the result")
    _kinds_option(submit)
    _json_option(submit)
    for name, help_text in (
        ("check", "print a job's state"),
        ("watch", "show a job's phases and progress until it ends"),
        ("cancel", "cancel a job"),
        ("retry", "run a failed or cancelled job again"),
        ("delete", "delete a job with its result and files"),
        ("result", "print a job's result"),
        ("log", "print a job's log"),
    ):
        command = _add(commands, name, "job_commands", help_text)
        command.add_argument("id")
        _json_option(command)
        if name in ("check", "watch"):
            command.add_argument(
                "--dialect",
                choices=("native", "reftrix"),
                help="format of the output (implies --json)",
            )
    wait = _add(commands, "wait", "job_commands", "wait for a job's end and print its result")
    wait.add_argument("id")
    wait.add_argument(
        "--timeout", type=float, metavar="SECONDS", help="stop waiting after this time"
    )
    _json_option(wait)
    artifact = _add(
        commands, "artifact", "job_commands", "list a job's files, or write one of them"
    )
    artifact.add_argument("id")
    artifact.add_argument("name", nargs="?", help="name or id of the file to write")
    artifact.add_argument(
        "--output", "-o", metavar="FILE", help="file to write to (default: standard output)"
    )
    _json_option(artifact)
    listing = _add(commands, "list", "job_commands", "list jobs, newest first")
    listing.add_argument("--state", choices=STATES)
    listing.add_argument("--kind")
    listing.add_argument("--owner", help="list the jobs of another owner, or * for all")
    listing.add_argument("--limit", type=int, default=20)
    listing.add_argument(
        "--cursor", help="continue from this cursor, which the previous page printed"
    )
    _json_option(listing)


def _other_commands(commands: Any) -> None:
    kinds = _add(commands, "kinds", "job_commands", "list the kinds of job")
    _kinds_option(kinds)
    _json_option(kinds)
    doctor = _add(
        commands,
        "doctor",
        "doctor",
        "test the folder, store, browser and sandbox, and say how to fix what fails",
    )
    _json_option(doctor)
