"""The line items of an invoice: the table whose header has a description and an amount."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
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
    for table in tables:
        items = _items_of_table(table, amount)
        if items:
            return items
    for number, line in enumerate(lines):
        head = segments(line)
        columns = _columns([text for _, _, text in head])
        items = _below(lines[number + 1 :], head, columns, amount) if _is_head(columns) else []
        if items:
            return items
    return []


def _items_of_table(table: Table, amount: Amount) -> list[Item]:
    """The items below a header in the first rows of the table."""
    for number, head in enumerate(table.rows[:3], 1):
        columns = _columns(head)
        if not _is_head(columns):
            continue
        items = [_item(row, columns, amount) for row in table.rows[number : number + MAX_ITEMS]]
        if any(items):
            return list(filter(None, items))
    return []


def _below(
    lines: Sequence[Line], head: Sequence[Segment], columns: dict[str, int], amount: Amount
) -> list[Item]:
    """The lines below a header with a description and an amount, until a total or a gap."""
    spans = [(left, right) for left, right, _ in head]
    items: list[Item] = []
    others = 0
    for line in lines:
        if _END.match(line.text) or others > _MAX_OTHERS or len(items) >= MAX_ITEMS:
            break
        item = _item(by_columns(segments(line), spans), columns, amount)
        if item is None:
            others += 1
        else:
            items.append(item)
            others = 0
    return items


def _is_head(columns: dict[str, int]) -> bool:
    return "description" in columns and "amount" in columns


def _columns(head: Sequence[str]) -> dict[str, int]:
    """The column of each value. The better name of a column is tried before the others."""
    columns: dict[str, int] = {}
    for name, patterns in _HEADS.items():
        for pattern in patterns:
            for number, cell in enumerate(head):
                is_free = name not in columns and number not in columns.values()
                if is_free and _matches(pattern, cell):
                    columns[name] = number
    return columns


def _matches(pattern: str, cell: str) -> bool:
    return re.search(rf"(?<!\w)(?:{pattern})(?!\w)", cell, re.IGNORECASE) is not None


def _item(row: Sequence[str], columns: dict[str, int], amount: Amount) -> Item | None:
    """A row as an item; None without a description or an amount of money."""
    cells = {name: row[number].strip() for name, number in columns.items() if number < len(row)}
    description, money = cells.get("description"), cells.get("amount")
    if not description or not money or not _MONEY.fullmatch(money):
        return None
    return {
        "description": description,
        "quantity": amount(cells.get("quantity") or None),
        "unitPrice": amount(cells.get("unitPrice") or None),
        "amount": amount(money),
    }
