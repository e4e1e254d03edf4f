"""What an agent sees of a job over MCP: its place, its time left, its result from another session,
and at what cost.
"""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client, Context, FastMCP
from mcp.shared.exceptions import MCPError

from checkback.api.mcp.server import build_server
from checkback.app.connect import Connection
from checkback.core.estimates import LEAST_RUNS
from checkback.core.states import State
from checkback.engine.jobs.estimator import Estimator
from checkback.security.auth.callers import Caller
from checkback.service import Service

UNKNOWN = "01890a5d-ac96-774b-bcce-b302099a8057"
ADA, BOB = Caller("ada"), Caller("bob")
PROMPT_SECONDS = 20
CHARACTERS_OF_A_TOKEN = 3
"""Few: JSON with ids and times in it takes more tokens than prose does."""


@pytest.fixture
def server(service: Service) -> FastMCP[None]:
    return build_server(service, caller=lambda: ADA, kind_wait_seconds=0)


async def call(client: Client[Any], tool: str, **arguments: Any) -> Any:
    result = await client.call_tool(tool, arguments, raise_on_error=False)
    assert not result.is_error, result.content
    return result.structured_content


async def run(service: Service, kind: str, **args: Any) -> str:
    """Run a job to its end; its id."""
    job = (await service.submit(ADA, kind, args)).job
    await service.wait(ADA, job.id, PROMPT_SECONDS)
    return job.id


# --- Before the end -------------------------------------------------------------------------------


async def test_a_waiting_job_tells_its_place_in_the_queue(server: FastMCP[None]) -> None:
    async with Client(server) as client:
        tickets = [await call(client, "test.add", a=1, b=number) for number in range(3)]
        for place, ticket in enumerate(tickets, 1):
            told = await call(client, "job.wait", job_id=ticket["job_id"], wait_seconds=0)
            assert (told["queue_position"], told["eta_seconds"], told["elapsed_seconds"]) == (
                place,
                None,
                None,
            )


@pytest.mark.usefixtures("worker")
async def test_a_running_job_tells_what_is_left_once_enough_of_its_kind_have_ended(
    service: Service, server: FastMCP[None], connection: Connection, tmp_path: Path
) -> None:
    service.estimator = Estimator(connection.queues, runs_seconds=0)
    open_gate, gate = tmp_path / "open", tmp_path / "gate"
    open_gate.touch()

    async def running(client: Client[Any]) -> Any:
        ticket = await call(client, "test.gate", path=str(gate))
        async for job in service.watch(ADA, ticket["job_id"]):
            if job.phase == "waiting":
                return await call(client, "job.wait", job_id=job.id, wait_seconds=0)

    async with Client(server) as client:
        first = await running(client)
        assert (first["state"], first["phase"], first["eta_seconds"]) == ("active", "waiting", None)
        for _ in range(LEAST_RUNS):
            await run(service, "test.gate", path=str(open_gate))
        second = await running(client)
        assert second["eta_seconds"] == 1
        assert second["check_after_seconds"] == 2
        gate.touch()


@pytest.mark.usefixtures("worker")
async def test_the_phases_of_a_job_are_kept_with_their_beginnings(service: Service) -> None:
    job = await service.get(ADA, await run(service, "test.say", words="x"))
    assert [one.phase for one in job.phases] == ["thinking", "speaking"]
    starts = [one.after_seconds for one in job.phases]
    assert starts == sorted(starts)
    assert starts[0] >= 0


# --- After the end --------------------------------------------------------------------------------


@pytest.mark.usefixtures("worker")
async def test_a_result_is_marked_as_not_read_until_somebody_was_given_it(
    service: Service, server: FastMCP[None]
) -> None:
    job_id = await run(service, "test.add", a=1, b=2)
    async with Client(server) as client:
        assert [job["unread"] for job in (await call(client, "job.list"))["jobs"]] == [True]
        assert (await call(client, "job.list"))["jobs"][0][
            "unread"
        ] is True  # a list is not reading
        ended = await call(client, "job.wait", job_id=job_id)
        assert (ended["result"], ended["unread"]) == (3, True)
        assert (await call(client, "job.list"))["jobs"][0]["unread"] is False


@pytest.mark.usefixtures("worker")
async def test_a_long_result_is_named_and_read_in_parts(
    service: Service, server: FastMCP[None]
) -> None:
    job_id = await run(service, "test.say", words="x" * 20_000)
    async with Client(server) as client:
        result = await client.call_tool("job.wait", {"job_id": job_id})
        ticket: Any = result.structured_content
        assert (ticket["result"], ticket["result_is_longer"], ticket["unread"]) == (
            None,
            True,
            True,
        )
        assert {block.type for block in result.content} == {"text"}
        assert "job_result" in ticket["next_step"]
        part = await call(client, "job.result", job_id=job_id, path="/said", offset=15_000)
        assert (part["text"], part["next_offset"]) == ("x" * 5_000, None)
        assert "test.say completed after" in ticket["summary"]
        assert len(ticket["summary"].encode()) <= 1024


@pytest.mark.usefixtures("worker")
async def test_a_job_can_be_read_as_a_resource_from_another_session_of_its_owner(
    service: Service, server: FastMCP[None]
) -> None:
    job_id = await run(service, "test.say", words="hello")
    async with Client(server) as client:
        templates = {template.uri_template for template in await client.list_resource_templates()}
        assert templates >= {"job://{job_id}", "job://{job_id}/result", "job://{job_id}/log"}

        async def read(path: str = "") -> Any:
            (content,) = await client.read_resource(f"job://{job_id}{path}")
            return content

        record = json.loads((await read()).text)
        assert (record["job_id"], record["state"]) == (job_id, "completed")
        assert json.loads((await read("/result")).text) == {"said": "hello"}
        assert "log: hello" in (await read("/log")).text
        (words,) = record["artifacts"]
        file = await read(f"/artifacts/{words['id']}")
        assert (file.text, file.mime_type) == ("hello", "text/plain")
    assert (await service.get(ADA, job_id)).unread is False


@pytest.mark.usefixtures("worker")
async def test_a_resource_of_somebody_else_does_not_exist(service: Service) -> None:
    job_id = await run(service, "test.add", a=1, b=2)
    async with Client(build_server(service, caller=lambda: BOB)) as client:
        for path in ("", "/result", "/log", "/artifacts/a1"):
            told: list[str] = []
            for one in (job_id, UNKNOWN):
                with pytest.raises(MCPError, match="does not exist") as caught:
                    await client.read_resource(f"job://{one}{path}")
                told.append(str(caught.value).replace(one, "ID"))
            assert told[0] == told[1]


# --- The cost -------------------------------------------------------------------------------------


async def test_schemas_are_written_out_for_listing_and_only_once(service: Service) -> None:
    """Clients of the newest protocol cause a listing with every call."""
    server = build_server(service, caller=lambda: ADA, tool_names="dotted")
    async with Context(server):
        first, second = await server.list_tools(), await server.list_tools()
    assert len(first) == len(second) > 20
    for tool, again in zip(first, second, strict=True):
        for schema, same in (
            (tool.parameters, again.parameters),
            (tool.output_schema, again.output_schema),
        ):
            assert schema is same
            assert not {"$ref", "$defs"} & set(re.findall(r'"(\$\w+)":', json.dumps(schema)))


@pytest.mark.usefixtures("worker")
async def test_a_job_of_a_minute_costs_an_agent_three_calls_and_1500_tokens(
    service: Service, gate_file: Path
) -> None:
    # A tenth of all times: two seconds, fifty, and a job of sixty.
    server = build_server(
        service, caller=lambda: ADA, kind_wait_seconds=0.2, wait_seconds=2.5, max_wait_seconds=5
    )
    answers: list[str] = []

    async def ask(client: Client[Any], tool: str, **arguments: Any) -> Any:
        result = await client.call_tool(tool, arguments)
        answers.extend(block.text for block in result.content if block.type == "text")
        return result.structured_content

    async with Client(server) as client:
        calls = 1
        asyncio.get_running_loop().call_later(6, gate_file.touch)
        ticket = await ask(client, "test.gate", path=str(gate_file))
        while not ticket["is_final"]:
            assert "job_wait with this job_id and wait_seconds 50" in ticket["next_step"]
            ticket = await ask(client, "job.wait", job_id=ticket["job_id"], wait_seconds=50)
            calls += 1
    assert (ticket["state"], ticket["result"]) == (State.COMPLETED.value, "attempt 1")
    assert calls <= 3
    assert sum(map(len, answers)) / CHARACTERS_OF_A_TOKEN <= 1500
