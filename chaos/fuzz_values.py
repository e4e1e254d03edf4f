"""Values for the fuzzer: of the kind that a schema names, of another, and texts that parsers
stumble over.
"""

from __future__ import annotations

import random
from typing import Any

META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "fuzz", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
TOUGH_PATHS = [
    "",
    ".",
    "..",
    "../..",
    "%2e%2e%2f",
    "x" * 300,
    "é",
    "\u202e",
    "0",
    "-1",
    "null",
    "%00",
    "a b",
    "a/b",
    "?",
    "#",
    "%",
    "01890a5d-ac96-774b-bcce-b302099a8057",
    "0" * 32,
    "all/files.json",
    "*",
]
TOUGH_TEXTS = [
    *TOUGH_PATHS,
    "\ud800",
    "\x00",
    "\x1b[2J",
    "<script>",
    "{{7*7}}",
    "${x}",
    "';--",
    "1e999",
    "NaN",
    "9" * 400,
    "true",
    "upload:",
    "artifact:a/b",
    "http://127.0.0.1/",
    "https://[",
    "file:///etc/passwd",
    "data:text/plain,x",
    "[",
    "(" * 60,
    "(a+)+$",
    "\\",
    "\n",
    "a" * 5000,
    "2026-01-01",
    "1-",
    "-1",
    "1-99999999999",
    "0x10",
    "ａ",
    "💩",
    "\ufeff",
    "{}",
    '{"a":',
]
TOUGH_BYTES = [b"\r\n", b"\n", b"\x00", b": ", b"\xff\xfe", b" ", b"%", b"\r\n\r\n"]
TOUGH_NUMBERS = [0, -1, 1, 2**31, 2**53, 2**63, 10**30, 0.5, -0.0, 1e300]


def any_value(chosen: random.Random, pool: list[str], depth: int = 0) -> Any:
    """Any JSON value at all."""
    kinds = ["text", "text", "pool", "number", "flag", "none"] + (
        ["list", "object"] if depth < 3 else []
    )
    match chosen.choice(kinds):
        case "text":
            return chosen.choice(TOUGH_TEXTS)
        case "pool":
            return chosen.choice(pool)
        case "number":
            return chosen.choice(TOUGH_NUMBERS)
        case "flag":
            return chosen.random() < 0.5
        case "list":
            return [any_value(chosen, pool, depth + 1) for _ in range(chosen.randrange(4))]
        case "object":
            names = [chosen.choice(TOUGH_TEXTS)[:20] for _ in range(chosen.randrange(4))]
            return {name: any_value(chosen, pool, depth + 1) for name in names}
        case _:
            return None


def value_for(
    chosen: random.Random, schema: dict[str, Any], pool: list[str], depth: int = 0
) -> Any:
    """A value as the schema wants it in most places, and any value in some."""
    if chosen.random() < 0.08 or depth > 6:
        return any_value(chosen, pool, depth)
    if "enum" in schema:
        return chosen.choice(schema["enum"])
    if options := schema.get("anyOf") or schema.get("oneOf"):
        return value_for(chosen, chosen.choice(options), pool, depth + 1)
    match schema.get("type"):
        case "object":
            return _object(chosen, schema, pool, depth)
        case "array":
            items = schema.get("items", {})
            return [value_for(chosen, items, pool, depth + 1) for _ in range(chosen.randrange(3))]
        case "string":
            return chosen.choice(
                [chosen.choice(pool), "https://pages.example/", chosen.choice(TOUGH_TEXTS)]
            )
        case "integer":
            return chosen.choice([1, 2, 100, *TOUGH_NUMBERS])
        case "number":
            return chosen.choice([1, 0.5, *TOUGH_NUMBERS])
        case "boolean":
            return chosen.random() < 0.5
        case _:
            return any_value(chosen, pool, depth)


def _object(
    chosen: random.Random, schema: dict[str, Any], pool: list[str], depth: int
) -> dict[str, Any]:
    made: dict[str, Any] = {}
    needed = set(schema.get("required", ()))
    for name, described in schema.get("properties", {}).items():
        if name in needed or chosen.random() < 0.3:
            made[name] = value_for(chosen, described, pool, depth + 1)
    if chosen.random() < 0.05:
        made[chosen.choice(TOUGH_TEXTS)[:50]] = any_value(chosen, pool, depth)
    return made


def mutated(chosen: random.Random, raw: bytes) -> bytes:
    """The bytes with some of them changed, left out, doubled, or cut off."""
    data = bytearray(raw)
    for _ in range(chosen.randrange(1, 6)):
        if not data:
            break
        at = chosen.randrange(len(data))
        match chosen.randrange(5):
            case 0:
                data[at] = chosen.randrange(256)
            case 1:
                del data[at : at + chosen.randrange(1, 20)]
            case 2:
                data[at:at] = data[at : at + chosen.randrange(1, 40)]
            case 3:
                data[at:at] = chosen.choice(
                    [b"\r\n", b"\n", b"\x00", b": ", b"\xff\xfe", b" ", b"%", b"\r\n\r\n"]
                )
            case _:
                del data[at:]
    return bytes(data)
