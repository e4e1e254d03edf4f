"""The OpenAPI 3.1 document of the native API, made from the same table as its routes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any, cast

from pydantic import BaseModel, TypeAdapter

from checkback.api.operations import Operation, OperationResult
from checkback.core.errors import (
    CheckbackError,
    EngineUnavailable,
    Forbidden,
    QuotaExceeded,
    Unauthorized,
)
from checkback.core.json_tree import map_members
from checkback.dialects import native

_REFERENCE = "#/components/schemas/{model}"
_PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")
_ABOUT = {
    "job_id": "The job id returned when the job was submitted.",
    "name": "Id or name of the artifact.",
}


def document(operations: Sequence[Operation], *, version: str) -> dict[str, Any]:
    """The whole document, as JSON."""
    schemas: dict[str, Any] = {}
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        path = _PARAMETER.sub(r"{\1}", operation.path)
        paths.setdefault(path, {})[operation.method.lower()] = _operation(operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "checkback",
            "version": version,
            "description": "Durable background jobs: submit, check, wait, cancel, retry, read the "
            "result.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "parameters": [
            *_path_parameters(operation),
            *_query_parameters(operation),
            *_headers(operation),
        ],
        "responses": _responses(operation, schemas),
    }
    if operation.public:
        made["security"] = []
    if operation.body is not None:
        made["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _schema(operation.body, schemas)}},
        }
    return made


def _path_parameters(operation: Operation) -> Iterable[dict[str, Any]]:
    for name in _PARAMETER.findall(operation.path):
        schema = {"type": "string"} | ({"format": "uuid"} if name == "job_id" else {})
        yield {
            "name": name,
            "in": "path",
            "required": True,
            "description": _ABOUT[name],
            "schema": schema,
        }


def _query_parameters(operation: Operation) -> Iterable[dict[str, Any]]:
    if operation.query is None:
        return
    schema = _inlined(operation.query)
    for name, details in schema["properties"].items():
        details.pop("title", None)
        yield {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            "description": details.pop("description", ""),
            "schema": details,
        }


def _headers(operation: Operation) -> Iterable[dict[str, Any]]:
    for name, description in operation.headers.items():
        yield {
            "name": name,
            "in": "header",
            "description": description,
            "schema": {"type": "string"},
        }


def _responses(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status, answer in operation.answers.items():
        responses[str(status)] = _response(answer, schemas)
    for status, codes in sorted(_error_codes(operation).items()):
        schema = _schema(native.ErrorRecord, schemas)
        description = f"{HTTPStatus(status).phrase}: {', '.join(sorted(set(codes)))}"
        response = {
            "description": description,
            "content": {"application/json": {"schema": schema}},
        }
        responses.setdefault(str(status), response)
    return responses


def _response(answer: OperationResult, schemas: dict[str, Any]) -> dict[str, Any]:
    if answer.empty:
        return {"description": answer.description}
    schema = {} if answer.schema is None else _schema(answer.schema, schemas)
    return {"description": answer.description, "content": {answer.media_type: {"schema": schema}}}


def _error_codes(operation: Operation) -> dict[int, list[str]]:
    """The codes of the operation's errors, by status."""
    errors: list[type[CheckbackError]] = list(operation.errors)
    if not operation.public:
        errors += [Unauthorized, Forbidden, QuotaExceeded, EngineUnavailable]
    by_status: dict[int, list[str]] = {}
    for error in errors:
        by_status.setdefault(error.http_status, []).append(error.code)
    return by_status


def _schema(annotation: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    schema = TypeAdapter[Any](annotation).json_schema(ref_template=_REFERENCE, mode="serialization")
    schemas.update(schema.pop("$defs", {}))
    name = schema.get("title")
    if name is None or schema.get("type") != "object":
        return schema
    schemas[name] = schema
    return {"$ref": _REFERENCE.format(model=name)}


def _inlined(model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema(mode="validation")
    return _resolved(schema, schema.pop("$defs", {}))


def _resolved(value: Any, defs: Mapping[str, Any]) -> Any:
    """A schema, or a part of one, with definitions in the place of references to them."""
    if isinstance(value, dict) and "$ref" in value:
        name = str(cast("dict[str, Any]", value)["$ref"]).rpartition("/")[2]
        return _resolved(defs[name], defs)
    return map_members(value, partial(_resolved, defs=defs))
