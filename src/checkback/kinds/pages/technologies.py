"""Which frameworks and libraries a page is made with, each with what gives it away.

Evidence is the names of the page's globals, the addresses of its files, its generator tag, and the statistics
of its class tokens: not one class name, but how large a part of all tokens has a framework's form.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

from checkback.kinds.pages.bundle import Bundle
from checkback.kinds.pages.snapshot import Tree

Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Mark:
    """How a technology shows itself."""

    name: str
    category: str
    globals: tuple[str, ...] = ()
    #: Pattern for the address of a script or style sheet; its first group, if any, is the version.
    file: str = ""
    generator: str = ""


_VERSION = r"[@/-]v?(\d+(?:\.\d+){1,2})"
MARKS = (
    Mark("jQuery", "library", ("jQuery",), rf"jquery(?:{_VERSION})?(?:\.slim)?(?:\.min)?\.js"),
    Mark("React", "framework", ("React",), rf"react(?:-dom)?(?:{_VERSION})?[./]"),
    Mark("Vue", "framework", ("Vue",), rf"vue(?:{_VERSION})?[./]"),
    Mark("Angular", "framework", ("angular",), r"angular(?:\.min)?\.js"),
    Mark("Svelte", "framework", ("Svelte",)),
    Mark("Next.js", "framework", ("__NEXT_DATA__",), r"/_next/static/"),
    Mark("Nuxt", "framework", ("__NUXT__",), r"/_nuxt/"),
    Mark("Gatsby", "framework", ("___gatsby",), generator=r"gatsby"),
    Mark("Remix", "framework", ("__remixContext",)),
    Mark("Astro", "framework", (), r"/_astro/", r"astro"),
    Mark("Alpine.js", "library", ("Alpine",), r"alpine(?:js)?"),
    Mark("htmx", "library", ("htmx",), r"htmx(?:\.org)?"),
    Mark("WordPress", "cms", ("wp",), r"/wp-(?:content|includes)/", r"wordpress"),
    Mark("Shopify", "cms", ("Shopify",), r"cdn\.shopify\.com"),
    Mark("Webflow", "cms", ("Webflow",), r"webflow", r"webflow"),
    Mark("Drupal", "cms", (), r"/core/misc/drupal", r"drupal"),
    Mark("Hugo", "generator", generator=r"hugo"),
    Mark("Jekyll", "generator", generator=r"jekyll"),
    Mark("GSAP", "motion", ("gsap", "TweenMax", "TweenLite"), rf"gsap(?:{_VERSION})?[./]"),
    Mark("ScrollTrigger", "motion", ("ScrollTrigger",), r"ScrollTrigger"),
    Mark("anime.js", "motion", ("anime",), r"anime(?:\.min)?\.js"),
    Mark("three.js", "motion", ("THREE",), r"three(?:\.module)?(?:\.min)?\.js"),
    Mark("Lottie", "motion", ("lottie", "bodymovin"), r"lottie"),
    Mark("Motion", "motion", ("Motion",), r"framer-motion"),
    Mark("AOS", "motion", ("AOS",), r"/aos(?:\.min)?\.(?:js|css)"),
    Mark("ScrollReveal", "motion", ("ScrollReveal",), r"scrollreveal"),
    Mark("WOW.js", "motion", ("WOW",), r"/wow(?:\.min)?\.js"),
    Mark("Swiper", "motion", ("Swiper",), r"swiper"),
    Mark("Lenis", "motion", ("Lenis",), r"lenis"),
    Mark("Locomotive Scroll", "motion", ("LocomotiveScroll",), r"locomotive-scroll"),
    Mark("animate.css", "motion", (), r"animate(?:\.min)?\.css"),
    Mark("D3", "library", ("d3",), r"/d3(?:\.v\d)?(?:\.min)?\.js"),
    Mark("Chart.js", "library", ("Chart",), r"chart(?:\.umd)?(?:\.min)?\.js"),
    Mark("Font Awesome", "fonts", (), r"font-?awesome|fontawesome"),
    Mark("Google Fonts", "fonts", (), r"fonts\.googleapis\.com"),
    Mark("Google Analytics", "analytics", ("gtag", "ga"), r"google-analytics\.com|googletagmanager\.com"),
    Mark("Plausible", "analytics", ("plausible",), r"plausible\.io"),
)


def find_technologies(bundle: Bundle) -> list[Fields]:
    """Everything that shows itself, with confidence, evidence and, where an address tells it, the version."""
    facts = bundle.facts or {}
    files = [*facts.get("scripts", ()), *facts.get("styleSheetLinks", ())]
    found = [_weigh(mark, bundle.globals, files, str(facts.get("generator", ""))) for mark in MARKS]
    return [entry for entry in found if entry is not None]


def _weigh(mark: Mark, names: list[str], files: list[str], generator: str) -> Fields | None:
    evidence = [f"global {name}" for name in mark.globals if name in names]
    confidence = 0.8 if evidence else 0.0
    version = None
    for address in files if mark.file else ():
        match = re.search(mark.file, address, re.I)
        if match is not None:
            evidence.append("address of a file")
            confidence = max(confidence, 0.7) + 0.15
            version = match[1] if match.groups() else None
            break
    if mark.generator and re.search(mark.generator, generator, re.I):
        evidence.append("generator tag")
        confidence = 0.99
    if not evidence:
        return None
    entry: Fields = {
        "name": mark.name,
        "category": mark.category,
        "confidence": min(0.99, round(confidence, 2)),
    }
    return entry | ({"version": version} if version else {}) | {"evidence": evidence}


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
    "styled_components": r"^sc-[A-Za-z0-9]{5,}(?:-\d+)?$",
}
_TOKEN_RULES = {name: re.compile(pattern) for name, pattern in _TOKENS.items()}
#: The share of all class tokens from which a framework's form is more than chance.
_SHARE = {"styled_components": 0.05, "css_modules": 0.2, "uikit": 0.15}
_FILES = {
    "bootstrap": r"bootstrap(?:\.bundle)?(?:\.min)?\.(?:css|js)",
    "bulma": r"bulma(?:\.min)?\.css",
    "foundation": r"foundation(?:\.min)?\.(?:css|js)",
    "tailwind": r"tailwind",
    "uikit": r"uikit(?:\.min)?\.(?:css|js)",
    "materialize": r"materialize(?:\.min)?\.(?:css|js)",
}
_GLOBALS = {"bootstrap": "bootstrap", "tailwind": "tailwind", "uikit": "UIkit", "foundation": "Foundation"}


def find_css_framework(tree: Tree, bundle: Bundle) -> Fields:
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
    name: str, rule: re.Pattern[str], tokens: Counter[str], files: list[str], bundle: Bundle
) -> tuple[float, list[str]]:
    total = sum(tokens.values())
    kinds = sum(1 for token in tokens if rule.match(token))
    share = sum(count for token, count in tokens.items() if rule.match(token)) / total if total else 0.0
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
