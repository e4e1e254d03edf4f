# The part of tinycss2 that checkback uses; the package ships no types.
from collections.abc import Iterable
from typing import Any

class Node:
    type: str
    at_keyword: str
    lower_at_keyword: str
    name: str
    lower_name: str
    lower_value: str
    value: Any
    unit: str
    lower_unit: str
    important: bool
    prelude: list[Node]
    content: list[Node] | None
    arguments: list[Node]
    def serialize(self) -> str: ...

def parse_stylesheet(
    input: str | Iterable[Node], skip_comments: bool = ..., skip_whitespace: bool = ...
) -> list[Node]: ...
def parse_rule_list(
    input: str | Iterable[Node], skip_comments: bool = ..., skip_whitespace: bool = ...
) -> list[Node]: ...
def parse_blocks_contents(
    input: str | Iterable[Node], skip_comments: bool = ..., skip_whitespace: bool = ...
) -> list[Node]: ...
def serialize(nodes: Iterable[Node]) -> str: ...
