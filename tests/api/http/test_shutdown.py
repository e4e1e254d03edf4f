"""A server that is stopped disconnects the clients of event streams, without an error."""

from __future__ import annotations

import json
import signal
from pathlib import Path

from serving import connected, head, post, serving

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
MCP = {"accept": "application/json, text/event-stream", "content-type": "application/json"}


def test_streams_end_with_their_server_and_leave_no_trace_in_its_log(tmp_path: Path) -> None:
    with serving(tmp_path / "home") as victim:
        waiting = {"kind": "test.add", "args": {"a": 1, "b": 2}, "delay_seconds": 600}
        done = post(
            victim, "/api/jobs", json.dumps(waiting).encode(), {"content-type": "application/json"}
        )
        session = post(victim, "/mcp", json.dumps(INITIALIZE).encode(), MCP).headers[
            "mcp-session-id"
        ]
        paths = {
            f"/api/jobs/{done.json()['id']}/events": {},
            "/changes": {},
            "/mcp": {"accept": "text/event-stream", "mcp-session-id": session},
        }
        with connected(victim) as first, connected(victim) as second, connected(victim) as third:
            lines = [first, second, third]
            for line, (path, headers) in zip(lines, paths.items(), strict=True):
                line.sendall(head("GET", path, victim, headers))
                assert b"200 OK" in line.recv(65536), path
            victim.process.send_signal(signal.SIGTERM)
            for line in lines:
                while line.recv(65536):
                    pass
        assert victim.process.wait(30) == 0
        log = (victim.home / "test.log").read_text()
    assert "Traceback" not in log
