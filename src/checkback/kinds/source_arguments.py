"""Which arguments of a kind name files to work on: fields that say so in their JSON schema."""

from __future__ import annotations

import functools
from typing import Any, cast, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo


@functools.lru_cache(maxsize=4096)
def paths(model: type[BaseModel]) -> tuple[str, ...]:
    """The arguments of a model that name files to work on: ``url``, ``urls``, ``images.url``."""
    return _sources(model)


@functools.lru_cache(maxsize=4096)
def of_kinds(model: type[BaseModel]) -> dict[str, str]:
    """The arguments that name a file of a job of one kind alone, and that kind."""
    found: dict[str, str] = {}
    for name, info in model.model_fields.items():
        extra: Any = info.json_schema_extra
        if _is_source(info) and (kind := cast("dict[str, Any]", extra).get("of_kind")):
            found[info.alias or name] = str(kind)
    return found


def _sources(
    model: type[BaseModel], within: str = "", around: tuple[type[BaseModel], ...] = ()
) -> tuple[str, ...]:
    """The paths of sources in a model. Of a model inside of itself only the outermost is looked
    into.
    """
    if model in around or not _holds_sources(model, set()):
        return ()
    found: list[str] = []
    for name, info in model.model_fields.items():
        if _is_source(info):
            found.append(within + (info.alias or name))
        for inner in _models_in(info.annotation):
            found += _sources(inner, f"{within}{info.alias or name}.", (*around, model))
    return tuple(found)


def _is_source(info: FieldInfo) -> bool:
    extra: Any = info.json_schema_extra
    return isinstance(extra, dict) and cast("dict[str, Any]", extra).get("checkback") == "source"


def _holds_sources(model: type[BaseModel], seen: set[type[BaseModel]]) -> bool:
    """Whether a model or one inside of it has a source; each is looked at once, however they are
    nested.
    """
    if model in seen:
        return False
    seen.add(model)
    for info in model.model_fields.values():
        if _is_source(info) or any(
            _holds_sources(inner, seen) for inner in _models_in(info.annotation)
        ):
            return True
    return False


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """The models that a field's annotation holds: itself, or as items of a list."""
    if isinstance(annotation, type) and not get_args(annotation):
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [model for part in get_args(annotation) for model in _models_in(part)]
