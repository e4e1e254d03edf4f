"""Finds the arguments of a kind that name source files: fields marked in their JSON schema."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, cast, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo


@functools.lru_cache(maxsize=4096)
def paths(model: type[BaseModel]) -> tuple[str, ...]:
    """The arguments of a model that name source files: ``url``, ``urls``, ``images.url``."""
    return tuple(_sources(model))


@functools.lru_cache(maxsize=4096)
def of_kinds(model: type[BaseModel]) -> dict[str, str]:
    """The arguments that accept only files of jobs of one kind, and that kind."""
    kinds: dict[str, str] = {}
    for name, info in model.model_fields.items():
        kind = _extra(info).get("of_kind") if _is_source(info) else None
        if kind:
            kinds[_argument(name, info)] = str(kind)
    return kinds


def _sources(
    model: type[BaseModel], prefix: str = "", outer: tuple[type[BaseModel], ...] = ()
) -> Iterator[str]:
    """The paths of the sources of a model. A model inside of itself is searched only once."""
    if model in outer or not _has_sources(model, set()):
        return
    for name, info in model.model_fields.items():
        yield from _sources_of(info, prefix + _argument(name, info), (*outer, model))


def _sources_of(info: FieldInfo, path: str, outer: tuple[type[BaseModel], ...]) -> Iterator[str]:
    """The paths of the sources in one field."""
    if _is_source(info):
        yield path
    for inner in _models_in(info.annotation):
        yield from _sources(inner, f"{path}.", outer)


def _argument(name: str, info: FieldInfo) -> str:
    return info.alias or name


def _is_source(info: FieldInfo) -> bool:
    return _extra(info).get("checkback") == "source"


def _extra(info: FieldInfo) -> dict[str, Any]:
    """The entries of the field that its author added to the JSON schema."""
    extra: Any = info.json_schema_extra
    return cast("dict[str, Any]", extra) if isinstance(extra, dict) else {}


def _has_sources(model: type[BaseModel], seen: set[type[BaseModel]]) -> bool:
    """Whether a model, or a model inside of it, has a source. Each model is searched only once."""
    if model in seen:
        return False
    seen.add(model)
    return any(_leads_to_source(info, seen) for info in model.model_fields.values())


def _leads_to_source(info: FieldInfo, seen: set[type[BaseModel]]) -> bool:
    models = _models_in(info.annotation)
    return _is_source(info) or any(_has_sources(model, seen) for model in models)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """The models in the annotation of a field: the annotation itself, or the items of a list."""
    if isinstance(annotation, type) and not get_args(annotation):
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [model for part in get_args(annotation) for model in _models_in(part)]
