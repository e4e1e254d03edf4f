"""``checkback pdfco-mcp``: PDF.co's own MCP server, unmodified, with its API's address set to this machine.

The package pdfco-mcp (PyPI) has the address in a module variable and nowhere else; this sets it and then
calls the package's own ``main``. It runs where it is installed: beside checkback, or through ``uvx``, in an
environment of its own, so that its dependencies never meet ours.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import sys
from argparse import Namespace

from checkback import settings as settings_table
from checkback.app.connect import connect
from checkback.core.errors import InvalidInput
from checkback.guard.tokens import folder_token

PACKAGE = "pdfco-mcp"
LAUNCH = (
    "import sys; import pdfco.mcp.services.client as client; "
    "setattr(client, '__BASE_URL', sys.argv.pop(1)); "
    "from pdfco.mcp import main; main()"
)


def run(options: Namespace) -> int:
    """Become the other server, on this process's standard input and output. Returns only on failure."""
    settings = settings_table.read()

    async def find() -> str | None:
        async with connect(settings) as connection:
            return connection.server.url if connection.server else None

    url = asyncio.run(find())
    if url is None:
        raise InvalidInput(
            "No server with HTTP runs here.", hint="Start one with `checkback serve`, then try again."
        )
    # The package wants a key; ours is the folder's token, which a caller's own key would replace.
    environment = os.environ | {"X_API_KEY": folder_token(settings.home)}
    command = [*_python(), "-c", LAUNCH, url]
    sys.stdout.flush()
    os.execvpe(command[0], command, environment)  # noqa: S606 - it takes our place, with our pipes


def _python() -> list[str]:
    """A Python that has the package: this one, one named in PDFCO_MCP_PYTHON, or one that uvx makes."""
    if named := os.environ.get("PDFCO_MCP_PYTHON"):
        return [named]
    if importlib.util.find_spec("pdfco") is not None:
        return [sys.executable]
    if uvx := shutil.which("uvx"):
        return [uvx, "-q", "--from", PACKAGE, "python"]
    raise InvalidInput(
        f"The package {PACKAGE} is not installed.",
        hint=f"Install uv, which fetches it when it is needed, or `pip install {PACKAGE}` beside checkback.",
    )
