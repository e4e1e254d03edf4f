"""Kinds with arguments that hosts stumble over: each has what some model API or host refuses in a
schema.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    JsonValue,
    RootModel,
    SecretStr,
    Tag,
    create_model,
)
from typing_extensions import TypeAliasType, TypedDict

from checkback.kinds.registry import job


class Tree(BaseModel):
    """A tree of names."""

    name: str
    children: list[Tree] = []
    by_name: dict[str, Tree] = {}


Nested = TypeAliasType("Nested", dict[str, "Nested"] | list["Nested"] | str)


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Mixed(Enum):
    ONE = 1
    TEXT = "text"
    NOTHING = None


class Point(NamedTuple):
    x: int
    y: float


class Cat(BaseModel):
    sort: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    sort: Literal["dog"]
    tricks: list[str] = ["sit"]


class Options(TypedDict, total=False):
    deep: dict[str, list[tuple[int, str]]]


class Either(RootModel[Cat | Dog]):
    """A model that is a choice at its top."""


class OddKeys(BaseModel):
    model_config = ConfigDict(extra="forbid")

    plain: int = 1
    dollar: int = Field(default=1, alias="$price in €")
    long: int = Field(default=1, alias="k" * 65)
    limit: float = math.inf
    surrogate: str = "half \ud800 a pair"
    pattern: str = Field(default="x1", pattern=r"^(?:\w+\d)$")
    commented: int = Field(
        default=1, json_schema_extra={"$comment": "not for hosts", "checkback": "x"}
    )


class Anything:
    """A class that pydantic has no schema for."""


class Loose(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    thing: Anything | None = None
    function: Callable[[int], int] | None = None


@job("awkward.tuples")
def tuples(
    box: tuple[int, int],
    rest: tuple[str, ...] = (),
    nothing: tuple[()] = (),
    mixed: tuple[int, str, bool] | None = None,
    point: Point | None = None,
    pairs: list[tuple[int, str]] = [],  # noqa: B006
) -> int:
    return 1


@job("awkward.tree")
def tree(root: Tree, nested: Nested = "x", value: JsonValue = None) -> int:
    return 1


@job("awkward.values")
def values(
    when: datetime,
    amount: Decimal,
    color: Color,
    mixed: Mixed = Mixed.ONE,
    mode: Literal["a", 1, None, True] = "a",
    data: dict[str, Any] | None = None,
    anything: Any = None,
    items: list | None = None,  # pyright: ignore[reportMissingTypeArgument, reportUnknownParameterType]
    names: set[str] = set(),  # noqa: B006
    path: Path | None = None,
    took: timedelta = timedelta(1),
    address: IPv4Address | None = None,
    by_number: dict[int, list[int]] = {},  # noqa: B006
    raw: bytes = b"",
) -> int:
    return 1


@job("awkward.unions")
def unions(
    pet: Annotated[Cat | Dog, Field(discriminator="sort")],
    tagged: Annotated[
        Annotated[Cat, Tag("c")] | Annotated[int, Tag("i")],
        Discriminator(lambda value: "i" if isinstance(value, int) else "c"),
    ] = 1,
    number: Annotated[int | float, Field(ge=0, lt=math.inf)] = 1,
    options: Options = {},  # noqa: B006
) -> int:
    return 1


@job("awkward.choice")
def choice(args: Either) -> int:
    return 1


@job("awkward.keys")
def keys(args: OddKeys) -> int:
    return 1


@job("awkward.loose")
def loose(args: Loose) -> int:
    return 1


class Undescribed(str):
    """A type whose own description is broken."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        return handler(str)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> Any:
        raise KeyError("nobody caught me")


@job("awkward.undescribed")
def undescribed(text: Undescribed) -> int:
    return 1


@job(
    "awkward.circle",
    args=create_model("Circle", __config__={"json_schema_extra": {"allOf": [{"$ref": "#"}]}}),
)
def circle(args: Any) -> int:
    return 1


@job("awkward.secret")
def secret(key: SecretStr, keys: dict[str, SecretStr] = {}) -> int:  # noqa: B006
    return 1


@job("awkward.nothing")
def nothing() -> int:
    return 1


@job("awkward.long")
def long(a: int = 1) -> int:
    return a


long.__doc__ = "A long story. " * 200 + "half \ud800 a pair"


VALID: dict[str, list[dict[str, Any]]] = {
    "awkward.tuples": [
        {"box": [1, 2]},
        {"box": [1, 2], "rest": ["a"] * 9, "nothing": [], "mixed": [1, "a", True], "point": [1, 2.5]},
        {"box": [1, 2], "mixed": None, "pairs": [[1, "a"], [2, "b"]]},
    ],
    "awkward.tree": [
        {"root": {"name": "a"}},
        {"root": {"name": "a", "children": [{"name": "b", "children": [{"name": "c", "children": [
            {"name": "d", "children": [{"name": "e", "by_name": {"f": {"name": "f"}}}]}]}]}]}},
        {"root": {"name": "a"}, "nested": {"a": [{"b": ["c", {"d": ["e"]}]}]}, "value": [1, {"a": None}]},
    ],
    "awkward.values": [
        {"when": "2026-11-28T10:00:00Z", "amount": "1.50", "color": "red"},
        {"when": "2026-11-28T10:00:00Z", "amount": 2, "color": "blue", "mixed": None, "mode": 1,
         "data": {"a": []}, "anything": {"b": 1}, "items": [1, "a", None], "names": ["a"], "path": "/x",
         "address": "10.0.0.1", "by_number": {"1": [2]}, "raw": "x"},
        {"when": "2026-11-28T10:00:00Z", "amount": 2, "color": "red", "mode": True, "mixed": "text"},
    ],
    "awkward.unions": [
        {"pet": {"sort": "cat"}},
        {"pet": {"sort": "dog", "tricks": ["roll"]}, "tagged": {"sort": "cat"}, "number": 2.5,
         "options": {"deep": {"a": [[1, "b"]]}}},
    ],
    "awkward.choice": [{"sort": "cat", "lives": 3}, {"sort": "dog"}],
    "awkward.keys": [{}, {"$price in €": 2, "k" * 65: 3, "pattern": "ä1", "limit": 5.0}],
    "awkward.loose": [{}],
    "awkward.secret": [{"key": "k", "keys": {"a": "b"}}],
    "awkward.nothing": [{}],
    "awkward.undescribed": [{"text": "x"}],
    "awkward.circle": [{}],
    "awkward.long": [{"a": 2}],
}  # fmt: skip
"""Arguments that each kind takes."""
