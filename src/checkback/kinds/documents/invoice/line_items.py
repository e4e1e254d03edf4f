"""The lines of an invoice: the table whose head names a description and an amount, ruled or not."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from checkback.kinds.documents.pdf.tables.lattice import Table
from checkback.kinds.documents.pdf.tables.stream import Segment, segments
from checkback.kinds.documents.pdf.text.lines import Line

MAX_ITEMS = 2000
_MAX_OTHERS = 8
"""So many lines without an amount may stand between two items: their further words."""

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
    """The items of the first table that has some; else of the lines below a head. ``amount`` reads
    money.
    """
    for table in tables:
        for at, head in enumerate(table.rows[:3]):
            columns = _columns(head)
            if _is_head(columns):
                items = [
                    _item(row, columns, amount) for row in table.rows[at + 1 : at + 1 + MAX_ITEMS]
                ]
                if found := [item for item in items if item is not None]:
                    return found
    for number, line in enumerate(lines):
        head = segments(line)
        columns = _columns([text for _, _, text in head])
        if _is_head(columns) and (found := _below(lines[number + 1 :], head, columns, amount)):
            return found
    return []


def _below(
    lines: Sequence[Line], head: Sequence[Segment], columns: dict[str, int], amount: Amount
) -> list[Item]:
    """The lines below a head that have a description and an amount, until a total or a gap."""
    items: list[Item] = []
    others = 0
    for line in lines:
        if _END.match(line.text) or others > _MAX_OTHERS or len(items) >= MAX_ITEMS:
            break
        cells = [""] * len(head)
        for left, right, text in segments(line):
            nearest = max(
                range(len(head)), key=lambda at: min(head[at][1], right) - max(head[at][0], left)
            )
            cells[nearest] = f"{cells[nearest]} {text}".strip()
        item = _item(cells, columns, amount)
        if item is None:
            others += 1
        else:
            items.append(item)
            others = 0
    return items


def _is_head(columns: dict[str, int]) -> bool:
    return "description" in columns and "amount" in columns


def _columns(head: Sequence[str]) -> dict[str, int]:
    """Which column each value stands in; the better name of a column goes before the others."""
    columns: dict[str, int] = {}
    for name, patterns in _HEADS.items():
        for pattern in patterns:
            for number, cell in enumerate(head):
                free = name not in columns and number not in columns.values()
                if free and re.search(rf"(?<!\w)(?:{pattern})(?!\w)", cell, re.IGNORECASE):
                    columns[name] = number
    return columns


def _item(row: Sequence[str], columns: dict[str, int], amount: Amount) -> Item | None:
    """A row as an item, or None for one without a description or an amount of money."""

    def cell(name: str) -> str | None:
        at = columns.get(name)
        return row[at].strip() or None if at is not None and at < len(row) else None

    money = cell("amount")
    if cell("description") is None or money is None or not _MONEY.fullmatch(money):
        return None
    return {
        "description": cell("description"),
        "quantity": amount(cell("quantity")),
        "unitPrice": amount(cell("unitPrice")),
        "amount": amount(money),
    }
