"""A model that follows ``script``, behind the HTTP APIs of OpenAI, Anthropic and Google, on
loopback.

It refuses tools by the rules that these APIs are publicly known to have, as they would: with status
400.
"""

# What comes over these wires has no types.
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false, reportUnknownLambdaType=false
# pyright: reportUnknownParameterType=false

from __future__ import annotations

import json
import re
import threading
import uuid
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.acceptance.hosts.script import IMAGE, next_call, outcome

Json = dict[str, Any]
FINDERS: dict[str, Json] = {
    "WaitForMcpServers": {},
    "ToolSearch": {"query": "checkback job host count picture", "max_results": 40},
}
"""Tools of Claude Code's by which a model comes to those of servers that start slowly, or have many
tools.
"""


@dataclass
class Told:
    """What the model was given."""

    faults: list[str] = field(default_factory=list[str])
    tools: list[str] = field(default_factory=list[str])
    tool_characters: int = 0
    #: What was shown of each answer, of the longest conversation.
    answers: list[str] = field(default_factory=list[str])

    @property
    def outcome(self) -> dict[str, str]:
        return outcome(self.answers)


@contextmanager
def scripted_model() -> Generator[tuple[str, Told]]:
    """The address of a running model, and what it receives."""
    told = Told()

    class Handler(_Handler):
        heard = told

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", told
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def faults(api: str, name: str, schema: Any) -> Iterator[str]:
    """Why an API would refuse a tool."""
    pattern = r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}" if api == "gemini" else r"[a-zA-Z0-9_-]{1,64}"
    if not re.fullmatch(pattern, name):
        yield f"the name {name!r} does not match {pattern}"
    if not isinstance(schema, dict) or schema.get("type") != "object":
        yield f"{name}: the schema is not an object"
        return
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            yield f"{name}: {key} at the top"
    for path, part in _walk(schema, "$"):
        if part.get("type") == "array" and "items" not in part:
            yield f"{name}: {path}: an array without items"
        if isinstance(part.get("type"), list):
            yield f"{name}: {path}: a list in type"
        for key in part.get("properties", {}):
            if not re.fullmatch(r"[a-zA-Z0-9_.-]{1,64}", key):
                yield f"{name}: {path}: the key {key!r}"


def _walk(value: Any, path: str) -> Iterator[tuple[str, Json]]:
    if isinstance(value, dict):
        yield path, value
        for key, part in value.items():
            if key not in ("enum", "default", "const", "examples"):
                yield from _walk(part, f"{path}.{key}")
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from _walk(part, f"{path}[{number}]")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    heard: Told

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._send(200, {})

    def do_GET(self) -> None:
        models = [{"id": "scripted", "object": "model", "created": 1, "owned_by": "nobody"}]
        self._send(200, {"object": "list", "data": models, "models": []})

    def do_POST(self) -> None:
        body = json.loads(self._read() or b"{}")
        path = self.path.split("?")[0]
        if path.endswith("/chat/completions"):
            self._chat(body)
        elif path.endswith("/responses"):
            self._responses(body)
        elif path.endswith("/messages"):
            self._messages(body)
        elif "generatecontent" in path.lower():
            self._gemini(body, streams="stream" in path.lower())
        elif "count" in path.lower():
            self._send(200, {"input_tokens": 1, "totalTokens": 1})
        else:
            self._send(200, {})

    def _read(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        body = b""
        while size := int(self.rfile.readline().strip() or b"0", 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _send(self, status: int, body: Json | str) -> None:
        content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header(
            "content-type", "text/event-stream" if isinstance(body, str) else "application/json"
        )
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _refuses(self, api: str, tools: Iterable[tuple[str, Any]]) -> bool:
        """Note the tools, and answer with status 400 where one is not acceptable."""
        known = list(tools)
        found = [fault for tool in known for fault in faults(api, *tool)]
        if known:
            self.heard.tools = [name for name, _ in known]
            self.heard.tool_characters = len(json.dumps(known))
        for fault in found:
            if fault not in self.heard.faults:
                self.heard.faults.append(fault)
        if found:
            message = f"Invalid tool: {found[0]}"
            self._send(
                400, {"error": {"message": message, "type": "invalid_request_error", "code": 400}}
            )
        return bool(found)

    def _next(self, names: list[str], answers: list[str]) -> tuple[str, Json] | str:
        if len(answers) >= len(self.heard.answers):
            self.heard.answers = answers
        return next_call(names, answers) if names else "No tools."

    # --- OpenAI's chat completions

    def _chat(self, body: Json) -> None:
        tools = [
            tool["function"] for tool in body.get("tools") or [] if tool.get("type") == "function"
        ]
        given = [(tool["name"], tool.get("parameters")) for tool in tools]
        if self._refuses("openai", given):
            return
        answers = [
            shown(message["content"]) for message in body["messages"] if message["role"] == "tool"
        ]
        # Hosts hand pictures over in a message after the tool's, which this API takes no pictures
        # in.
        for message in body["messages"]:
            if message["role"] == "user" and answers and IMAGE in shown(message["content"]):
                answers[-1 if len(answers) < 9 else 8] += IMAGE
        said = self._next([tool["name"] for tool in tools], answers)
        message: Json = {"role": "assistant", "content": said if isinstance(said, str) else None}
        if not isinstance(said, str):
            function = {"name": said[0], "arguments": json.dumps(said[1])}
            message["tool_calls"] = [{"id": _id("call"), "type": "function", "function": function}]
        finish = "stop" if isinstance(said, str) else "tool_calls"
        head = {"id": "chatcmpl-1", "created": 1, "model": body.get("model", "scripted")}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        if not body.get("stream"):
            choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}
            self._send(
                200, {**head, "object": "chat.completion", "choices": [choice], "usage": usage}
            )
            return
        delta = dict(message)
        if "tool_calls" in delta:
            delta["tool_calls"] = [{**delta["tool_calls"][0], "index": 0}]
        first = {"index": 0, "delta": delta, "finish_reason": None}
        last: Json = {"index": 0, "delta": {}, "finish_reason": finish}
        chunk = {**head, "object": "chat.completion.chunk"}
        events = [{**chunk, "choices": [first]}, {**chunk, "choices": [last], "usage": usage}]
        self._send(
            200, "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
        )

    # --- OpenAI's responses

    def _responses(self, body: Json) -> None:
        tools: dict[str, tuple[Json, str | None]] = {}
        for tool in body.get("tools") or []:
            if tool.get("type") == "function":
                tools[tool["name"]] = (tool, None)
            for inner in tool.get("tools") or [] if tool.get("type") == "namespace" else []:
                tools[f"{tool['name']}|{inner['name']}"] = (inner, tool["name"])
        given = [(t["name"], t.get("parameters")) for t, _ in tools.values()]
        if self._refuses("openai", given):
            return
        items = body["input"] if isinstance(body.get("input"), list) else []
        ours = {item["call_id"] for item in items if item.get("type") == "function_call"}
        outputs = [
            item
            for item in items
            if item.get("type") == "function_call_output" and item["call_id"] in ours
        ]
        said = self._next(list(tools), [shown(item["output"]) for item in outputs])
        if isinstance(said, str):
            text = {"type": "output_text", "text": said, "annotations": []}
            item: Json = {
                "type": "message",
                "id": _id("msg"),
                "role": "assistant",
                "status": "completed",
            }
            item["content"] = [text]
        else:
            tool, namespace = tools[said[0]]
            item = {
                "type": "function_call",
                "id": _id("fc"),
                "call_id": _id("call"),
                "name": tool["name"],
            }
            item |= {"arguments": json.dumps(said[1]), "status": "completed"}
            if namespace is not None:
                item["namespace"] = namespace
        usage: Json = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
        usage |= {
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        }
        answer: Json = {
            "id": _id("resp"),
            "object": "response",
            "created_at": 1,
            "status": "completed",
        }
        answer |= {"model": body.get("model", "scripted"), "output": [item], "usage": usage}
        answer |= {"parallel_tool_calls": False, "tool_choice": "auto", "tools": []}
        if not body.get("stream"):
            self._send(200, answer)
            return
        events: list[Json] = [
            {
                "type": "response.created",
                "response": {**answer, "status": "in_progress", "output": []},
            },
            {"type": "response.output_item.added", "output_index": 0, "item": item},
            {"type": "response.output_item.done", "output_index": 0, "item": item},
            {"type": "response.completed", "response": answer},
        ]
        for number, event in enumerate(events):
            event["sequence_number"] = number
        self._send(200, _events(events))

    # --- Anthropic's messages

    def _messages(self, body: Json) -> None:
        tools = [tool for tool in body.get("tools") or [] if "input_schema" in tool]
        given = [(tool["name"], tool["input_schema"]) for tool in tools]
        if self._refuses("anthropic", given):
            return
        names = [name for name, _ in given]
        called: dict[str, str] = {}
        answers: list[str] = []
        for message in body["messages"]:
            for block in message["content"] if isinstance(message["content"], list) else []:
                if block.get("type") == "tool_use":
                    called[block["id"]] = block["name"]
                elif (
                    block.get("type") == "tool_result"
                    and called.get(block["tool_use_id"]) not in FINDERS
                ):
                    answers.append(shown(block.get("content")))
        said = self._next(names, answers)
        for finder, arguments in FINDERS.items():
            if isinstance(said, str) and finder in names and finder not in called.values():
                said = (finder, arguments)
        if isinstance(said, str):
            block: Json = {"type": "text", "text": said}
            start: Json = {**block, "text": ""}
            delta: Json = {"type": "text_delta", "text": said}
        else:
            block = {"type": "tool_use", "id": _id("toolu"), "name": said[0], "input": said[1]}
            start = {**block, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(said[1])}
        stop = "end_turn" if isinstance(said, str) else "tool_use"
        usage = {"input_tokens": 1, "output_tokens": 1}
        answer: Json = {
            "id": _id("msg"),
            "type": "message",
            "role": "assistant",
            "content": [block],
        }
        answer |= {"stop_reason": stop, "stop_sequence": None, "usage": usage}
        answer["model"] = body.get("model", "scripted")
        if not body.get("stream"):
            self._send(200, answer)
            return
        begun = {**answer, "content": [], "stop_reason": None}
        self._send(200, _events([
            {"type": "message_start", "message": begun},
            {"type": "content_block_start", "index": 0, "content_block": start},
            {"type": "content_block_delta", "index": 0, "delta": delta},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": None}, "usage": usage},
            {"type": "message_stop"},
        ]))  # fmt: skip

    # --- Google's generateContent

    def _gemini(self, body: Json, *, streams: bool) -> None:
        declared = [
            one
            for tool in body.get("tools") or []
            for one in tool.get("functionDeclarations") or []
        ]
        given: list[tuple[str, Any]] = []
        for one in declared:
            schema = one.get("parametersJsonSchema") or one.get("parameters")
            given.append((one["name"], schema))
        if self._refuses("gemini", given):
            return
        answers: list[str] = []
        for content in body.get("contents") or []:
            for part in content.get("parts") or []:
                if "functionResponse" in part:
                    answers.append(shown(part["functionResponse"]))
                elif "inlineData" in part and answers:
                    answers[-1] += IMAGE
        said = self._next([one["name"] for one in declared], answers)
        part = (
            {"text": said}
            if isinstance(said, str)
            else {"functionCall": {"name": said[0], "args": said[1]}}
        )
        candidate = {
            "content": {"role": "model", "parts": [part]},
            "finishReason": "STOP",
            "index": 0,
        }
        usage = {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}
        answer = {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "scripted"}
        self._send(200, f"data: {json.dumps(answer)}\n\n" if streams else answer)


def shown(content: Any) -> str:
    """What a model sees of a tool's answer: text as it is, and a mark for each image."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(map(shown, content))
    kind = content.get("type") if isinstance(content, dict) else None
    if kind in ("image", "image_url", "input_image") or "inlineData" in content:
        return IMAGE
    if kind in ("text", "input_text", "output_text"):
        return str(content["text"])
    return json.dumps(content) + (IMAGE if "inlineData" in json.dumps(content) else "")


def _events(events: Iterable[Json]) -> str:
    return "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)


def _id(prefix: str) -> str:
    return f"{prefix}_{uuid.uuid4().hex[:16]}"
