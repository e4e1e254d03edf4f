"""Which frameworks and libraries a page is made with, each with what gives it away.

The rules are data in ``marks.py``. Class names are only ever counted: not one name, but how many
different ones of a form there are, and how large a part of all tokens they make.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from typing import Any

from checkback.kinds.browser.capture import PageCapture
from checkback.kinds.pages.audits.technology_fingerprints import MARKS, WEAK_GLOBALS, Mark
from checkback.kinds.pages.dom.snapshot import Tree

Fields = dict[str, Any]

MAX_LISTED = 80
#: Different class tokens of one form from which it is more than chance.
MANY_TOKENS = 3
_VERSION = re.compile(r"^[\w.-]{0,12}?(\d+(?:\.\d+){0,3}(?:-[\w.]{1,12})?)$")


class Traces:
    """What a bundle shows of its technologies, gathered once for all rules."""

    def __init__(self, bundle: PageCapture, tree: Tree | None) -> None:
        facts = bundle.facts or {}
        hosts = [str(entry["host"]) for entry in (bundle.network or {}).get("thirdParty", ())]
        files = [*facts.get("scripts", ()), *facts.get("styleSheetLinks", ())]
        files += [sheet["url"] for sheet in bundle.sheets if not sheet["inline"]]
        self.files = list(dict.fromkeys([*map(str, files), *(f"//{host}/" for host in hosts)]))
        self.generator = str(facts.get("generator", ""))
        self.globals = set(bundle.globals)
        self.versions = bundle.versions
        self.elements = [str(name) for name in facts.get("customElements", ())]
        self.classes: Counter[str] = Counter()
        self.attributes: Counter[str] = Counter()
        for node in tree.elements() if tree is not None else ():
            for name, value in node.attributes.items():
                if name == "class":
                    self.classes.update(value.split())
                elif name not in _COMMON:
                    self.attributes[name] += 1


_COMMON = frozenset(
    {
        "id",
        "style",
        "href",
        "src",
        "alt",
        "title",
        "type",
        "name",
        "value",
        "role",
        "width",
        "height",
    }
)


def find_technologies(bundle: PageCapture, tree: Tree | None) -> list[Fields]:
    """Everything that shows itself, with confidence, evidence and, where something tells it, the
    version.
    """
    traces = Traces(bundle, tree)
    found = [entry for mark in MARKS if (entry := _weigh(mark, traces)) is not None]
    found.sort(key=lambda entry: (-entry["confidence"], entry["name"]))
    return found[:MAX_LISTED]


@lru_cache(maxsize=2048)
def _compiled(pattern: str, whole: bool) -> re.Pattern[str]:
    return re.compile(f"(?:{pattern})$" if whole else pattern, re.I if not whole else 0)


def _weigh(mark: Mark, traces: Traces) -> Fields | None:
    evidence: list[tuple[str, float]] = []
    versions: list[str] = []
    told = _clean_version(traces.versions.get(mark.name, ""))
    for name in mark.globals:
        if name in traces.globals and (name not in WEAK_GLOBALS or told):
            evidence.append((f"global {name}", 0.8))
    if told:
        versions.append(told)
        evidence.append(("version in a global", 0.6))
    for pattern, where, weight in (
        (mark.generator, [traces.generator], 0.95),
        (mark.file, traces.files, 0.75),
    ):
        match = next(
            (m for text in where if pattern and (m := _compiled(pattern, False).search(text))), None
        )
        if match is not None:
            evidence.append(
                ("address of a file" if pattern is mark.file else "generator tag", weight)
            )
            versions += [group for group in match.groups() if group and _clean_version(group)]
    evidence += _in_document(mark, traces)
    if not evidence:
        return None
    doubt = 1.0
    for _, weight in evidence:
        doubt *= 1 - weight
    entry: Fields = {
        "name": mark.name,
        "category": mark.category,
        "confidence": min(0.99, round(1 - doubt, 2)),
        "evidence": [text for text, _ in evidence],
    }
    return entry | ({"version": versions[0]} if versions else {})


def _in_document(mark: Mark, traces: Traces) -> list[tuple[str, float]]:
    found: list[tuple[str, float]] = []
    if mark.classes:
        rule = _compiled(mark.classes, True)
        tokens = [token for token in traces.classes if rule.match(token)]
        if len(tokens) >= MANY_TOKENS:
            found.append((f"{len(tokens)} different class tokens of its form", 0.7))
    if mark.attribute:
        rule = _compiled(mark.attribute, True)
        name = next((name for name in traces.attributes if rule.match(name)), None)
        if name is not None:
            found.append(("attribute of its own", 0.75))
    if mark.element:
        rule = _compiled(mark.element, True)
        if any(rule.match(name) for name in traces.elements):
            found.append(("custom element of its own", 0.85))
    return found


def _clean_version(text: str) -> str:
    """A version as the page tells it, or nothing when it is not the form of one."""
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
    """The CSS framework with its evidence; ``vanilla`` when the style sheets are the page's own."""
    tokens: Counter[str] = Counter()
    for node in tree.elements():
        tokens.update(node.attributes.get("class", "").split())
    facts = bundle.facts or {}
    files = [*facts.get("scripts", ()), *facts.get("styleSheetLinks", ())]
    best: Fields = {"framework": "unknown", "confidence": 0.0, "evidence": []}
    for name, rule in _TOKEN_RULES.items():
        confidence, evidence = _framework_weight(name, rule, tokens, files, bundle)
        if confidence > best["confidence"]:
            best = {"framework": name, "confidence": round(confidence, 2), "evidence": evidence}
    if best["confidence"] >= 0.3:
        return best
    if bundle.sheets or any("style" in node.attributes for node in tree.elements()):
        return {
            "framework": "vanilla",
            "confidence": 0.6,
            "evidence": ["style sheets without a framework's form"],
        }
    return {"framework": "unknown", "confidence": 0.2, "evidence": ["no style sheets"]}


def _framework_weight(
    name: str, rule: re.Pattern[str], tokens: Counter[str], files: list[str], bundle: PageCapture
) -> tuple[float, list[str]]:
    total = sum(tokens.values())
    kinds = sum(1 for token in tokens if rule.match(token))
    share = (
        sum(count for token, count in tokens.items() if rule.match(token)) / total if total else 0.0
    )
    confidence, evidence = 0.0, list[str]()
    if share >= _SHARE.get(name, 0.25) and kinds >= 5:
        confidence += min(0.75, 0.35 + share)
        evidence.append(f"{share:.0%} of class tokens have its form ({kinds} different ones)")
    if name in _FILES and any(re.search(_FILES[name], address, re.I) for address in files):
        confidence += 0.5
        evidence.append("address of a file")
    if _GLOBALS.get(name) in bundle.globals:
        confidence += 0.3
        evidence.append(f"global {_GLOBALS[name]}")
    if name == "tailwind" and any("--tw-" in sheet["text"] for sheet in bundle.sheets):
        confidence += 0.4
        evidence.append("its custom properties in a style sheet")
    return min(0.99, confidence), evidence
