"""Which frameworks and libraries a page is made with, each with the evidence for it.

The rules are data in ``technology_fingerprints.py``. Class names are only ever counted: how many
different ones of a form there are, and how large a part of all tokens they make.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from checkback.kinds.browser.capture import PageCapture
from checkback.kinds.pages.audits.technology_fingerprints import MARKS, WEAK_GLOBALS, Mark
from checkback.kinds.pages.dom.snapshot import Node, Tree

Fields = dict[str, Any]

MAX_LISTED = 80
#: Different class tokens of one form from which it is more than chance.
MANY_TOKENS = 3
_VERSION = re.compile(r"^[\w.-]{0,12}?(\d+(?:\.\d+){0,3}(?:-[\w.]{1,12})?)$")


_COMMON_ATTRIBUTES = frozenset(
    {"id", "style", "href", "src", "alt", "title", "type", "name", "value", "role", "width",
     "height"}
)  # fmt: skip

#: What gives a technology away, and how much it weighs.
Evidence = tuple[str, float]


class Traces:
    """What a capture shows of its technologies, gathered once for all rules."""

    def __init__(self, bundle: PageCapture, tree: Tree | None) -> None:
        facts = bundle.facts or {}
        self.files = _files(bundle)
        self.generator = str(facts.get("generator", ""))
        self.globals = set(bundle.globals)
        self.versions = bundle.versions
        self.elements = list(map(str, facts.get("customElements", ())))
        self.classes: Counter[str] = Counter()
        self.attributes: Counter[str] = Counter()
        if tree is not None:
            self._read(tree)

    def _read(self, tree: Tree) -> None:
        for node in tree.elements():
            self._add_attributes(node)

    def _add_attributes(self, node: Node) -> None:
        self.classes.update(node.attributes.get("class", "").split())
        for name in node.attributes:
            if name != "class" and name not in _COMMON_ATTRIBUTES:
                self.attributes[name] += 1


def _files(bundle: PageCapture) -> list[str]:
    """The URLs of scripts and style sheets, and the hosts of other sites."""
    facts = bundle.facts or {}
    files = [*facts.get("scripts", ()), *facts.get("styleSheetLinks", ())]
    files += [sheet["url"] for sheet in bundle.sheets if not sheet["inline"]]
    hosts = [entry["host"] for entry in (bundle.network or {}).get("thirdParty", ())]
    files += [f"//{host}/" for host in hosts]
    return list(dict.fromkeys(map(str, files)))


def find_technologies(bundle: PageCapture, tree: Tree | None) -> list[Fields]:
    """Every technology that was recognized, with confidence, evidence and, if known, the
    version.
    """
    traces = Traces(bundle, tree)
    entries = [entry for mark in MARKS if (entry := _recognize(mark, traces)) is not None]
    entries.sort(key=lambda entry: (-entry["confidence"], entry["name"]))
    return entries[:MAX_LISTED]


@lru_cache(maxsize=2048)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.I)


@lru_cache(maxsize=2048)
def _compiled_name(pattern: str) -> re.Pattern[str]:
    """A pattern that must match a whole name, in its case."""
    return re.compile(f"(?:{pattern})$")


def _recognize(mark: Mark, traces: Traces) -> Fields | None:
    """One technology, or None if nothing on the page shows it."""
    version = _clean_version(traces.versions.get(mark.name, ""))
    versions = [version] if version else []
    evidence = [
        *_global_evidence(mark, traces, version),
        *_pattern_evidence("generator tag", 0.95, mark.generator, [traces.generator], versions),
        *_pattern_evidence("URL of a file", 0.75, mark.file, traces.files, versions),
        *_document_evidence(mark, traces),
    ]
    if not evidence:
        return None
    entry: Fields = {
        "name": mark.name,
        "category": mark.category,
        "confidence": _confidence(evidence),
        "evidence": [text for text, _ in evidence],
    }
    if versions:
        entry["version"] = versions[0]
    return entry


def _confidence(evidence: list[Evidence]) -> float:
    doubt = 1.0
    for _, weight in evidence:
        doubt *= 1 - weight
    return min(0.99, round(1 - doubt, 2))


def _global_evidence(mark: Mark, traces: Traces, version: str) -> Iterator[Evidence]:
    for name in mark.globals:
        if name in traces.globals and (version or name not in WEAK_GLOBALS):
            yield f"global {name}", 0.8
    if version:
        yield "version in a global", 0.6


def _pattern_evidence(
    reason: str, weight: float, pattern: str, texts: list[str], versions: list[str]
) -> Iterator[Evidence]:
    """Evidence if a pattern is found in a text; adds the version that the text names."""
    match = _first_match(pattern, texts) if pattern else None
    if match is not None:
        versions += [group for group in match.groups() if group and _clean_version(group)]
        yield reason, weight


def _first_match(pattern: str, texts: list[str]) -> re.Match[str] | None:
    matches = (_compiled(pattern).search(text) for text in texts)
    return next((match for match in matches if match is not None), None)


def _document_evidence(mark: Mark, traces: Traces) -> Iterator[Evidence]:
    yield from _class_evidence(len(_matching(mark.classes, traces.classes)))
    if _matching(mark.attribute, traces.attributes):
        yield "its own attribute", 0.75
    if _matching(mark.element, traces.elements):
        yield "its own custom element", 0.85


def _class_evidence(tokens: int) -> Iterator[Evidence]:
    if tokens >= MANY_TOKENS:
        yield f"{tokens} different class tokens that look like it", 0.7


def _matching(pattern: str, names: Iterable[str]) -> list[str]:
    """The names that match a pattern; none for a technology without one."""
    if not pattern:
        return []
    rule = _compiled_name(pattern)
    return [name for name in names if rule.match(name)]


def _clean_version(text: str) -> str:
    """A version as the page reports it, or an empty text if it does not look like one."""
    match = _VERSION.match(text.strip())
    return match[1] if match else ""


# --- the CSS framework ---

_TOKENS = {
    "tailwind": r"^(?:(?:sm|md|lg|xl|2xl|dark|hover|focus|group-hover):)*-?(?:[mp][xytrbl]?-\d|(?:w|h|size"
    r"|gap|top|inset|space-[xy])-[\d\[f]|text-(?:xs|sm|base|lg|\dxl|[a-z]+-\d{2,3})|bg-[a-z]+-\d{2,3}|flex$"
    r"|grid-cols-|rounded(?:-\w+)?$|items-|justify-|font-(?:bold|medium|semibold)|max-w-|min-h-|leading-|tracking-)",
    "bootstrap": r"^(?:col(?:-(?:sm|md|lg|xl|xxl))?(?:-\d+)?|row|container(?:-fluid)?"
    r"|btn(?:-\w+)*"
    r"|navbar(?:-\w+)*|card(?:-\w+)*|d-(?:flex|none|block)|[mp][xytbse]?-[0-5]|text-(?:center|muted|white)|form-control)$",
    "bulma": r"^(?:is-[\w-]+|has-[\w-]+|columns?|hero(?:-\w+)?|navbar(?:-\w+)*|box|level)$",
    "foundation": r"^(?:grid-[xy]|cell|small-\d+|medium-\d+|large-\d+|callout|top-bar(?:-\w+)?)$",
    "materialize": r"^(?:waves-\w+|materialize\S*|s\d{1,2}|m\d{1,2}|l\d{1,2}|nav-wrapper|card-panel)$",
    "uikit": r"^uk-[\w@-]+$",
    "css_modules": r"^[A-Za-z][\w-]*_[A-Za-z][\w-]*__[\w-]{5,}$",
    "material_ui": r"^Mui[A-Z]\w+-\w+$",
    "chakra_ui": r"^chakra-[\w-]+$",
    "ant_design": r"^ant-[\w-]+$",
    "semantic_ui": r"^(?:ui|segment|stackable|column|menu|item|header|button|container|grid|divider)$",
    "styled_components": r"^sc-[A-Za-z0-9]{5,}(?:-\d+)?$",
}
_TOKEN_RULES = {name: re.compile(pattern) for name, pattern in _TOKENS.items()}
#: The share of all class tokens from which a framework's form is more than chance.
_SHARE = {
    "styled_components": 0.05,
    "css_modules": 0.2,
    "uikit": 0.15,
    "material_ui": 0.15,
    "chakra_ui": 0.1,
    "ant_design": 0.15,
    "semantic_ui": 0.4,
}
_FILES = {
    "bootstrap": r"bootstrap(?:\.bundle)?(?:\.min)?\.(?:css|js)",
    "bulma": r"bulma(?:\.min)?\.css",
    "foundation": r"foundation(?:\.min)?\.(?:css|js)",
    "tailwind": r"tailwind",
    "uikit": r"uikit(?:\.min)?\.(?:css|js)",
    "materialize": r"materialize(?:\.min)?\.(?:css|js)",
    "semantic_ui": r"(?:semantic|fomantic)(?:-ui)?(?:\.min)?\.(?:css|js)",
}
_GLOBALS = {
    "bootstrap": "bootstrap",
    "tailwind": "tailwind",
    "uikit": "UIkit",
    "foundation": "Foundation",
}


def find_css_framework(tree: Tree, bundle: PageCapture) -> Fields:
    """The CSS framework with its evidence; ``vanilla`` if the style sheets are the page's own."""
    best = _likeliest_framework(_class_tokens(tree), bundle)
    return best if best["confidence"] >= 0.3 else _without_framework(tree, bundle)


def _class_tokens(tree: Tree) -> Counter[str]:
    tokens: Counter[str] = Counter()
    for node in tree.elements():
        tokens.update(node.attributes.get("class", "").split())
    return tokens


def _likeliest_framework(tokens: Counter[str], bundle: PageCapture) -> Fields:
    best: Fields = {"framework": "unknown", "confidence": 0.0, "evidence": []}
    for name in _TOKEN_RULES:
        evidence = list(_framework_evidence(name, tokens, bundle))
        confidence = _capped_sum(evidence)
        if confidence > best["confidence"]:
            best = _framework(name, confidence, evidence)
    return best


def _capped_sum(evidence: list[Evidence]) -> float:
    return min(0.99, sum(weight for _, weight in evidence))


def _framework(name: str, confidence: float, evidence: list[Evidence]) -> Fields:
    texts = [text for text, _ in evidence]
    return {"framework": name, "confidence": round(confidence, 2), "evidence": texts}


def _without_framework(tree: Tree, bundle: PageCapture) -> Fields:
    if _is_styled(tree, bundle):
        return {
            "framework": "vanilla",
            "confidence": 0.6,
            "evidence": ["style sheets that do not look like a framework's"],
        }
    return {"framework": "unknown", "confidence": 0.2, "evidence": ["no style sheets"]}


def _is_styled(tree: Tree, bundle: PageCapture) -> bool:
    """Whether there are style sheets, or styles in attributes."""
    return bool(bundle.sheets) or any("style" in node.attributes for node in tree.elements())


def _framework_evidence(name: str, tokens: Counter[str], bundle: PageCapture) -> Iterator[Evidence]:
    yield from _token_evidence(name, tokens)
    if _is_loaded(name, bundle):
        yield "URL of a file", 0.5
    if _GLOBALS.get(name) in bundle.globals:
        yield f"global {_GLOBALS[name]}", 0.3
    yield from _property_evidence(name, bundle)


def _property_evidence(name: str, bundle: PageCapture) -> Iterator[Evidence]:
    if name == "tailwind" and any("--tw-" in sheet["text"] for sheet in bundle.sheets):
        yield "its custom properties in a style sheet", 0.4


def _token_evidence(name: str, tokens: Counter[str]) -> Iterator[Evidence]:
    matching = _TOKEN_RULES[name]
    counts = [count for token, count in tokens.items() if matching.match(token)]
    share = sum(counts) / tokens.total() if tokens else 0.0
    if len(counts) >= 5 and share >= _SHARE.get(name, 0.25):
        text = f"{share:.0%} of class tokens look like it ({len(counts)} different ones)"
        yield text, min(0.75, 0.35 + share)


def _is_loaded(name: str, bundle: PageCapture) -> bool:
    """Whether a script or style sheet has a framework's name."""
    if name not in _FILES:
        return False
    facts = bundle.facts or {}
    files = [*facts.get("scripts", ()), *facts.get("styleSheetLinks", ())]
    return any(re.search(_FILES[name], url, re.I) for url in files)
