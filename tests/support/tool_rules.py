"""What every tool that is listed has to keep to, so that no host or model API refuses it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, cast

NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
KEY = re.compile(r"[a-zA-Z0-9_.-]{1,64}")
MAX_DESCRIPTION = 1024
NEVER = frozenset(
    {
        "$ref", "$defs", "$schema", "$id", "$comment", "$anchor", "definitions", "prefixItems", "oneOf",
        "allOf", "not", "if", "then", "else", "const", "patternProperties", "propertyNames", "contains",
        "unevaluatedProperties", "dependentRequired", "discriminator", "writeOnly", "readOnly", "examples",
        "contentMediaType", "checkback", "listed", "additionalItems",
    }
)  # fmt: skip
FORMATS = {
    "date-time",
    "date",
    "time",
    "duration",
    "email",
    "hostname",
    "ipv4",
    "ipv6",
    "uri",
    "uri-reference",
    "uuid",
}


def faults(tool: dict[str, Any]) -> list[str]:
    """What is wrong with a tool, as ``tools/list`` has it."""
    found: list[str] = []
    name = tool["name"]
    if not NAME.fullmatch(name):
        found.append(f"name {name!r}")
    if not 0 < len(tool.get("description") or "") <= MAX_DESCRIPTION:
        found.append(f"{name}: description of {len(tool.get('description') or '')} characters")
    try:
        json.dumps(tool, allow_nan=False, ensure_ascii=False).encode()
    except ValueError as error:
        found.append(f"{name}: cannot be encoded: {error}")
    for key in ("inputSchema", "outputSchema"):
        if key in tool:
            found += [f"{name}.{key}{fault}" for fault in _top_faults(tool[key])]
    return found


def _top_faults(schema: dict[str, Any]) -> Iterator[str]:
    if schema.get("type") != "object" or not isinstance(schema.get("properties"), dict):
        yield ": is not a plain object at its top"
    if schema.keys() & {"anyOf", "oneOf", "allOf", "enum", "not"}:
        yield ": has a choice at its top"
    for path, part, name in _walk(schema, "", ""):
        for fault in _part_faults(part, name):
            yield f"{path}: {fault}"


def _part_faults(part: dict[str, Any], name: str) -> Iterator[str]:
    if bad := part.keys() & NEVER:
        yield f"has {sorted(bad)}"
    if isinstance(part.get("type"), list):
        yield "has a list in type"
    if part.get("type") == "array" and not isinstance(part.get("items"), dict):
        yield "is a list without items"
    if isinstance(part.get("default"), dict) or ("default" in part and part["default"] is None):
        yield "has a default that is an object or null"
    if "title" in part and _letters(str(part["title"])) == _letters(name):
        yield "has a title that repeats its name"
    if part.get("format", "date") not in FORMATS:
        yield f"has the format {part['format']!r}"
    if re.search(r"\(\?(?!:)|\\[A-Za-z]", str(part.get("pattern", ""))):
        yield f"has the pattern {part['pattern']!r}"
    if "enum" in part and _types(part["enum"]) != 1:
        yield "has values of several types"
    if set(part.get("required", [])) - set(part.get("properties", {})):
        yield "requires what it does not list"
    for key in part.get("properties", {}):
        if not KEY.fullmatch(key):
            yield f"has the key {key!r}"


def _walk(schema: Any, path: str, name: str) -> Iterator[tuple[str, dict[str, Any], str]]:
    if not isinstance(schema, dict):
        return
    part = cast("dict[str, Any]", schema)
    yield path, part, name
    for key, inner in part.get("properties", {}).items():
        yield from _walk(inner, f"{path}.{key}", key)
    for key in ("items", "additionalProperties"):
        yield from _walk(part.get(key), f"{path}.{key}", "")
    for number, inner in enumerate(part.get("anyOf", [])):
        yield from _walk(inner, f"{path}.anyOf[{number}]", "")


def _types(values: list[object]) -> int:
    return len({type(value) for value in values})


def _letters(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())
