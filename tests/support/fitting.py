"""Values that fit a JSON schema as pydantic writes it, for Hypothesis to draw from."""

from __future__ import annotations

from typing import Any, cast

import jsonschema
from hypothesis import strategies as st

Schema = dict[str, Any]
MAX_DEPTH = 4
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=4,
)


def fitting(schema: Schema) -> st.SearchStrategy[Any]:
    """Values that fit; what the rough guesses below get wrong is left out."""
    validator: Any = jsonschema.Draft202012Validator(schema)
    return _values(schema, schema, 0).filter(validator.is_valid)


def _values(schema: Schema, root: Schema, depth: int) -> st.SearchStrategy[Any]:
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        return st.deferred(lambda: _values(root["$defs"][name], root, depth))
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "const" in schema:
        return st.just(schema["const"])
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return st.one_of([_values(one, root, depth) for one in schema[key]])
    match schema.get("type"):
        case "null":
            return st.none()
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(schema.get("minimum"), schema.get("maximum"))
        case "number":
            return st.integers(schema.get("minimum"), schema.get("maximum")) | st.floats(-1e6, 1e6)
        case "string":
            return st.text(
                min_size=schema.get("minLength", 0), max_size=schema.get("minLength", 0) + 5
            )
        case "array":
            return _lists(schema, root, depth + 1)
        case "object":
            return _objects(schema, root, depth + 1)
        case _:
            return ANYTHING


def _lists(schema: Schema, root: Schema, depth: int) -> st.SearchStrategy[Any]:
    if "prefixItems" in schema:
        return st.tuples(*[_values(one, root, depth) for one in schema["prefixItems"]]).map(list)
    least = schema.get("minItems", 0)
    if depth > MAX_DEPTH:
        return st.just([])
    return st.lists(
        _values(schema.get("items", {}), root, depth), min_size=least, max_size=least + 2
    )


def _objects(schema: Schema, root: Schema, depth: int) -> st.SearchStrategy[Any]:
    properties: dict[str, Schema] = schema.get("properties", {})
    required = {name: _values(properties[name], root, depth) for name in schema.get("required", [])}
    if depth > MAX_DEPTH:
        return st.fixed_dictionaries(required)
    optional = {
        name: _values(part, root, depth)
        for name, part in properties.items()
        if name not in required
    }
    known = st.fixed_dictionaries(required, optional=optional)
    others = schema.get("additionalProperties", not properties)
    if not others:
        return known
    inner = _values(cast("Schema", others), root, depth) if isinstance(others, dict) else ANYTHING
    further = st.dictionaries(st.text(min_size=1, max_size=4), inner, max_size=2)
    return st.tuples(further, known).map(lambda both: {**both[0], **both[1]})
