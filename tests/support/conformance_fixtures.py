"""Tools, resources and prompts that MCP's conformance suite asks for by these names.

They are added to a server of ours; what each must do is said in its scenario.
"""

# pyright: reportUnusedFunction=false

from __future__ import annotations

import asyncio
import base64
import json
import struct
import zlib
from typing import Annotated, Any

from fastmcp import Context, FastMCP
from fastmcp.prompts import Message, PromptResult
from fastmcp.resources import ResourceContent, ResourceResult
from fastmcp.tools.base import ToolResult
from mcp.shared.exceptions import MCPError
from mcp_types import (
    AudioContent,
    ElicitRequest,
    ElicitRequestFormParams,
    EmbeddedResource,
    ImageContent,
    InputRequiredResult,
    TextContent,
    TextResourceContents,
)
from mcp_types.jsonrpc import MISSING_REQUIRED_CLIENT_CAPABILITY
from pydantic import Field


def add_fixtures(server: FastMCP[None]) -> None:
    """Add all of them."""
    _add_tools(server)
    _add_content_tools(server)
    _add_input_tools(server)
    _add_resources(server)
    _add_prompts(server)


def _add_tools(server: FastMCP[None]) -> None:
    @server.tool
    async def greet(name: str) -> str:
        """Greet somebody, at once."""
        return f"Hello, {name}!"

    @server.tool
    async def test_missing_capability() -> str:
        """Need what only a client with sampling could give."""
        raise MCPError(
            code=MISSING_REQUIRED_CLIENT_CAPABILITY,
            message="This needs a client that declares sampling.",
            data={"requiredCapabilities": {"sampling": {}}},
        )

    @server.tool
    async def test_simple_text() -> str:
        """Answer with text."""
        return "This is a simple text response for testing."

    @server.tool
    async def test_error_handling() -> ToolResult:
        """Answer with an error."""
        text = "This tool intentionally returns an error for testing"
        return ToolResult(content=[TextContent(type="text", text=text)], is_error=True)

    @server.tool
    async def test_tool_with_progress(ctx: Context) -> str:
        """Report progress."""
        for progress in (0, 50, 100):
            await ctx.report_progress(progress, 100)
            await asyncio.sleep(0.05)
        return "Done."

    @server.tool
    async def test_custom_header(
        region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})],
    ) -> str:
        """Take an argument that is sent as a header, too."""
        return region


def _add_content_tools(server: FastMCP[None]) -> None:
    @server.tool
    async def test_image_content() -> ToolResult:
        """Answer with a picture."""
        return ToolResult(content=[_image()])

    @server.tool
    async def test_audio_content() -> ToolResult:
        """Answer with a sound."""
        data = base64.b64encode(_wav()).decode()
        return ToolResult(content=[AudioContent(type="audio", data=data, mime_type="audio/wav")])

    @server.tool
    async def test_embedded_resource() -> ToolResult:
        """Answer with a resource."""
        text = "This is an embedded resource content."
        return ToolResult(content=[_embedded("test://embedded-resource", "text/plain", text)])

    @server.tool
    async def test_multiple_content_types() -> ToolResult:
        """Answer with text, a picture and a resource."""
        text = json.dumps({"test": "data", "value": 123})
        return ToolResult(
            content=[
                TextContent(type="text", text="Multiple content types test:"),
                _image(),
                _embedded("test://mixed-content-resource", "application/json", text),
            ]
        )


def _add_input_tools(server: FastMCP[None]) -> None:
    """Tools that ask their caller for input by elicitation, in the protocol of 2026-07-28."""

    @server.tool
    async def test_input_required_result_elicitation(ctx: Context) -> Any:
        """Ask for a name."""
        name = _answer(ctx, "user_name", "name")
        return (
            _asks("user_name", "What is your name?", "name") if name is None else f"Hello, {name}!"
        )

    @server.tool
    async def test_input_required_result_request_state(ctx: Context) -> Any:
        """Ask for a confirmation."""
        return await _confirmed(ctx)

    @server.tool
    async def test_input_required_result_tampered_state(ctx: Context) -> Any:
        """Ask for a confirmation."""
        return await _confirmed(ctx)

    @server.tool
    async def test_input_required_result_multi_round(ctx: Context) -> Any:
        """Ask twice."""
        if ctx.request_state == "second" and (color := _answer(ctx, "step2", "color")):
            return f"Your favorite color is {color}."
        if ctx.request_state == "first" and _answer(ctx, "step1", "name"):
            return _asks("step2", "Step 2: What is your favorite color?", "color", state="second")
        return _asks("step1", "Step 1: What is your name?", "name", state="first")


def _add_resources(server: FastMCP[None]) -> None:
    @server.resource("test://static-text", mime_type="text/plain")
    async def static_text() -> str:
        return "This is the content of the static text resource."

    @server.resource("test://static-binary", mime_type="image/png")
    async def static_binary() -> ResourceResult:
        return ResourceResult([ResourceContent(_png(), "image/png")])

    @server.resource("test://watched-resource", mime_type="text/plain")
    async def watched_resource() -> str:
        return "Nothing happens here."

    @server.resource("test://template/{id}/data", mime_type="application/json")
    async def template(id: str) -> str:
        return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})


def _add_prompts(server: FastMCP[None]) -> None:
    @server.prompt
    async def test_simple_prompt() -> str:
        """A prompt without arguments."""
        return "This is a simple prompt for testing."

    @server.prompt
    async def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
        """A prompt with two arguments."""
        return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"

    @server.prompt
    async def test_prompt_with_embedded_resource(resourceUri: str) -> PromptResult:
        """A prompt with a resource."""
        text = "Embedded resource content for testing."
        return PromptResult(
            [
                Message(_embedded(resourceUri, "text/plain", text)),
                Message("Please process the embedded resource above."),
            ]
        )

    @server.prompt
    async def test_prompt_with_image() -> PromptResult:
        """A prompt with a picture."""
        return PromptResult([Message(_image()), Message("Please analyze the image above.")])

    @server.prompt
    async def test_input_required_result_prompt(ctx: Context) -> Any:
        """A prompt that asks for its context."""
        context = _answer(ctx, "user_context", "context")
        if context is None:
            return _asks("user_context", "What context should the prompt use?", "context")
        return f"Use this context: {context}"


async def _confirmed(ctx: Context) -> Any:
    if ctx.request_state == "asked" and _answer(ctx, "confirm", "ok"):
        return "state-ok"
    return _asks("confirm", "Please confirm", "ok", form="boolean", state="asked")


def _asks(
    key: str, message: str, field: str, *, form: str = "string", state: str | None = None
) -> InputRequiredResult:
    """A result that asks for one field."""
    schema: Any = {"type": "object", "properties": {field: {"type": form}}, "required": [field]}
    params = ElicitRequestFormParams(message=message, requested_schema=schema)
    return InputRequiredResult(
        input_requests={key: ElicitRequest(params=params)}, request_state=state
    )


def _answer(ctx: Context, key: str, field: str) -> Any:
    """What the client answered, or None."""
    found: Any = (ctx.input_responses or {}).get(key)
    content: Any = getattr(found, "content", None)
    return content.get(field) if content else None


def _image() -> ImageContent:
    return ImageContent(type="image", data=base64.b64encode(_png()).decode(), mime_type="image/png")


def _embedded(uri: str, mime_type: str, text: str) -> EmbeddedResource:
    return EmbeddedResource(
        type="resource", resource=TextResourceContents(uri=uri, mime_type=mime_type, text=text)
    )


def _png() -> bytes:
    """One red pixel."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content))
            + name
            + content
            + struct.pack(">I", zlib.crc32(name + content))
        )

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0\xff\0\0")
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def _wav() -> bytes:
    """One silent sample."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 8000, 8000, 1, 8)
    samples = struct.pack("<4sI", b"data", 1) + b"\x80\0"
    return struct.pack("<4sI4s", b"RIFF", 4 + len(form) + len(samples), b"WAVE") + form + samples
