"""The line items of an invoice: the table whose header has a description and an amount."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice, product, takewhile
from typing import Any

from checkback.kinds.documents.pdf.tables.lattice import Table
from checkback.kinds.documents.pdf.tables.stream import Segment, by_columns, segments
from checkback.kinds.documents.pdf.text.lines import Line

MAX_ITEMS = 2000
_MAX_OTHERS = 8
"""At most this many lines without an amount between two items: the rest of their descriptions."""

_HEADS: dict[str, tuple[str, ...]] = {
    "description": (
        r"description|bezeichnung|beschreibung|désignation|libellé",
        r"item|product|service|details|leistung|artikel|position",
    ),
    "quantity": (r"qty|quantity|menge|anzahl|quantité", r"hours|units|stunden"),
    "unitPrice": (
        r"(?:unit|each)\s*(?:price|cost)?|price|rate|einzelpreis|(?:vk-|stück)?preis|prix",
    ),
    "amount": (
        r"(?:line\s*)?(?:amount|total)|(?:zeilen|gesamt)?betrag|gesamt(?:preis)?|montant",
        r"sum|usd|eur|gbp|summe",
    ),
}
_MONEY = re.compile(r"[-(]?\s?(?:[A-Z]{3}\s?|[$€£¥]\s?)?\d[\d.,' ]*(?:\s?(?:[$€£¥]|[A-Z]{3}))?\)?")
_END = re.compile(
    r"\W*(?:sub|grand|net)?[\s-]*(?:total|amount due|gesamt|summe|zwischensumme)\b", re.IGNORECASE
)

Item = dict[str, Any]
Amount = Callable[[str | None], float | None]


def items_of(lines: Sequence[Line], tables: Sequence[Table], amount: Amount) -> list[Item]:
    """The items of the first table that has some, else of the lines below a header. ``amount``
    parses money.
    """
    from_tables = (_items_of_table(table, amount) for table in tables)
    from_lines = (_items_below(lines, number, amount) for number in range(len(lines)))
    for items in chain(from_tables, from_lines):
        if items:
            return items
    return []


def _items_of_table(table: Table, amount: Amount) -> list[Item]:
    """The items below a header in the first rows of the table."""
    for number, head in enumerate(table.rows[:3], 1):
        items = _items_of_rows(head, table.rows[number : number + MAX_ITEMS], amount)
        if items:
            return items
    return []


def _items_of_rows(
    head: Sequence[str], rows: Sequence[Sequence[str]], amount: Amount
) -> list[Item]:
    columns = _columns(head)
    if not _is_head(columns):
        return []
    items = (_item(row, columns, amount) for row in rows)
    return list(filter(None, items))


def _items_below(lines: Sequence[Line], number: int, amount: Amount) -> list[Item]:
    """The items below a line; empty unless the line is a header."""
    head = segments(lines[number])
    columns = _columns([text for _, _, text in head])
    return _below(lines[number + 1 :], head, columns, amount) if _is_head(columns) else []


def _below(
    lines: Sequence[Line], head: Sequence[Segment], columns: dict[str, int], amount: Amount
) -> list[Item]:
    """The lines below a header with a description and an amount, until a total or a gap."""
    spans = [(left, right) for left, right, _ in head]
    before_total = takewhile(lambda line: not _END.match(line.text), lines)
    rows = (by_columns(segments(line), spans) for line in before_total)
    items = _until_gap(_item(row, columns, amount) for row in rows)
    return list(islice(items, MAX_ITEMS))


def _until_gap(items: Iterable[Item | None]) -> Iterator[Item]:
    """The items of lines, until too many lines in a row have none."""
    last = -1
    for number, item in enumerate(items):
        if item is not None:
            last = number
            yield item
        if number - last > _MAX_OTHERS:
            return


def _is_head(columns: dict[str, int]) -> bool:
    return "description" in columns and "amount" in columns


def _columns(head: Sequence[str]) -> dict[str, int]:
    """The column of each value. The better name of a column is tried before the others."""
    columns: dict[str, int] = {}
    free = dict(enumerate(head))
    for name, patterns in _HEADS.items():
        number = _first_match(patterns, free)
        if number is not None:
            columns[name] = number
            del free[number]
    return columns


def _first_match(patterns: Sequence[str], cells: Mapping[int, str]) -> int | None:
    for pattern, (number, cell) in product(patterns, cells.items()):
        if _matches(pattern, cell):
            return number
    return None


def _matches(pattern: str, cell: str) -> bool:
    return re.search(rf"(?<!\w)(?:{pattern})(?!\w)", cell, re.IGNORECASE) is not None


def _item(row: Sequence[str], columns: dict[str, int], amount: Amount) -> Item | None:
    """A row as an item; None without a description or an amount of money."""
    cells = {name: row[number].strip() for name, number in columns.items() if number < len(row)}
    description, money = cells.get("description"), cells.get("amount", "")
    if not description or not _MONEY.fullmatch(money):
        return None
    return {
        "description": description,
        "quantity": amount(cells.get("quantity")),
        "unitPrice": amount(cells.get("unitPrice")),
        "amount": amount(money),
    }
