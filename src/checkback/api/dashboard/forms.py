"""A form for each kind of job, made from the schema of its arguments."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from checkback.core.errors import InvalidInput
from checkback.kinds.registry import Kind

SHOWN_FIELDS = 6


@dataclass(frozen=True, slots=True)
class Field:
    """One field. ``control``: text, password, number, checkbox, select, lines for a list of texts,
    or json for objects and lists.
    """

    name: str
    label: str
    control: str
    about: str
    required: bool
    choices: tuple[str, ...] = ()
    default: str = ""
    whole: bool = False
    #: Whether it takes a file, so that one can be dropped on it.
    is_source: bool = False


def can_be_filled_in(kind: Kind) -> bool:
    """Whether a form of this kind is useful: not for kinds that follow jobs of other services."""
    return not kind.name.startswith("pdfco.")


def fields(kind: Kind) -> list[Field]:
    """The fields of a kind's form: required ones first, then the rest."""
    schema = kind.args_schema()
    required = set(schema.get("required", ()))
    # An argument that names another job is also a source, but not a file.
    sources = set(kind.sources) & {"url", "urls"}
    found = [
        _field(name, cast("dict[str, Any]", part), schema, name in required, name in sources)
        for name, part in schema.get("properties", {}).items()
    ]
    return sorted(found, key=lambda one: not one.required)


def split(form: Sequence[Field]) -> tuple[list[Field], list[Field]]:
    """The fields that a form shows at once, and those under "More options"."""
    shown: list[Field] = []
    more: list[Field] = []
    for number, field in enumerate(form):
        is_shown = field.required or number < SHOWN_FIELDS
        (shown if is_shown else more).append(field)
    return shown, more


def arguments(form: Sequence[Field], given: Mapping[str, str]) -> dict[str, Any]:
    """The arguments of a filled-in form; empty fields are left out. Raises InvalidInput."""
    args: dict[str, Any] = {}
    for field in form:
        text = given.get(field.name, "").strip()
        if field.control == "checkbox":
            if (text != "") is not (field.default == "true"):
                args[field.name] = text != ""
        elif text:
            args[field.name] = _value(field, text)
    return args


def _value(field: Field, text: str) -> Any:
    try:
        return _reader(field)(text)
    except ValueError:
        expected = "JSON" if field.control == "json" else "a number"
        raise InvalidInput(
            f"{field.label} is not {expected}.",
            hint="Correct this field, then send the form again.",
        ) from None


def _reader(field: Field) -> Callable[[str], Any]:
    """How the text of a field is read; what it returns raises ValueError."""
    if field.control == "number":
        return int if field.whole else float
    return _READERS.get(field.control, str)


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


_READERS: Mapping[str, Callable[[str], Any]] = {"json": json.loads, "lines": _lines}


def _field(
    name: str, part: dict[str, Any], schema: dict[str, Any], required: bool, source: bool
) -> Field:
    form = _resolved(part, schema)
    return Field(
        name=name,
        label=str(part.get("title") or name.replace("_", " ").capitalize()),
        control=_control(form),
        about=str(part.get("description") or form.get("description") or ""),
        required=required,
        choices=tuple(map(str, form.get("enum", ()))),
        default=_plain(part.get("default")),
        whole=form.get("type") == "integer",
        is_source=source,
    )


def _control(form: dict[str, Any]) -> str:
    """Which control an argument of this schema has."""
    if form.get("format") == "password" or form.get("writeOnly"):
        return "password"
    if form.get("type") == "array" and form.get("items", {}).get("type") == "string":
        return "lines"
    if form.get("enum"):
        return "select"
    return _CONTROLS.get(str(form.get("type")), "json")


def _resolved(part: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """The schema that a part refers to, and for ``this or null`` the first alternative."""
    if "$ref" in part:
        return _resolved(schema["$defs"][part["$ref"].rsplit("/", 1)[-1]], schema)
    for option in part.get("anyOf", ()):
        if option.get("type") != "null":
            return _resolved(option, schema)
    return part


def _plain(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


_CONTROLS = {"string": "text", "integer": "number", "number": "number", "boolean": "checkbox"}
