"""Finds the arguments of a kind that name source files: fields marked in their JSON schema."""

from __future__ import annotations

import functools
from typing import Any, cast, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo


@functools.lru_cache(maxsize=4096)
def paths(model: type[BaseModel]) -> tuple[str, ...]:
    """The arguments of a model that name source files: ``url``, ``urls``, ``images.url``."""
    return _sources(model)


@functools.lru_cache(maxsize=4096)
def of_kinds(model: type[BaseModel]) -> dict[str, str]:
    """The arguments that accept only files of jobs of one kind, and that kind."""
    kinds: dict[str, str] = {}
    for name, info in model.model_fields.items():
        kind = _extra(info).get("of_kind") if _is_source(info) else None
        if kind:
            kinds[info.alias or name] = str(kind)
    return kinds


def _sources(
    model: type[BaseModel], prefix: str = "", outer: tuple[type[BaseModel], ...] = ()
) -> tuple[str, ...]:
    """The paths of the sources of a model. A model inside of itself is searched only once."""
    if model in outer or not _has_sources(model, set()):
        return ()
    paths: list[str] = []
    for name, info in model.model_fields.items():
        path = prefix + (info.alias or name)
        if _is_source(info):
            paths.append(path)
        for inner in _models_in(info.annotation):
            paths += _sources(inner, f"{path}.", (*outer, model))
    return tuple(paths)


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
    for info in model.model_fields.values():
        if _is_source(info):
            return True
        if any(_has_sources(inner, seen) for inner in _models_in(info.annotation)):
            return True
    return False


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """The models in the annotation of a field: the annotation itself, or the items of a list."""
    if isinstance(annotation, type) and not get_args(annotation):
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [model for part in get_args(annotation) for model in _models_in(part)]
