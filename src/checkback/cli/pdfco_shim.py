"""``checkback pdfco-mcp``: PDF.co's own MCP server, unmodified, with its API's address set to this
machine.

The package pdfco-mcp (PyPI) has the address in a module variable and nowhere else; this sets it and
then calls the package's own ``main``. It runs where it is installed: in checkback's environment, or
through ``uvx`` in a separate environment, so that its dependencies never conflict with ours.
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
from checkback.security.auth.token_files import folder_token
from checkback.settings import Settings

PACKAGE = "pdfco-mcp"
LAUNCH = (
    "import sys; import pdfco.mcp.services.client as client; "
    "setattr(client, '__BASE_URL', sys.argv.pop(1)); from pdfco.mcp import main; main()"
)


def run(options: Namespace) -> int:
    """Run the other server on this process's standard input and output, until its client closes
    them.
    """
    return asyncio.run(_run(settings_table.read()))


async def _run(settings: Settings) -> int:
    # Connected for as long as it runs: a server in the background counts us as a client and stays.
    async with connect(settings) as connection:
        if connection.server is None:
            raise InvalidInput(
                "No HTTP server is running for this data folder.",
                hint="Start one with `checkback serve`, then try again.",
            )
        # The package requires a key: the folder's token, which a caller's own key would replace.
        environment = os.environ | {"X_API_KEY": folder_token(settings.home)}
        command = [*_python(), "-c", LAUNCH, connection.server.url]
        process = await asyncio.create_subprocess_exec(*command, env=environment)
        return await process.wait()


def _python() -> list[str]:
    """A Python that has the package: this one, the one in PDFCO_MCP_PYTHON, or one that uvx
    creates.
    """
    if named := os.environ.get("PDFCO_MCP_PYTHON"):
        return [named]
    if importlib.util.find_spec("pdfco") is not None:
        return [sys.executable]
    if uvx := shutil.which("uvx"):
        return [uvx, "-q", "--from", PACKAGE, "python"]
    raise InvalidInput(
        f"The package {PACKAGE} is not installed.",
        hint=(
            "Install uv, which downloads the package when needed, or run `pip install "
            f"{PACKAGE}` in checkback's environment."
        ),
    )
