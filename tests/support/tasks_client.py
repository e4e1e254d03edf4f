"""FastMCP's own client for tasks, in a Python that has it: calls one tool as a task and prints what
it saw.

``python tasks_client.py URL TOKEN TOOL ARGUMENTS-AS-JSON``. Prints one JSON object: the tools that
were listed, the task's id, each status that was seen, and the result.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from typing import Any


async def main(url: str, token: str, tool: str, arguments: dict[str, Any]) -> None:
    from fastmcp import Client
    from fastmcp.client.transports import StreamableHttpTransport

    tasks: Any = importlib.import_module("fastmcp_tasks.client")

    transport = StreamableHttpTransport(url, headers={"Authorization": f"Bearer {token}"})
    async with Client(transport) as client:
        listed = [one.name for one in await client.list_tools()]
        task = await tasks.call_tool_task(client, tool, arguments)
        seen: list[str] = []
        while not seen or seen[-1] == "working":
            seen.append((await task.status()).status)
            await asyncio.sleep(0.05)
        result = await task.result()
        print(
            json.dumps(
                {
                    "listed": listed,
                    "task_id": task.task_id,
                    "seen": seen,
                    "result": result.structured_content,
                    "is_error": result.is_error,
                }
            )
        )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], json.loads(sys.argv[4])))
