"""An address of every door of a server, for tests that try all of them."""

from __future__ import annotations

import json
from typing import Any

from serving import Heard, Victim, post

MCP = {"accept": "application/json, text/event-stream"}
UNKNOWN = "01890a5d-ac96-774b-bcce-b302099a8057"
EVERY_DOOR = [
    ("GET", "/health"),
    ("GET", "/openapi.json"),
    ("GET", "/signin?code=x"),
    ("POST", "/api/jobs"),
    ("GET", f"/api/jobs/{UNKNOWN}"),
    ("GET", f"/api/jobs/{UNKNOWN}/events"),
    ("POST", f"/api/jobs/{UNKNOWN}/cancel"),
    ("POST", "/api/uploads"),
    ("POST", "/mcp"),
    ("GET", "/mcp"),
    ("DELETE", "/mcp"),
    ("POST", "/v1/pdf/info"),
    ("GET", "/v1/job/check?jobid=x"),
    ("POST", "/v1/file/upload"),
    ("GET", f"/files/{UNKNOWN}/x"),
    ("PUT", "/files/put/x/y/z"),
    ("GET", "/nowhere"),
    ("GET", "/"),
    ("GET", "/changes"),
    ("GET", "/submit"),
    ("GET", f"/jobs/{UNKNOWN}"),
    ("POST", f"/jobs/{UNKNOWN}/cancel"),
    ("POST", "/signin"),
    ("GET", "/metrics"),
    ("GET", "/static/checkback.css"),
]
#: What a message of MCP's newest protocol brings along instead of a session.
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "x", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
#: What answers without a token, or in words of its own.
PUBLIC = ("/health", "/openapi", "/signin", "/files", "/nowhere", "/static")


def as_(token: str, **headers: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}" if token else "", **headers}


def call_tool(victim: Victim, token: str, name: str, **arguments: Any) -> Heard:
    """A tool call of MCP without a session."""
    params = {"name": name, "arguments": arguments, "_meta": META}
    body = json.dumps(
        {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    ).encode()
    lines = {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": name}
    return post(victim, "/mcp", body, as_(token, **MCP, **lines))
