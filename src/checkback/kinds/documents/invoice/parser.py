"""Reads an invoice by rules: labels, the values next to or below them, and its table of items.

No model is used. A field that no rule finds is null, with a confidence of 0; the others have the
confidence of their rule. The structure is PDF.co's (spec section 1.6), with ``confidence`` added.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from checkback.kinds.documents.invoice.line_items import items_of
from checkback.kinds.documents.pdf.tables.lattice import Table
from checkback.kinds.documents.pdf.text.lines import Line
from checkback.kinds.documents.pdf.text.words import Word

NEXT_TO, BELOW, GUESSED = 0.9, 0.7, 0.4

_AMOUNT = r"[-(]?\s?(?:[A-Z]{3}\s?|[$€£¥]\s?)?\d[\d.,' ]*\d?(?:\s?(?:[$€£¥]|[A-Z]{3}))?\)?"
_DATE = (
    r"\d{4}-\d{1,2}-\d{1,2}|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}|\d{1,2}\.?\s+[A-Za-zäéûô]{3,9}\.?,?\s+\d{4}"
    r"|[A-Za-z]{3,9}\.?\s+\d{1,2}\s?,?\s+\d{4}"
)
_NUMBER = r"[A-Z0-9#][A-Z0-9#/_.-]*\d[A-Z0-9/_.-]*"

_LABELS: dict[str, tuple[str, str]] = {
    "invoiceNo": (
        r"invoice\s*(?:no|number|num|nr|id|#)\.?|rechnungs(?:nummer|-?nr)\.?|facture\s*n[o°]\.?|inv\s*#",
        _NUMBER,
    ),
    "invoiceDate": (
        r"(?:invoice|bill(?:ing)?|issue)\s*date|date\s*(?:of\s*issue|issued)|rechnungsdatum",
        _DATE,
    ),
    "dueDate": (r"(?:payment\s*)?due\s*(?:date|on|by)?|fällig(?:\s*am)?", _DATE),
    "poNumber": (r"(?:p\.?o\.?|purchase\s*order)\s*(?:no|number|#)?\.?", _NUMBER),
    "subTotal": (r"sub[\s-]*total|net(?:to)?\s*(?:amount|total|betrag)?|zwischensumme", _AMOUNT),
    "tax": (r"(?:sales\s*)?tax(?:es)?(?:\s*\([^)]*\))?|vat(?:\s*\([^)]*\))?|mwst\.?|ust\.?|gst", _AMOUNT),
    "total": (
        r"(?:grand\s*)?total(?:\s*(?:amount|due|for this invoice))*(?:\s*\([^)]*\))?|amount\s*due"
        r"|balance\s*due|gesamt(?:betrag|summe)?|rechnungsbetrag",
        _AMOUNT,
    ),
}  # fmt: skip
_BILL_TO = re.compile(
    r"^\W*(?:bill(?:ed|ing)?\s*(?:to(?:\s*address)?|address)|(?:invoice|sold)\s*to|rechnung\s*an)\W*",
    re.IGNORECASE,
)
_SHIP_TO = re.compile(
    r"^\W*(?:ship(?:ped|ping)?\s*(?:to(?:\s*address)?|address)|deliver(?:y)?\s*(?:to|address)|lieferung\s*an)\W*",
    re.IGNORECASE,
)
_COMPANY = re.compile(
    r"\b(?:GmbH|AG|KG|e\.?K|UG|Ltd|Limited|Inc|LLC|L\.?L\.?P|Corp(?:oration)?|Co|PLC|S\.?A\.?S?|SARL|B\.?V|N\.?V|"
    r"S\.?r\.?l|S\.?p\.?A|Oy|A/?S|AB)\b\.?"
)
_MONTHS = {
    "january": "januar januari janvier", "february": "februar février fevrier", "march": "märz maerz mars",
    "april": "avril", "may": "mai", "june": "juni juin", "july": "juli juillet", "august": "août aout",
    "september": "septembre", "october": "oktober octobre", "november": "novembre",
    "december": "dezember décembre decembre",
}  # fmt: skip
_DATE_FORMATS = (
    "%Y-%m-%d",
    "%d.%m.%Y",
    "%B %d, %Y",
    "%b %d, %Y",
    "%d %B %Y",
    "%d %b %Y",
    "%d. %B %Y",
    "%B %d %Y",
)
_MONEY = frozenset({"total", "tax", "subTotal"})
_MONTH_OF = {word: month for month, words in _MONTHS.items() for word in words.split()}
_MAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_TITLE = re.compile(r"\b(?:tax\s*)?invoice\b|\brechnung\b|\breceipt\b", re.IGNORECASE)
_NO_NAME = re.compile(r"\d{4}|@|page|date|number", re.IGNORECASE)
_ANY_LABEL = re.compile("|".join(rf"(?:{label})\b" for label, _ in _LABELS.values()), re.IGNORECASE)
_CURRENCIES = {"$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY"}


@dataclass(slots=True)
class _Fields:
    """The value of each field, and its confidence."""

    values: dict[str, Any] = field(default_factory=dict[str, Any])
    confidence: dict[str, float] = field(default_factory=dict[str, float])

    def add(self, name: str, value: Any, confidence: float) -> None:
        if value and confidence > self.confidence.get(name, 0.0):
            self.values[name], self.confidence[name] = value, confidence


def parse_invoice(lines: Sequence[Line], tables: Sequence[Table]) -> dict[str, Any]:
    """The fields of the invoice. ``lines`` are those of all pages, from top to bottom."""
    fields = _Fields()
    for name, (label, value) in _LABELS.items():
        pattern = re.compile(rf"\b(?:{label})(?!\w)\s*[:#]?\s*", re.IGNORECASE)
        _search(fields, name, pattern, re.compile(value), lines)
    texts = [line.text for line in lines]
    fields.add("vendor", _vendor(texts), GUESSED)
    fields.add("billTo", _block(lines, _BILL_TO), BELOW)
    fields.add("shipTo", _block(lines, _SHIP_TO), BELOW)
    fields.add("email", _email(texts), GUESSED)
    fields.add("currency", _currency(texts), GUESSED)
    items = items_of(lines, tables, amount)
    if items:
        fields.confidence["lineItems"] = BELOW
    return _shaped(fields, items)


def amount(text: str | None) -> float | None:
    """The number of an amount of money, with the decimal and thousands separators of any
    country.
    """
    if text is None:
        return None
    digits = re.sub(r"[^\d.,]", "", text).strip(".,")
    if not digits:
        return None
    number = _number(digits)
    return -number if re.match(r"\s*[-(]", text) else number


def _number(digits: str) -> float:
    """The number of digits with separators: one or two digits after the last one are decimals."""
    last = max(digits.rfind("."), digits.rfind(","))
    if last < 0 or len(digits) - last - 1 not in (1, 2):
        return float(re.sub(r"[.,]", "", digits))
    whole = re.sub(r"[.,]", "", digits[:last])
    return float(f"{whole or 0}.{digits[last + 1 :]}")


def iso_date(text: str | None) -> str | None:
    """A date as YYYY-MM-DD if it can be read in one way only, else unchanged."""
    if text is None:
        return None
    plain = re.sub(r"\s+", " ", text.replace(" ,", ",")).strip()
    plain = re.sub(r"[^\W\d]{3,}", lambda word: _MONTH_OF.get(word[0].lower(), word[0]), plain)
    return _numeric_date(plain) or plain


def _numeric_date(text: str) -> str | None:
    """A date in one of the formats as YYYY-MM-DD."""
    for date_format in _DATE_FORMATS:
        with suppress(ValueError):
            date = datetime.strptime(text, date_format)  # noqa: DTZ007 - a date has no zone
            return f"{date:%Y-%m-%d}"
    return None


def _search(
    fields: _Fields,
    name: str,
    label: re.Pattern[str],
    value: re.Pattern[str],
    lines: Sequence[Line],
) -> None:
    """Look for a label, then for a value next to it, else below it."""
    for number, line in enumerate(lines):
        match = _label_in(line.text, name, label)
        if match is not None:
            fields.add(name, *_value_of(name, value, match, lines, number))


def _label_in(text: str, name: str, label: re.Pattern[str]) -> re.Match[str] | None:
    """The label of a field in a line. That of a subtotal is not the label of the total."""
    match = label.search(text)
    if name == "total" and match is not None and _is_subtotal(match):
        return None
    return match


def _value_of(
    name: str, value: re.Pattern[str], label: re.Match[str], lines: Sequence[Line], number: int
) -> tuple[str, float]:
    """The value of a label in the line with that number, and its confidence."""
    # Of several totals the last one counts.
    rank = number / 1e6
    next_to = value.match(label.string[label.end() :].lstrip(" :.\t"))
    if next_to is not None:
        return next_to[0].strip(), NEXT_TO + (rank if name == "total" else 0)
    if name not in _MONEY:
        return _value_below(value, label, lines, number, BELOW)
    later = value.search(label.string, label.end())
    if later is not None:
        return later[0].strip(), NEXT_TO + rank
    return _value_below(value, label, lines, number, GUESSED)


def _value_below(
    value: re.Pattern[str],
    label: re.Match[str],
    lines: Sequence[Line],
    number: int,
    confidence: float,
) -> tuple[str, float]:
    below = value.fullmatch(_below(lines, number, label.start()))
    return (below[0], confidence) if below is not None else ("", 0.0)


def _is_subtotal(match: re.Match[str]) -> bool:
    text_before = match.string[: match.start()]
    return re.search(r"sub[\s-]*$", text_before, re.IGNORECASE) is not None


def _below(lines: Sequence[Line], number: int, start: int) -> str:
    """The text of the next line under a label, which begins at ``start`` in its line."""
    left = _left_of(lines[number], start)
    under = _words_below(lines, number, left - 6)
    if not under or under[0].x0 > left + 80:
        return ""
    return " ".join(word.text for word in _until_gap(under))


def _left_of(line: Line, start: int) -> float:
    """The left edge of the word that begins at ``start``; infinity if there is no such word."""
    position = len(line.text[:start].split())
    words = line.words[position : position + 1]
    return words[0].x0 if words else math.inf


def _words_below(lines: Sequence[Line], number: int, left: float) -> list[Word]:
    """All words in the next line that begin at ``left`` or right of it."""
    next_line = lines[number + 1 : number + 2]
    return [word for line in next_line for word in line.words if word.x0 >= left]


def _until_gap(words: Sequence[Word]) -> list[Word]:
    """The first words, up to a wide gap."""
    close = [words[0]]
    for word in words[1:]:
        if word.x0 - close[-1].x1 > max(8.0, word.height):
            break
        close.append(word)
    return close


def _email(texts: Sequence[str]) -> str | None:
    match = _MAIL.search("\n".join(texts))
    return match[0] if match else None


def _vendor(texts: Sequence[str]) -> str | None:
    """The sender: the first line that names a company, else the first that is neither a title nor a
    number.

    If a line has the sender's whole address, the street follows the name.
    """
    names = list(filter(None, map(_name_in, texts[:8])))
    for name in names:
        if _COMPANY.search(name):
            return name
    return names[0] if names else None


def _name_in(text: str) -> str | None:
    """The name at the beginning of a line; None if it is a title, a number or a date."""
    first = re.split(r"\s{2,}|\s[-–·•|]\s", text.strip())[0]
    name = _TITLE.sub("", first).strip(" :#-")
    if not re.search(r"[^\W\d_]{3}", name) or _NO_NAME.search(name):
        return None
    return name[:120]


def _block(lines: Sequence[Line], label: re.Pattern[str]) -> list[str]:
    """The text after a label and in the lines below it, until a gap."""
    for number, position in _positions(lines):
        words = lines[number].words[position:]
        text = " ".join(word.text for word in words)
        if label.match(text):
            rest = label.sub("", text, count=1).strip()
            block = [rest, *_under(lines, number, words[0].x0)]
            return list(filter(None, block))
    return []


def _positions(lines: Sequence[Line]) -> Iterator[tuple[int, int]]:
    """The number of the line of each word, and the word's position in it."""
    for number, line in enumerate(lines):
        for position in range(len(line.words)):
            yield number, position


def _under(lines: Sequence[Line], number: int, left: float) -> list[str]:
    """The lines below a line, from the position ``left`` on, until a gap or a label."""
    block: list[str] = []
    before = lines[number]
    for line in lines[number + 1 : number + 10]:
        text = _text_between(line, left - 6, left + 220)
        if not text:
            continue  # a line of another column
        if _is_far_below(before, line) or _ANY_LABEL.match(text):
            break
        block.append(text)
        before = line
    return block


def _text_between(line: Line, left: float, right: float) -> str:
    """The text of a line between two positions."""
    return " ".join(word.text for word in line.words if left <= word.x0 <= right)


def _is_far_below(before: Line, line: Line) -> bool:
    return line.middle - before.middle > 2.2 * max(1.0, line.words[0].height)


def _currency(texts: Sequence[str]) -> str | None:
    joined = "\n".join(texts)
    for sign, code in _CURRENCIES.items():
        if sign in joined:
            return code
    match = re.search(r"\b(USD|EUR|GBP|CHF|JPY|CAD|AUD)\b", joined)
    return match[1] if match else None


_FIELDS = (
    "invoiceNo", "invoiceDate", "dueDate", "poNumber", "subTotal", "tax", "total", "vendor",
    "billTo", "shipTo", "email", "currency", "lineItems",
)  # fmt: skip


def _shaped(fields: _Fields, items: list[dict[str, Any]]) -> dict[str, Any]:
    """The fields in PDF.co's structure."""
    value = fields.values.get
    return {
        "vendor": {
            "name": value("vendor"),
            "address": None,
            "contactInformation": {"email": value("email")},
        },
        "customer": {"billTo": _party(value("billTo")), "shipTo": _party(value("shipTo"))},
        "invoice": {
            "invoiceNo": value("invoiceNo"),
            "invoiceDate": iso_date(value("invoiceDate")),
            "dueDate": iso_date(value("dueDate")),
            "purchaseOrder": value("poNumber"),
        },
        "paymentDetails": {
            "subTotal": amount(value("subTotal")),
            "tax": amount(value("tax")),
            "total": amount(value("total")),
            "currency": value("currency"),
        },
        "lineItems": items or None,
        "confidence": {name: round(fields.confidence.get(name, 0.0), 2) for name in _FIELDS},
        "method": "rules",
    }


def _party(block: list[str] | None) -> dict[str, Any] | None:
    return {"name": block[0], "address": block[1:] or None} if block else None
