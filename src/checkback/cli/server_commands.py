"""The commands about servers: serve, stop, repair, worker, mcp, config, token."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import json
import os
import shlex
import sys
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from checkback import settings as settings_table
from checkback.app import daemon
from checkback.cli.exit_codes import Exit
from checkback.core.error_text import quoted
from checkback.core.errors import Conflict, InvalidInput
from checkback.settings import Settings

SERVER_NAME = "checkback"
"""What clients call this server."""

_SAME_EVERYWHERE = frozenset(
    settings_table.PREFIX + one.name.upper()
    for one in dataclasses.fields(Settings)
    if one.metadata["belongs"] is settings_table.Belongs.BOTH
)


def serve(options: Namespace) -> int:
    """Serve until a stop signal arrives. Prints the address and the token on standard output."""
    settings = _settings(options, host=options.host, port=options.port)
    _log_to_stderr(settings)
    from checkback.app.serve import serve as run
    from checkback.security.auth.token_files import folder_token

    def announce(url: str) -> None:
        token = folder_token(settings.home)
        if options.json:
            text = json.dumps({"url": url, "token": token, "home": str(settings.home)})
        elif options.background:
            text = f"serving {settings.home} at {url}"
        else:
            text = (
                f"checkback serves {settings.home}\n\n"
                f"  MCP   {url}/mcp\n"
                f"  HTTP  {url}/api/jobs   (Authorization: Bearer {token})\n"
                f"  Page  {_signin_link(url, token)}\n"
                "        (good once, for ten minutes; `checkback token link` prints another)\n\n"
                "`checkback config claude-code` prints the configuration for an MCP client. "
                "Ctrl-C ends it."
            )
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    run(
        settings,
        announce,
        background=options.background,
        no_token=options.no_token,
        worker=not options.no_worker,
    )
    return Exit.DONE


def stop(options: Namespace) -> int:
    """End the folder's server."""
    del options
    stopped = daemon.stop(settings_table.read().home)
    sys.stderr.write("stopped\n" if stopped else "no server is running for this data folder\n")
    return Exit.DONE


def repair(options: Namespace) -> int:
    """Repair a damaged store. No server may be running for it, so none is started."""
    del options
    home = settings_table.read().home
    daemon.prepare_home(home)
    lock = daemon.take_server_lock(home)
    from checkback.engine.redis.aof_repair import repair as run

    try:
        done = run(home / "valkey")
    finally:
        os.close(lock)
    if done is None:
        sys.stderr.write("the store is not damaged\n")
    else:
        sys.stderr.write(
            f"repaired; the last {done.lost_bytes} bytes were removed, and a copy of the "
            f"damaged files is in {done.copy}\n"
        )
    return Exit.DONE


def worker(options: Namespace) -> int:
    """Work until a stop signal arrives."""
    settings = _settings(options)
    _log_to_stderr(settings)
    from checkback.app.worker import run_worker

    if options.parent is None:
        _check_store(settings)
    return run_worker(settings, parent=options.parent)


def _check_store(settings: Settings) -> None:
    """Raise InvalidInput if there is no store for a worker."""
    if settings.own_valkey and not daemon.server_runs(settings.home):
        raise InvalidInput(
            "No server is running for this data folder, and no other store is configured.",
            hint="Start `checkback serve`, or set CHECKBACK_REDIS_URL to a store that machines can "
            "share.",
        )


def mcp(options: Namespace) -> int:
    """Speak MCP on standard input and output; the background server runs the jobs."""
    chosen = _chosen(options, tool_names=options.tool_names)
    # Imported objects stay: collecting garbage among them takes an eighth of the start. run_stdio
    # enables it again.
    gc.disable()
    from checkback.app.stdio import run_stdio

    run_stdio(settings_table.read(**chosen), chosen, save_folder=_save_folder(options.save_to))
    return Exit.DONE


def _save_folder(path: str | None) -> Path | None:
    """The folder that agents may save files in, without links on the way to it."""
    if path is None:
        return None
    folder = Path(path).expanduser().resolve()
    if not folder.is_dir():
        raise InvalidInput(
            f"--save-to: {quoted(path)} is not a folder.",
            hint="Create the folder first, or name another one.",
        )
    return folder


def config(options: Namespace) -> int:
    """Print the configuration of a client."""
    from checkback.app.connect import find_url

    settings = settings_table.read()
    url = asyncio.run(find_url(settings))
    if url is None:
        url = f"http://127.0.0.1:{settings.port or settings_table.Settings().port}"
        sys.stderr.write(
            "no server is running for this data folder; HTTP clients need `checkback serve`\n"
        )
    sys.stdout.write(_client_configuration(options.client, settings, url, options) + "\n")
    return Exit.DONE


def token(options: Namespace) -> int:
    """Show the folder's token, print a sign-in link, or add a token for an owner."""
    settings = settings_table.read()
    if options.action == "add":
        return _add_token(settings, options)
    if options.action == "link":
        return _show_link(settings)
    from checkback.security.auth.token_files import folder_token

    daemon.prepare_home(settings.home)
    sys.stdout.write(folder_token(settings.home) + "\n")
    return Exit.DONE


def _add_token(settings: Settings, options: Namespace) -> int:
    """Print a new token for an owner."""
    from checkback.security.auth.callers import Scope
    from checkback.security.auth.token_files import add_token

    if not options.owner:
        raise InvalidInput(
            "The owner of the new token is missing.", hint="Run `checkback token add OWNER`."
        )
    path = settings.tokens or settings.home / daemon.TOKENS_NAME
    is_first = not path.exists()
    daemon.prepare_home(settings.home)
    scopes = list(map(Scope, options.scope or ("read", "write")))
    new_token = add_token(path, options.owner, scopes)
    sys.stderr.write(f"added to {path}. {_RESTART if is_first else ''}")
    sys.stderr.write("The token is shown only once:\n")
    sys.stdout.write(new_token + "\n")
    return Exit.DONE


_RESTART = "If a server is running, restart it: this is the first token in its list. "


def _show_link(settings: Settings) -> int:
    """Print a link that signs a browser in once."""
    from checkback.app.connect import find_url
    from checkback.security.auth.token_files import folder_token

    url = asyncio.run(find_url(settings))
    if url is None:
        raise Conflict(
            "No server is running for this data folder.",
            hint="Start one with `checkback serve`; it prints a sign-in link.",
        )
    sys.stdout.write(_signin_link(url, folder_token(settings.home)) + "\n")
    return Exit.DONE


def _signin_link(url: str, token: str) -> str:
    from checkback.security.auth.signin_codes import make_code

    return f"{url}/signin?code={make_code(token)}"


def _client_configuration(client: str, settings: Settings, address: str, options: Namespace) -> str:
    daemon.prepare_home(settings.home)
    # Claude Desktop's file supports programs only.
    if options.stdio or client == "claude-desktop":
        return _stdio_configuration(client, options.dotted)
    if options.dotted and settings.tool_names != "dotted":
        sys.stderr.write(
            "over HTTP the server decides about tool names: start it with "
            "CHECKBACK_TOOL_NAMES=dotted\n"
        )
    return _http_configuration(client, settings, f"{address}/mcp")


def _claude_code_command(program: list[str], variables: Mapping[str, str]) -> str:
    options = [part for item in variables.items() for part in ("--env", "=".join(item))]
    return shlex.join(["claude", "mcp", "add", SERVER_NAME, *options, "--", *program])


def _stdio_configuration(client: str, dotted: bool) -> str:
    """For a client that starts checkback itself."""
    program = [sys.executable, "-m", "checkback", "mcp"]
    if dotted:
        program += ["--tool-names", "dotted"]
    # The client starts it in another environment: it must find the same data folder.
    variables = {name: value for name, value in os.environ.items() if name in _SAME_EVERYWHERE}
    if client == "claude-code":
        return _claude_code_command(program, variables)
    entry: dict[str, Any] = {"command": program[0], "args": program[1:]}
    if variables:
        entry["env"] = variables
    return _configuration_file(client, "stdio", entry)


def _http_configuration(client: str, settings: Settings, url: str) -> str:
    """For a client that connects to a running server."""
    from checkback.security.auth.token_files import folder_token

    header = f"Bearer {folder_token(settings.home)}"
    if client == "claude-code":
        return (
            f"claude mcp add --transport http {SERVER_NAME} {url} "
            f'--header "Authorization: {header}"'
        )
    return _configuration_file(client, "http", {"url": url, "headers": {"Authorization": header}})


def _configuration_file(client: str, transport: str, entry: dict[str, Any]) -> str:
    if client == "vscode":
        content = {"servers": {SERVER_NAME: {"type": transport, **entry}}}
    else:
        content = {"mcpServers": {SERVER_NAME: entry}}
    return json.dumps(content, indent=2)


def _chosen(options: Namespace, **more: Any) -> dict[str, Any]:
    kinds = getattr(options, "kinds", None)
    chosen = {"kinds": tuple(kinds) if kinds else None, **more}
    return {name: value for name, value in chosen.items() if value is not None}


def _settings(options: Namespace, **more: Any) -> Settings:
    return settings_table.read(**_chosen(options, **more))


def _log_to_stderr(settings: Settings) -> None:
    from checkback.telemetry.logging import log_to_stderr

    log_to_stderr(settings.log_level, settings.log_format)
