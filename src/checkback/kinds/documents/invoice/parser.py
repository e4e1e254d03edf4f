"""Reads an invoice by rules: labels, what stands beside or below them, and its table of lines.

No model is asked, and none is claimed. What no rule finds is null, with a confidence of 0; the
others say how sure their rule is. The shape is PDF.co's (spec section 1.6), with ``confidence``
beside it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from checkback.kinds.documents.invoice.line_items import items_of
from checkback.kinds.documents.pdf.tables.lattice import Table
from checkback.kinds.documents.pdf.text.lines import Line

BESIDE, BELOW, GUESSED = 0.9, 0.7, 0.4

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
_DATE_FORMS = (
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
_CURRENCIES = {"$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY"}


@dataclass(slots=True)
class _Found:
    """What was found for each field, and how sure that is."""

    values: dict[str, Any] = field(default_factory=dict[str, Any])
    confidence: dict[str, float] = field(default_factory=dict[str, float])

    def put(self, name: str, value: Any, confidence: float) -> None:
        if value and confidence > self.confidence.get(name, 0.0):
            self.values[name], self.confidence[name] = value, confidence


def parse_invoice(lines: Sequence[Line], tables: Sequence[Table]) -> dict[str, Any]:
    """The invoice's fields. ``lines`` are those of all its pages, from the top down."""
    found = _Found()
    for name, (label, value) in _LABELS.items():
        _search(
            found, name, re.compile(rf"\b(?:{label})(?!\w)\s*[:#]?\s*", re.IGNORECASE), value, lines
        )
    texts = [line.text for line in lines]
    found.put("vendor", _vendor(texts), GUESSED)
    for name, pattern in (("billTo", _BILL_TO), ("shipTo", _SHIP_TO)):
        found.put(name, _block(lines, pattern), BELOW)
    if mail := _MAIL.search("\n".join(texts)):
        found.put("email", mail[0], GUESSED)
    found.put("currency", _currency(texts), GUESSED)
    items = items_of(lines, tables, amount)
    if items:
        found.confidence["lineItems"] = BELOW
    return _shaped(found, items)


def amount(text: str | None) -> float | None:
    """The number that an amount of money is, with points and commas as its country writes them."""
    if text is None:
        return None
    digits = re.sub(r"[^\d.,]", "", text).strip(".,")
    if not digits:
        return None
    last = max(digits.rfind("."), digits.rfind(","))
    decimals = len(digits) - last - 1
    if last >= 0 and decimals in (1, 2):
        whole, fraction = re.sub(r"[.,]", "", digits[:last]), digits[last + 1 :]
        number = float(f"{whole or 0}.{fraction}")
    else:
        number = float(re.sub(r"[.,]", "", digits))
    return -number if re.match(r"\s*[-(]", text) else number


def iso_date(text: str | None) -> str | None:
    """A date as YYYY-MM-DD where it can be read in one way only, else as it stands."""
    if text is None:
        return None
    plain = re.sub(r"\s+", " ", text.replace(" ,", ",")).strip()
    plain = re.sub(r"[^\W\d]{3,}", lambda word: _MONTH_OF.get(word[0].lower(), word[0]), plain)
    for form in _DATE_FORMS:
        try:
            return f"{datetime.strptime(plain, form):%Y-%m-%d}"  # noqa: DTZ007 - a date has no zone
        except ValueError:
            continue
    return plain


def _search(
    found: _Found, name: str, label: re.Pattern[str], value: str, lines: Sequence[Line]
) -> None:
    """Look for a label, then for a value beside it, else below it."""
    wanted = re.compile(value)
    for number, line in enumerate(lines):
        text = line.text
        match = label.search(text)
        if match is None or (
            name == "total" and re.search(r"sub[\s-]*$", text[: match.start()], re.I)
        ):
            continue
        if beside := wanted.match(text[match.end() :].lstrip(" :.\t")):
            found.put(name, beside[0].strip(), BESIDE if name != "total" else BESIDE + number / 1e6)
        elif (later := wanted.search(text, match.end())) and name in _MONEY:
            found.put(name, later[0].strip(), BESIDE + number / 1e6)
        elif fits := wanted.fullmatch(_below(lines, number, match.start(), text)):
            found.put(name, fits[0], GUESSED if name in _MONEY else BELOW)


def _below(lines: Sequence[Line], number: int, start: int, text: str) -> str:
    """The words of the next line that stand under a label; none where there are none."""
    if number + 1 >= len(lines):
        return ""
    words = lines[number].words
    at = len(text[:start].split())
    if at >= len(words):
        return ""
    left = words[at].x0
    under = [word for word in lines[number + 1].words if word.x0 >= left - 6]
    close: list[str] = []
    before = None
    for word in under:
        if before is not None and word.x0 - before > max(8.0, word.height):
            break
        if before is None and word.x0 > left + 80:
            return ""
        close.append(word.text)
        before = word.x1
    return " ".join(close)


def _vendor(texts: Sequence[str]) -> str | None:
    """Who sent it: the first line that names a company, else the first that is neither a title nor
    a number.

    A sender's line above the receiver's address has the street behind the name.
    """
    names = [name for text in texts[:8] if (name := _name_in(text)) is not None]
    return next((name for name in names if _COMPANY.search(name)), names[0] if names else None)


def _name_in(text: str) -> str | None:
    first = re.split(r"\s{2,}|\s[-–·•|]\s", text.strip())[0]
    name = re.sub(
        r"\b(?:tax\s*)?invoice\b|\brechnung\b|\breceipt\b", "", first, flags=re.IGNORECASE
    )
    name = name.strip(" :#-")
    if not re.search(r"[^\W\d_]{3}", name) or re.search(
        r"\d{4}|@|page|date|number", name, re.IGNORECASE
    ):
        return None
    return name[:120]


def _block(lines: Sequence[Line], label: re.Pattern[str]) -> list[str] | None:
    """What stands after a label and in the lines below it, until a gap."""
    for number, line in enumerate(lines):
        words = line.words
        for at in range(len(words)):
            text = " ".join(word.text for word in words[at:])
            if not label.match(text):
                continue
            rest = label.sub("", text, count=1).strip()
            return [*([rest] if rest else []), *_under(lines, number, words[at].x0)] or None
    return None


def _under(lines: Sequence[Line], number: int, left: float) -> list[str]:
    block: list[str] = []
    before = lines[number]
    for line in lines[number + 1 : number + 10]:
        words = [word for word in line.words if left - 6 <= word.x0 <= left + 220]
        if not words:
            continue  # a line of another column
        far = line.middle - before.middle > 2.2 * max(1.0, line.words[0].height)
        text = " ".join(word.text for word in words)
        if far or any(
            re.match(rf"(?:{one})\b", text, re.IGNORECASE) for one, _ in _LABELS.values()
        ):
            break
        block.append(text)
        before = line
    return block


def _currency(texts: Sequence[str]) -> str | None:
    joined = "\n".join(texts)
    for sign, code in _CURRENCIES.items():
        if sign in joined:
            return code
    match = re.search(r"\b(USD|EUR|GBP|CHF|JPY|CAD|AUD)\b", joined)
    return match[1] if match else None


def _shaped(found: _Found, items: list[dict[str, Any]]) -> dict[str, Any]:
    value, names = found.values.get, ("invoiceNo", "invoiceDate", "dueDate", "poNumber", "subTotal", "tax",
                                      "total", "vendor", "billTo", "shipTo", "email", "currency",
                                      "lineItems")  # fmt: skip
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
        "confidence": {name: round(found.confidence.get(name, 0.0), 2) for name in names},
        "method": "rules",
    }


def _party(block: list[str] | None) -> dict[str, Any] | None:
    return {"name": block[0], "address": block[1:] or None} if block else None
