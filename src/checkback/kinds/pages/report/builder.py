"""The report's parts, each a pure function of the capture; what several of them need is computed
once.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from functools import cached_property
from typing import Any
from urllib.parse import urljoin, urlsplit

from checkback.kinds.browser.capture import PageCapture
from checkback.kinds.pages.audits.accessibility import (
    describe_accessibility,
    heading_outline,
    landmarks,
)
from checkback.kinds.pages.audits.design import describe_density, describe_design, describe_grid
from checkback.kinds.pages.audits.motion import describe_motion
from checkback.kinds.pages.audits.page_blockers import find_obstacles
from checkback.kinds.pages.audits.responsive import describe_responsive, describe_size
from checkback.kinds.pages.audits.seo import describe_seo
from checkback.kinds.pages.audits.technologies import find_css_framework, find_technologies
from checkback.kinds.pages.dom import css_facts
from checkback.kinds.pages.dom.content import count_words
from checkback.kinds.pages.dom.css_facts import read_styles
from checkback.kinds.pages.dom.css_parser import StyleFacts
from checkback.kinds.pages.dom.selectors import css_path
from checkback.kinds.pages.dom.snapshot import Tree, parse
from checkback.kinds.pages.jobs.args import PageAnalyzeArgs
from checkback.kinds.pages.layout.section import Section
from checkback.kinds.pages.layout.section_parts import MAX_CHILDREN, LayoutChild
from checkback.kinds.pages.layout.section_types import find_sections

Fields = dict[str, Any]

SECTION_TEXT = 300
CHILD_TEXT = 120
MAX_HEADINGS = 200
MAX_LANDMARKS = 60
MAX_REQUESTS = 20


class ReportBuilder:
    """Reads one capture; its tree, style sheets and sections are computed when first needed."""

    def __init__(self, bundle: PageCapture) -> None:
        self.bundle = bundle
        self._styles = StyleFacts()
        self._sheets_read = 0
        self._sizes: list[Fields] = []

    @cached_property
    def tree(self) -> Tree | None:
        if self.bundle.snapshot is None:
            return None
        return parse(self.bundle.snapshot, self.bundle.snapshot_styles)

    @property
    def styles(self) -> StyleFacts:
        self.read_sheets()
        return self._styles

    @property
    def has_unread_sheets(self) -> bool:
        return len(self.bundle.sheets) > self._sheets_read

    def read_sheets(self) -> None:
        """Read the style sheets that were added since the last call. Takes long: call it in a
        thread.
        """
        added = self.bundle.sheets[self._sheets_read :]
        if added:
            self._styles.add(read_styles(replace(self.bundle, sheets=added)))
            self._sheets_read += len(added)

    @cached_property
    def sections(self) -> list[Section]:
        if self.tree is None:
            return []
        width, height = self.bundle.viewport
        return find_sections(self.tree, width, height)

    @cached_property
    def headings(self) -> list[list[Any]]:
        return heading_outline(self.tree) if self.tree is not None else []

    @cached_property
    def technologies(self) -> list[Fields]:
        return find_technologies(self.bundle, self.tree)

    def prepare(self) -> None:
        """Work out what every later part needs of the snapshot, as soon as that is there."""
        if self.tree is not None and self.sections:
            self.headings  # noqa: B018 - kept by the property

    def read_sizes(self) -> None:
        """Look at the window sizes that were added since the last call."""
        for entry in self.bundle.resized[len(self._sizes) :]:
            self._sizes.append(describe_size(entry, self.sections))

    def obstacles(self) -> list[tuple[str, str]]:
        """What kept the analysis from seeing the page as a visitor does: code and sentence."""
        return find_obstacles(self.bundle, self.tree)

    # --- parts, by phase ---

    def ingest(self) -> Fields:
        """The report's top level, content, network and console."""
        bundle, facts = self.bundle, self.bundle.facts or {}
        network = bundle.network or {}
        part = self._head(facts)
        part["content"] = self._content(facts)
        if bundle.robots is not None:
            part["robots"] = bundle.robots
        part["network"] = {
            "requests": network.get("requests", 0),
            "countByType": network.get("countByType", {}),
            "thirdParty": network.get("thirdParty", []),
            "failed": network.get("failed", []),
            "blocked": _blocked(bundle),
        }
        if bundle.console is not None:
            part["console"] = bundle.console
        return part

    def _head(self, facts: Fields) -> Fields:
        """What the document's head says; what is empty is left out, except title and
        description.
        """
        part: Fields = {
            "title": facts.get("title", ""),
            "description": facts.get("description", ""),
        }
        optional = ("lang", "dir", "charset", "favicon")
        part |= {name: facts[name] for name in optional if facts.get(name)}
        image = facts.get("social", {}).get("og:image")
        if image:
            part["ogImage"] = urljoin(self.bundle.final_url, image)[:1000]
        return part

    def _content(self, facts: Fields) -> Fields:
        part: Fields = {
            "elements": facts.get("elements", 0),
            "textLength": facts.get("textLength", 0),
            "images": facts.get("images", {}).get("total", 0),
            "frames": facts.get("frames", 0),
        }
        if self.tree is not None:
            tags = Counter(node.tag for node in self.tree.elements())
            part |= {
                "words": sum(count_words(node.text) for node in self.tree.texts()),
                "paragraphs": tags["p"],
                "lists": tags["ul"] + tags["ol"] + tags["dl"],
                "tables": tags["table"],
                "videos": tags["video"],
                "canvases": tags["canvas"],
                "shadowRoots": self.tree.shadow_roots,
            }
        return part

    def layout(self) -> Fields:
        """Sections, outline, grid, look, style sheets, technologies."""
        tree = self.tree
        if tree is None:
            raise ValueError("the capture has no snapshot")
        sections = self.sections
        listed, total = landmarks(tree, MAX_LANDMARKS)
        part: Fields = {
            "pageSize": [round(tree.width), round(tree.height)],
            "sectionCount": len(sections),
            "sectionTypes": dict(Counter(section.type for section in sections)),
            "sections": [
                _section_entry(number, section) for number, section in enumerate(sections, 1)
            ],
            "landmarks": listed,
            "landmarksTotal": total,
            "headings": self.headings[:MAX_HEADINGS],
            "headingsTotal": len(self.headings),
            "grid": describe_grid(tree),
            "density": describe_density(tree),
            "cssFramework": find_css_framework(tree, self.bundle),
        }
        return {
            "layout": part,
            "design": self._design(tree),
            "css": css_facts.summary(self.bundle, self.styles),
            "technologies": self.technologies,
        }

    def _design(self, tree: Tree) -> Fields:
        variables = css_facts.variables(self.styles)
        clamps = css_facts.fluid_values(self.styles, "clamp")
        calcs = css_facts.fluid_values(self.styles, "calc")
        part: Fields = {
            "cssVariables": variables[: css_facts.MAX_LISTED],
            "cssVariablesTotal": len(variables),
            "clampValues": clamps[: css_facts.MAX_LISTED],
            "clampValuesTotal": len(clamps),
            "calcExpressions": calcs[: css_facts.MAX_LISTED],
            "calcExpressionsTotal": len(calcs),
            "designTokens": _tokens(variables),
            "breakpoints": [entry["width"] for entry in css_facts.breakpoints(self.styles)],
        }
        if "color" in self.bundle.snapshot_styles:
            part = describe_design(tree, self.bundle.fonts, css_facts.web_fonts(self.bundle)) | part
        return part

    def motion(self, args: PageAnalyzeArgs) -> Fields:
        """Animations and transitions."""
        options = args.motionOptions
        part = describe_motion(
            self.bundle,
            self.styles,
            self.technologies,
            min_duration_ms=options.minDuration,
            most=options.maxPatterns,
            with_warnings=options.includeWarnings,
            mode=options.detection_mode,
        )
        if not options.detect_js_animations:
            del part["jsAnimations"]
        return {"motion": part}

    def quality(self) -> Fields:
        """Accessibility, performance and what search engines see: what the score is made from."""
        return {
            "accessibility": describe_accessibility(self.bundle, self.tree),
            "performance": self.performance(),
            "seo": describe_seo(self.bundle, self.tree, [level for level, _, _ in self.headings]),
        }

    def performance(self) -> Fields:
        """Lab values of this load; what was blocked is known in full only when
        the page is closed.
        """
        return describe_performance(self.bundle)

    def responsive(self) -> Fields:
        """The page at its other window sizes."""
        self.read_sizes()
        points = css_facts.breakpoints(self.styles)
        return {"responsive": describe_responsive(self.bundle, self._sizes, points)}


def _section_entry(number: int, section: Section) -> Fields:
    content = section.content
    first = section.nodes[0]
    entry: Fields = {"id": f"s{number}", "type": section.type}
    if section.heading:
        entry["heading"] = section.heading
    return entry | {
        "box": section.box.rounded(),
        "confidence": section.confidence,
        "evidence": section.evidence,
        "selector": css_path(first),
        "text": content.text[:SECTION_TEXT],
        "links": content.links,
        "buttons": content.buttons,
        "images": len(content.images),
        "fields": len(content.fields) + content.textareas,
        "children": [
            _child_entry(f"s{number}.{place}", child)
            for place, child in enumerate(section.children[:MAX_CHILDREN], 1)
        ],
        "childrenTotal": len(section.children),
    }


def _child_entry(name: str, child: LayoutChild) -> Fields:
    entry: Fields = {"id": name, "role": child.role}
    if child.heading:
        entry["heading"] = child.heading
    return entry | {
        "box": child.box.rounded(),
        "selector": css_path(child.node),
        "text": child.content.text[:CHILD_TEXT],
        "links": child.content.links,
        "images": len(child.content.images),
    }


def _tokens(variables: list[Fields]) -> dict[str, list[str]]:
    """The custom properties of the root, by category: what a design system
    would call its tokens.
    """
    tokens: defaultdict[str, list[str]] = defaultdict(list)
    for variable in variables:
        if _is_global(variable["scope"]):
            tokens[variable["category"]].append(f"{variable['name']}: {variable['value']}")
    return {category: names[:60] for category, names in sorted(tokens.items())}


def _is_global(scope: str) -> bool:
    return scope in ("html", ":host", "body") or ":root" in scope


def describe_performance(bundle: PageCapture) -> Fields:
    """The ``performance`` part of the report."""
    network = bundle.network or {}
    measured: Fields = bundle.performance or {}
    return {
        "method": "lab, unthrottled, on this server",
        **{name: value for name, value in measured.items() if value is not None},
        "weight": {"total": network.get("totalBytes", 0), "byType": network.get("bytesByType", {})},
        "requests": network.get("requests", 0),
        "thirdParty": network.get("thirdParty", [])[:MAX_REQUESTS],
        "failed": network.get("failed", [])[:MAX_REQUESTS],
        "failedTotal": network.get("failedTotal", 0),
        "blocked": _blocked(bundle)[:MAX_REQUESTS],
    }


def _blocked(bundle: PageCapture) -> list[Fields]:
    """What the egress proxy refused. It also knows of tunnels, which the page only sees fail."""
    reported: list[Fields] = (bundle.egress or {}).get("blocked", [])
    seen: list[Fields] = (bundle.network or {}).get("blocked", [])
    return reported[:50] or [_blocked_request(request) for request in seen]


def _blocked_request(request: Fields) -> Fields:
    host = urlsplit(str(request["url"])).hostname or ""
    return {"host": host, "reason": "blocked", "count": 1}
