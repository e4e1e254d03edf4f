"""JSON schemas that every host and model API accepts.

Pydantic writes schemas that are legal and that hosts refuse: OpenAI a list without ``items``,
Anthropic an ``anyOf`` at the top, Gemini a list in ``type``, validators in JavaScript and Go a
regular expression of Python's. Because of one such tool the whole request is refused, with every
other tool in it. So schemas are rewritten into the part of JSON Schema that all of them accept:

- at the top a plain object; no ``$ref``, ``prefixItems``, ``oneOf``, ``allOf`` or list in ``type``
  anywhere;
- every list has ``items``; an ``enum`` has one type;
- a property marked ``{"listed": "brief"}`` is an object without its properties, ``"no"`` leaves one
  out;
- only keywords of ``_KEPT``; formats of JSON Schema's own list; patterns that mean the same in
  every dialect;
- no titles that repeat a name, no default that is an object or null, nothing that is not valid
  JSON.

A rewritten schema may accept more than the original, never less: the server checks a call against
the real model. Recursion is written out ``UNROLLED`` levels deep.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

Schema = dict[str, Any]

UNROLLED = 2
MAX_WRITTEN_OUT = 200
"""How many references of one schema are expanded; twenty models that refer to each other have
millions.
"""

DEEPER = "Nested further in the same way."
OTHER_KEYS = "Also takes: "
KEY = re.compile(r"[A-Za-z0-9_.-]{1,64}")
"""A property's name, by Anthropic's rule."""

_KEPT = frozenset(
    {
        "type", "description", "title", "default", "enum", "anyOf",
        "format", "pattern", "minLength", "maxLength",
        "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
        "items", "minItems", "maxItems", "properties", "required", "additionalProperties",
        "x-mcp-header",  # the protocol's own: the argument is repeated in a header of that name
    }
)  # fmt: skip
_FORMATS = frozenset(
    {
        "date-time", "date", "time", "duration", "email", "hostname", "ipv4", "ipv6", "uri",
        "uri-reference", "uuid",
    }
)  # fmt: skip
_NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_NOT_PORTABLE = re.compile(r"\(\?(?!:)|\\[A-Za-z1-9]|\[\[:|[*+?}][+]")
"""Look-around, named groups, flags, back references, classes and anchors that differ between
dialects: Rust's ``\\w`` knows all letters, JavaScript's only those of ASCII.
"""

_TEXTS = frozenset({"description", "title", "default", "enum"})
_TYPES: Mapping[type, str] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
}
OTHER = "other"
"""Stands for the type of what is neither text, number, truth value nor null."""


def portable(schema: Schema) -> Schema:
    """A schema for an object, rewritten so that every host takes it."""
    plain = _Rewriter(schema).rewritten(schema)
    if plain.get("type") != "object" or "anyOf" in plain:
        plain = _joined(plain)
    plain.setdefault("properties", {})
    plain.pop("title", None)
    plain.pop("description", None)  # the docstring of a model; the tool has its own description
    return plain


def portable_text(text: str) -> str:
    """Text that can be encoded, without the double backticks of Python's docstrings."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "").replace("``", "`")


def with_texts(schema: Schema, text: Callable[[str], str]) -> Schema:
    """A portable schema with every description changed by ``text``."""
    changed: Schema = {}
    for key, value in schema.items():
        if key == "description":
            changed[key] = text(value)
        elif key == "properties":
            changed[key] = {name: with_texts(part, text) for name, part in value.items()}
        elif key == "anyOf":
            changed[key] = [with_texts(part, text) for part in value]
        elif key in ("items", "additionalProperties") and isinstance(value, dict):
            changed[key] = with_texts(cast("Schema", value), text)
        else:
            changed[key] = value
    return changed


class _Rewriter:
    """Rewrites one schema; knows its definitions, and the ones that it is currently inside."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._inside: list[str] = []
        self._written_out = 0

    def rewritten(self, schema: Any, *, name: str = "") -> Schema:
        """Any schema; ``name`` is that of the property it describes."""
        if not isinstance(schema, dict):
            return {}  # true; false, which nothing fits, is left to the server's own check
        original = cast("Schema", schema)
        if original.get("listed") == "brief":
            return {"type": "object", "description": portable_text(original.get("description", ""))}
        if "$ref" in original:
            return self._resolved(original, name)
        result = self._merged(original)
        for rewrite in (_one_type, self._list, self._object, self._choices, _enumeration):
            result = rewrite(result)
        return _tidied(result, name)

    def _resolved(self, schema: Schema, name: str) -> Schema:
        """What a reference points to, merged with the keys next to it; cut off where it contains
        itself.
        """
        reference = str(schema["$ref"])
        beside = _without(schema, "$ref")
        target = self._target(reference)
        if self._inside.count(reference) > UNROLLED or self._written_out >= MAX_WRITTEN_OUT:
            cut: Schema = {"description": DEEPER}
            if target.get("type") == "object":
                cut["type"] = "object"
            return cut
        self._written_out += 1
        self._inside.append(reference)
        try:
            return self.rewritten(_without(target, "title") | beside, name=name)
        finally:
            self._inside.pop()

    def _target(self, reference: str) -> Schema:
        target: Any = self._root
        for step in reference.removeprefix("#").split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            target = cast("Schema", target).get(key) if isinstance(target, dict) else None
        return cast("Schema", target) if isinstance(target, dict) else {}

    def _merged(self, schema: Schema) -> Schema:
        """Without ``allOf``: objects are merged, for anything else the first value counts."""
        if "allOf" not in schema:
            return dict(schema)
        merged = _without(schema, "allOf")
        for part in cast("list[Any]", schema["allOf"]):
            resolved = self._without_reference(part)
            merged["properties"] = {
                **resolved.get("properties", {}),
                **merged.get("properties", {}),
            }
            merged["required"] = [*merged.get("required", []), *resolved.get("required", [])]
            merged = {**resolved, **merged}
        # Each part may refuse what another one names.
        merged.pop("additionalProperties", None)
        empty = [key for key in ("properties", "required") if not merged[key]]
        return _without(merged, *empty)

    def _without_reference(self, schema: Any) -> Schema:
        if not isinstance(schema, dict):
            return {}
        found = cast("Schema", schema)
        if "$ref" in found:
            return self._merged(self._target(str(found["$ref"])))
        return self._merged(found)

    def _list(self, schema: Schema) -> Schema:
        """A list with one schema for all its items; tuples get it from their positions."""
        places = cast("list[Any]", schema.pop("prefixItems", []))
        if schema.get("type") != "array":
            return schema
        items = schema.get("items", {})
        if not places:
            schema["items"] = self.rewritten(items)
            return schema
        if items is False:
            schema.setdefault("maxItems", len(places))
        kinds = [self.rewritten(place) for place in places]
        # A tuple that pydantic bounds has no further items.
        if (isinstance(items, dict) and items) or "maxItems" not in schema:
            kinds.append(self.rewritten(items))
        return {**schema, "items": _any_of(kinds)}

    def _object(self, schema: Schema) -> Schema:
        others = schema.get("additionalProperties")
        if isinstance(others, dict):
            schema["additionalProperties"] = self.rewritten(others)
        if "patternProperties" in schema:
            schema.pop("additionalProperties", None)
        if "properties" in schema:
            self._rewrite_properties(schema)
        return schema

    def _rewrite_properties(self, schema: Schema) -> None:
        """Keep the properties that can be listed. If others exist, any name must be allowed."""
        parts = {name: part for name, part in schema["properties"].items() if not _is_hidden(part)}
        listed = [name for name in parts if KEY.fullmatch(name)]
        unlisted = [name for name in parts if not KEY.fullmatch(name)]
        if len(listed) < len(schema["properties"]):
            schema.pop("additionalProperties", None)
        if unlisted:
            also = OTHER_KEYS + ", ".join(map(json.dumps, unlisted)) + "."
            schema["description"] = f"{schema.get('description', '')} {also}".strip()
        schema["properties"] = {name: self.rewritten(parts[name], name=name) for name in listed}
        required = dict.fromkeys(schema.get("required", []))
        schema["required"] = [name for name in required if name in schema["properties"]]

    def _choices(self, schema: Schema) -> Schema:
        choices = [*schema.pop("anyOf", []), *schema.pop("oneOf", [])]
        if not choices:
            return schema
        chosen = _any_of(self.rewritten(choice) for choice in choices)
        # The keys next to the choices are kept where they do not contradict them.
        return {**chosen, **{key: value for key, value in schema.items() if key not in chosen}}


def _one_type(schema: Schema) -> Schema:
    """Without a list in ``type``: one choice for each of them."""
    types = schema.get("type")
    if not isinstance(types, list):
        return schema
    names = cast("list[str]", types)
    if len(names) == 1:
        return {**schema, "type": names[0]}
    about = {key: schema[key] for key in ("description", "title", "default") if key in schema}
    rest = _without(schema, "type", *about)
    return {
        **about,
        "anyOf": [{"type": "null"} if name == "null" else {**rest, "type": name} for name in names],
    }


def _enumeration(schema: Schema) -> Schema:
    """An ``enum`` with the type of its values; of several types, one choice for each."""
    if "const" in schema:
        schema = {**schema, "enum": [schema["const"]]}
    if "enum" not in schema:
        return schema
    by_type: dict[str, list[Any]] = {}
    for value in cast("list[object]", schema["enum"]):
        by_type.setdefault(_TYPES.get(type(value), OTHER), []).append(value)
    rest = _without(schema, "enum", "const", "type")
    if OTHER in by_type:
        return rest  # a list or an object as a value: left to the server's own check
    choices = [
        {"type": kind} if kind == "null" else {"type": kind, "enum": values}
        for kind, values in by_type.items()
    ]
    return {**rest, **_any_of(choices)}


def _tidied(schema: Schema, name: str) -> Schema:
    """Without what hosts do not support, cannot read, or do not need."""
    tidy: Schema = {}
    for key, value in schema.items():
        if key in _KEPT and not _is_useless(key, value, name):
            tidy[key] = _encodable(value) if key in _TEXTS else value
    return tidy


def _is_useless(key: str, value: Any, name: str) -> bool:
    """Whether hosts do not support this value of a key, cannot read it, or do not need it."""
    if key == "title":
        return _is_noise(value, name)
    is_useful = _USEFUL.get(key)
    return is_useful is not None and not is_useful(value)


def _without(schema: Schema, *keys: str) -> Schema:
    """A copy without these keys."""
    return {key: value for key, value in schema.items() if key not in keys}


def _is_hidden(part: Any) -> bool:
    """Whether the schema of a property says that it is not to be listed."""
    return isinstance(part, dict) and cast("Schema", part).get("listed") == "no"


def _encodable(value: Any) -> Any:
    if isinstance(value, list):
        return [_encodable(item) for item in cast("list[Any]", value)]
    return portable_text(value) if isinstance(value, str) else value


def _is_noise(title: Any, name: str) -> bool:
    """Whether a title only repeats the name of its property, or is the name of a class."""
    if not name or not isinstance(title, str):
        return True
    return _letters(title) == _letters(name)


def _letters(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _is_plain(default: Any) -> bool:
    """Whether a default is worth showing: a simple value, not an object or null."""
    if default in (None, "", []) or isinstance(default, dict):
        return False
    if isinstance(default, list):
        return all(not isinstance(item, dict | list) for item in cast("list[Any]", default))
    return _is_finite(default)


def _is_finite(value: Any) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


_USEFUL: Mapping[str, Callable[[Any], bool]] = {
    "default": _is_plain,
    "format": _FORMATS.__contains__,
    "pattern": lambda pattern: _NOT_PORTABLE.search(str(pattern)) is None,
    "required": bool,
    **dict.fromkeys(_NUMBERS, _is_finite),
}
"""Which values of a key say something to hosts; of other keys all do."""


def _any_of(choices: Iterable[Schema]) -> Schema:
    """One schema for any of several, without duplicates; nested choices become one list."""
    flat = _flattened(choices)
    if {} in flat:
        return {}
    return flat[0] if len(flat) == 1 else {"anyOf": flat}


def _flattened(choices: Iterable[Schema]) -> list[Schema]:
    flat: list[Schema] = []
    for choice in choices:
        inner = choice["anyOf"] if set(choice) == {"anyOf"} else [choice]
        flat += [one for one in inner if one not in flat]
    return flat


def _parts_by_name(objects: Iterable[Schema]) -> dict[str, list[Schema]]:
    """The schemas that several objects have for a property of the same name."""
    parts: dict[str, list[Schema]] = {}
    for schema in objects:
        for name, part in schema.get("properties", {}).items():
            parts.setdefault(name, []).append(part)
    return parts


def _joined(schema: Schema) -> Schema:
    """One object for a choice of objects: it has the keys of all, and requires what all require."""
    beside = _without(schema, "anyOf")
    choices: list[Schema] = schema.get("anyOf", [])
    objects = [choice for choice in choices if "properties" in choice]
    keys = _parts_by_name([beside, *objects])
    joined: Schema = {
        "type": "object",
        "properties": {name: _any_of(parts) for name, parts in keys.items()},
    }
    required: set[str] = set(beside.get("required", []))
    if choices:
        required |= set(keys).intersection(*(choice.get("required", []) for choice in choices))
    if required:
        joined["required"] = [name for name in keys if name in required]
    return joined
