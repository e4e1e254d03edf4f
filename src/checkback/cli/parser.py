"""The command line: every command, its arguments, and one line of help for each."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

STATES = ("waiting", "delayed", "active", "completed", "failed", "cancelled")
CLIENTS = ("claude-code", "claude-desktop", "cursor", "vscode")


def make_parser() -> argparse.ArgumentParser:
    """The whole command line. Each command's options carry the function that runs it."""
    parser = argparse.ArgumentParser(
        prog="checkback",
        description="Durable background jobs that agents, programs and people can check back on.",
        epilog="Exit codes: 0 completed, 1 failed, 2 usage, 3 cancelled, 4 unknown, 5 still running.",
    )
    parser.add_argument("--version", action="version", version=_Version("%(prog)s"))
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _server_commands(commands)
    _job_commands(commands)
    _other_commands(commands)
    return parser


class _Version(str):
    """The version, found only when it is asked for."""

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
        help="load kinds of your own: a module's name, or a .py file",
    )


def _json_option(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="print JSON")


def _server_commands(commands: Any) -> None:
    serve = _add(
        commands, "serve", "server_commands", "run the server: store, worker, HTTP and MCP"
    )
    serve.add_argument("--host", help="address to listen on (127.0.0.1)")
    serve.add_argument("--port", type=int, help="port to listen on (8787; 0: a free one)")
    serve.add_argument(
        "--no-token", action="store_true", help="ask nobody for a token; loopback only"
    )
    serve.add_argument("--no-worker", action="store_true", help="run no worker; others do")
    serve.add_argument("--background", action="store_true", help=argparse.SUPPRESS)
    _kinds_option(serve)
    _json_option(serve)
    _add(commands, "stop", "server_commands", "end the server of this data folder")
    _add(commands, "repair", "server_commands", "make a damaged store readable again")
    worker = _add(commands, "worker", "server_commands", "run a worker, on this or another machine")
    worker.add_argument("--parent", type=int, help=argparse.SUPPRESS)
    _kinds_option(worker)
    mcp = _add(commands, "mcp", "server_commands", "speak MCP on standard input and output")
    mcp.add_argument(
        "--tool-names",
        choices=("underscore", "dotted", "auto"),
        help="how tools are listed (underscore)",
    )
    mcp.add_argument(
        "--save-to",
        metavar="FOLDER",
        help="let agents save files of jobs in this folder (none by default)",
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
        "--stdio", action="store_true", help="let the client start checkback, instead of HTTP"
    )
    config.add_argument(
        "--dotted", action="store_true", help="list tools as page.analyze, for users of ReftrixMCP"
    )
    token = _add(
        commands,
        "token",
        "server_commands",
        "show this folder's token, a link that signs in, or add a token",
    )
    token.add_argument("action", nargs="?", choices=("show", "link", "add"), default="show")
    token.add_argument("owner", nargs="?", help="who the new token stands for")
    token.add_argument(
        "--scope",
        action="append",
        choices=("read", "write", "admin", "metrics"),
        help="(read and write)",
    )


def _job_commands(commands: Any) -> None:
    submit = _add(commands, "submit", "job_commands", "submit a job and print its id")
    submit.add_argument("kind")
    submit.add_argument(
        "args",
        nargs="*",
        metavar="NAME=VALUE",
        help="arguments; a value that is JSON is read as such; file=PATH hands in a file of this machine",
    )
    submit.add_argument("--key", help="idempotency key: the same key gives the same job")
    submit.add_argument(
        "--deadline", type=float, metavar="SECONDS", help="running time of one attempt"
    )
    submit.add_argument(
        "--delay", type=float, default=0.0, metavar="SECONDS", help="start that much later"
    )
    submit.add_argument("--attempts", type=int, help="how often it may be tried in all")
    submit.add_argument("--wait", action="store_true", help="wait for the end and print the result")
    _kinds_option(submit)
    _json_option(submit)
    for name, help_text in (
        ("check", "tell a job's state"),
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
                "--dialect", choices=("native", "reftrix"), help="in whose words (implies --json)"
            )
    wait = _add(commands, "wait", "job_commands", "wait for a job's end and print its result")
    wait.add_argument("id")
    wait.add_argument("--timeout", type=float, metavar="SECONDS", help="wait no longer than this")
    _json_option(wait)
    artifact = _add(commands, "artifact", "job_commands", "list a job's files, or get one of them")
    artifact.add_argument("id")
    artifact.add_argument("name", nargs="?", help="which file, by its name or id")
    artifact.add_argument(
        "--output", "-o", metavar="FILE", help="where to write it (standard output)"
    )
    _json_option(artifact)
    listing = _add(commands, "list", "job_commands", "list jobs, newest first")
    listing.add_argument("--state", choices=STATES)
    listing.add_argument("--kind")
    listing.add_argument("--owner", help="another owner's jobs, or * for all")
    listing.add_argument("--limit", type=int, default=20)
    listing.add_argument("--cursor", help="where to go on: printed by the page before")
    _json_option(listing)


def _other_commands(commands: Any) -> None:
    kinds = _add(commands, "kinds", "job_commands", "list the kinds of job")
    _kinds_option(kinds)
    _json_option(kinds)
    doctor = _add(
        commands, "doctor", "doctor", "test browser, store and folders, and say what to do"
    )
    _json_option(doctor)
