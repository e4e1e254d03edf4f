"""Runs one agent framework against a model and a stdio MCP server, with its default settings.

``python python_host.py FRAMEWORK MODEL_URL COMMAND ...``, with the Python of an environment that
has it.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

MAX_TURNS = 40
SERVER_SECONDS = 90


async def langchain(model_url: str, command: list[str]) -> None:
    from langchain.agents import create_agent
    from langchain_mcp_adapters.client import MultiServerMCPClient
    from langchain_mcp_adapters.tools import load_mcp_tools
    from langchain_openai import ChatOpenAI

    server: Any = {
        "transport": "stdio",
        "command": command[0],
        "args": command[1:],
        "env": dict(os.environ),
    }
    async with MultiServerMCPClient({"checkback": server}).session("checkback") as session:
        model = ChatOpenAI(
            model="scripted", base_url=f"{model_url}/v1", api_key="none", max_retries=0
        )
        agent = create_agent(model, await load_mcp_tools(session))
        await agent.ainvoke({"messages": [("user", "Go.")]}, {"recursion_limit": 2 * MAX_TURNS})


async def openai_agents(model_url: str, command: list[str]) -> None:
    from agents import Agent, OpenAIResponsesModel, Runner, set_tracing_disabled
    from agents.mcp import MCPServerStdio
    from openai import AsyncOpenAI

    set_tracing_disabled(True)
    client = AsyncOpenAI(base_url=f"{model_url}/v1", api_key="none", max_retries=0)
    parameters: Any = {"command": command[0], "args": command[1:], "env": dict(os.environ)}
    # The one setting: a wait of 40 seconds is longer than its default of five.
    async with MCPServerStdio(
        params=parameters, client_session_timeout_seconds=SERVER_SECONDS
    ) as server:
        agent = Agent(
            name="agent", model=OpenAIResponsesModel("scripted", client), mcp_servers=[server]
        )
        await Runner.run(agent, "Go.", max_turns=MAX_TURNS)


async def pydantic_ai(model_url: str, command: list[str]) -> None:
    from fastmcp.client.transports import StdioTransport
    from pydantic_ai import Agent
    from pydantic_ai.mcp import MCPToolset
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    tools = MCPToolset(StdioTransport(command[0], args=command[1:], env=dict(os.environ)))
    provider = OpenAIProvider(base_url=f"{model_url}/v1", api_key="none")
    agent = Agent(OpenAIChatModel("scripted", provider=provider), toolsets=[tools])
    async with agent:
        await agent.run("Go.")


async def llama_index(model_url: str, command: list[str]) -> None:
    from llama_index.core.agent.workflow import FunctionAgent
    from llama_index.llms.openai_like import OpenAILike
    from llama_index.tools.mcp import BasicMCPClient, McpToolSpec

    client = BasicMCPClient(
        command[0], args=command[1:], env=dict(os.environ), timeout=SERVER_SECONDS
    )
    tools = await McpToolSpec(client=client).to_tool_list_async()
    model = OpenAILike(
        model="scripted", api_base=f"{model_url}/v1", api_key="none", is_chat_model=True,
        is_function_calling_model=True, max_retries=0,
    )  # fmt: skip
    agent = FunctionAgent(tools=tools, llm=model, streaming=False)
    await agent.run("Go.", max_iterations=MAX_TURNS)


FRAMEWORKS: dict[str, Callable[[str, list[str]], Awaitable[None]]] = {
    "langchain": langchain,
    "openai-agents": openai_agents,
    "pydantic-ai": pydantic_ai,
    "llama-index": llama_index,
}

if __name__ == "__main__":
    asyncio.run(FRAMEWORKS[sys.argv[1]](sys.argv[2], sys.argv[3:]))
