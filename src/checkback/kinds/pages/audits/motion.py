"""What moves on a page: animations, keyframes and transitions that apply, and who can switch them
off.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

from checkback.kinds.browser.capture import PageCapture
from checkback.kinds.pages.dom.css_parser import Declaration, StyleFacts

Fields = dict[str, Any]
Mode = Literal["css", "video", "runtime", "hybrid"]

#: Properties that a compositor can animate without laying out or painting the page again.
CHEAP = frozenset({"transform", "opacity", "translate", "rotate", "scale", "offset-distance"})
MIDDLING = frozenset(
    {"filter", "backdrop-filter", "background-color", "color", "clip-path", "box-shadow"}
)
_TIME = re.compile(r"(?<![\w.])(-?[\d.]+)(m?s)\b")
_EASING = re.compile(
    r"\b(ease-in-out|ease-in|ease-out|ease|linear|step-start|step-end)\b|(cubic-bezier|steps|linear)\([^)]*\)"
)
_TRIGGERS = ((":hover", "hover"), (":focus", "focus"), (":active", "click"), (":checked", "click"))
MAX_ANIMATIONS = 50
_TOLD_OF_ANIMATIONS = (
    "name", "target", "state", "durationMs", "delayMs", "infinite", "easing", "properties", "timeline",
)  # fmt: skip
_LIBRARIES = {
    "gsap": ("gsap", "TweenMax", "TweenLite"),
    "framerMotion": ("Motion",),
    "anime": ("anime",),
    "three": ("THREE",),
    "lottie": ("lottie", "bodymovin"),
}


@dataclass(frozen=True, slots=True)
class Pattern:
    """One kind of motion, wherever on the page it is used."""

    type: str
    name: str
    category: str
    trigger: str
    duration_ms: float
    easing: str
    properties: tuple[str, ...]
    infinite: bool
    #: Whether the page stops it for someone who asked for less motion; None when that was not
    #: measured.
    respects_reduced_motion: bool | None
    running: bool = False


def describe_motion(
    bundle: PageCapture,
    styles: StyleFacts,
    technologies: list[Fields],
    *,
    min_duration_ms: float,
    most: int,
    with_warnings: bool,
    mode: Mode = "css",
) -> Fields:
    """The ``motion`` part of the report; ``mode`` says which patterns are listed."""
    patterns = [p for p in find_patterns(bundle, styles, mode) if p.duration_ms >= min_duration_ms]
    scroll, running = bundle.scroll or {}, bundle.animations or {}
    part: Fields = {
        "mode": mode,
        "patternCount": len(patterns),
        "categoryBreakdown": dict(
            sorted(Counter(pattern.category for pattern in patterns).items())
        ),
        "patterns": [_told(number, pattern) for number, pattern in enumerate(patterns[:most], 1)],
        "running": running.get("running", 0),
        "keyframes": [
            {"name": name[:80], "properties": properties[:12]}
            for name, properties in sorted(styles.keyframes.items())[:100]
        ],
        "transitions": {
            "rules": sum(1 for _ in styles.named("transition", "transition-property")),
            "properties": dict(_transition_properties(patterns)),
        },
        "reducedMotion": _reduced_motion(bundle, styles),
        "libraries": [entry["name"] for entry in technologies if entry["category"] == "motion"],
        "jsAnimations": _script_animations(bundle),
    }
    part |= _css_animations(bundle)
    if scroll:
        part["scrollLinked"] = {"count": scroll["linked"], "properties": scroll["linkedProperties"]}
        part["scrollReveal"] = scroll["revealed"]
    if bundle.watched is not None:
        part["watchedMs"] = bundle.watched["milliseconds"]
        part["canvas"] = {"total": bundle.watched["total"], "list": bundle.watched["canvases"]}
    if bundle.frames is not None:
        part["frames"] = bundle.frames
    if with_warnings:
        part["warnings"] = find_warnings(patterns, bundle, styles)
    return part


def find_patterns(bundle: PageCapture, styles: StyleFacts, mode: Mode = "css") -> list[Pattern]:
    """The patterns that this mode lists: declared ones, ones that were seen to run, or both."""
    if mode in ("runtime", "video"):
        return _seen(bundle)
    declared = _declared(bundle, styles)
    if mode == "css":
        return declared
    # A declared animation that was seen is one pattern, and marked as running.
    known = {(pattern.type, pattern.name) for pattern in declared}
    return declared + [
        pattern
        for pattern in _seen(bundle)
        if (pattern.type, pattern.name) not in known and pattern.type != "css_transition"
    ]


def _seen(bundle: PageCapture) -> list[Pattern]:
    """Every animation and transition that ran while the page was looked at."""
    still = set((bundle.reduced_motion or {}).get("still", ())) if bundle.reduced_motion else None
    found: dict[tuple[object, ...], Pattern] = {}
    for entry in (bundle.animations or {}).get("list", ()):
        infinite = bool(entry["infinite"])
        category = {"css_transition": "transition", "script": "script_animation"}.get(
            entry["type"], _animation_category(entry["properties"], infinite)
        )
        pattern = Pattern(
            entry["type"],
            entry["name"] or ", ".join(entry["properties"][:3]),
            category,
            "scroll" if entry["timeline"] not in ("", "DocumentTimeline") else "load",
            entry["durationMs"],
            entry["easing"],
            tuple(entry["properties"]),
            infinite,
            (entry["name"] not in still) if still is not None and infinite else None,
            entry["state"] == "running",
        )
        found.setdefault((pattern.type, pattern.name, pattern.duration_ms, pattern.easing), pattern)
    return list(found.values())


def _declared(bundle: PageCapture, styles: StyleFacts) -> list[Pattern]:
    """Every animation and transition of the style sheets, and every script
    animation that was seen.
    """
    seen = {
        entry["name"]
        for entry in (bundle.animations or {}).get("list", ())
        if entry["type"] == "css_animation"
    }
    found: dict[tuple[object, ...], Pattern] = {}
    for pattern in (*_animations(bundle, styles, seen), *_transitions(styles), *_scripted(bundle)):
        found.setdefault(
            (pattern.type, pattern.name, pattern.trigger, pattern.duration_ms, pattern.easing),
            pattern,
        )
    return list(found.values())


def _animations(bundle: PageCapture, styles: StyleFacts, seen: set[str]) -> list[Pattern]:
    still = set((bundle.reduced_motion or {}).get("still", ())) if bundle.reduced_motion else None
    found: list[Pattern] = []
    used: set[str] = set()
    for item in styles.named("animation", "animation-name"):
        for value in _split(item.value):
            name = next(
                (word for word in re.split(r"[\s()]+", value) if word in styles.keyframes), None
            )
            if name is None or "prefers-reduced-motion" in item.media:
                continue
            used.add(name)
            infinite = "infinite" in value
            running = name in seen
            respects = (name not in still) if still is not None and running and infinite else None
            found.append(
                Pattern(
                    "css_animation",
                    name,
                    _animation_category(styles.keyframes[name], infinite),
                    _trigger(item, running),
                    _duration(value),
                    _easing(value),
                    tuple(styles.keyframes[name][:12]),
                    infinite,
                    respects,
                    running,
                )
            )
    found += [
        Pattern("keyframes", name, "unused", "none", 0, "", tuple(properties[:12]), False, None)
        for name, properties in styles.keyframes.items()
        if name not in used and name not in seen
    ]
    return found


def _transitions(styles: StyleFacts) -> list[Pattern]:
    found: list[Pattern] = []
    quiet = {
        item.selector
        for item in styles.named("transition")
        if "prefers-reduced-motion" in item.media
    }
    for item in styles.named("transition"):
        parts = [part for part in _split(item.value) if _duration(part) > 0]
        if not parts or "prefers-reduced-motion" in item.media:
            continue
        properties = tuple(dict.fromkeys(_first_property(part) for part in parts))
        trigger = _trigger(item, running=False)
        found.append(
            Pattern(
                "css_transition",
                f"{item.selector[:60]} {', '.join(properties[:4])}",
                "hover_effect" if trigger in ("hover", "focus") else "transition",
                trigger,
                max(_duration(part) for part in parts),
                _easing(parts[0]),
                properties[:12],
                False,
                True if item.selector in quiet else None,
            )
        )
    return found


def _scripted(bundle: PageCapture) -> list[Pattern]:
    entries = [entry for entry in (bundle.animations or {}).get("list", ()) if entry["scripted"]]
    return [
        Pattern(
            "script",
            entry["name"] or ", ".join(entry["properties"][:3]),
            "script_animation",
            "scroll" if entry["timeline"] not in ("", "DocumentTimeline") else "load",
            entry["durationMs"],
            entry["easing"],
            tuple(entry["properties"]),
            entry["infinite"],
            None,
            entry["state"] == "running",
        )
        for entry in entries
    ]


def _split(value: str) -> list[str]:
    """A comma-separated list, without the commas inside functions."""
    return [part.strip() for part in re.split(r",(?![^(]*\))", value)]


def _duration(value: str) -> float:
    found = _TIME.search(value)
    return float(found[1]) * (1 if found[2] == "ms" else 1000) if found else 0.0


def _easing(value: str) -> str:
    found = _EASING.search(value)
    return found[0] if found else ("var()" if "var(" in value else "ease")


def _first_property(part: str) -> str:
    word = part.split()[0] if part.split() else "all"
    return "all" if _TIME.match(word) else word


def _trigger(item: Declaration, running: bool) -> str:
    for mark, trigger in _TRIGGERS:
        if mark in item.selector:
            return trigger
    return "load" if running else "state_change"


def _animation_category(properties: list[str], infinite: bool) -> str:
    if infinite:
        return "ambient_loop"
    if "opacity" in properties or "transform" in properties:
        return "entrance"
    return "attention"


def _told(number: int, pattern: Pattern) -> Fields:
    used = set(pattern.properties)
    level = (
        "good"
        if used and used <= CHEAP
        else "acceptable"
        if used and used <= CHEAP | MIDDLING
        else "poor"
    )
    accessibility: Fields = {}
    if pattern.respects_reduced_motion is not None:
        accessibility["respectsReducedMotion"] = pattern.respects_reduced_motion
    return {
        "id": f"m{number}",
        "name": pattern.name,
        "type": pattern.type,
        "category": pattern.category,
        "trigger": pattern.trigger,
        "duration": pattern.duration_ms,
        "easing": pattern.easing,
        "properties": list(pattern.properties),
        "infinite": pattern.infinite,
        "running": pattern.running,
        "performance": {
            "level": level,
            "usesTransform": bool(used & {"transform", "translate", "rotate", "scale"}),
            "usesOpacity": "opacity" in used,
        },
        "accessibility": accessibility,
    }


def _transition_properties(patterns: list[Pattern]) -> list[tuple[str, int]]:
    counted = Counter(name for p in patterns if p.type == "css_transition" for name in p.properties)
    return counted.most_common(20)


def _reduced_motion(bundle: PageCapture, styles: StyleFacts) -> Fields:
    queries = sum(
        count for query, count in styles.media.items() if "prefers-reduced-motion" in query
    )
    part: Fields = {"mediaQueries": queries}
    measured = bundle.reduced_motion
    if measured is not None:
        part |= {"infiniteBefore": measured["before"], "infiniteAfter": measured["after"]}
        # Without endless motion there is nothing to respect, and nothing is claimed.
        part["respected"] = None if not measured["before"] else measured["after"] == 0
    return part


def _libraries(bundle: PageCapture) -> dict[str, bool]:
    return {
        name: any(item in bundle.globals for item in names) for name, names in _LIBRARIES.items()
    }


def _css_animations(bundle: PageCapture) -> Fields:
    """The animations by style sheets that were seen, each with the element that it moves."""
    entries: list[Fields] = (bundle.animations or {}).get("list", [])
    found = [entry for entry in entries if entry["type"] == "css_animation"]
    told = [{name: entry[name] for name in _TOLD_OF_ANIMATIONS} for entry in found[:MAX_ANIMATIONS]]
    return {"cssAnimations": told, "cssAnimationsTotal": len(found)}


def _script_animations(bundle: PageCapture) -> Fields:
    entries: list[Fields] = (bundle.animations or {}).get("list", [])
    return {
        "totalDetected": sum(1 for entry in entries if entry["scripted"]),
        "webAnimations": [entry for entry in entries if entry["scripted"]][:50],
        "libraries": _libraries(bundle),
    }


def find_warnings(patterns: list[Pattern], bundle: PageCapture, styles: StyleFacts) -> list[Fields]:
    """What is wrong with the motion, for people who are disturbed by it and for slow machines."""
    found: list[Fields] = []

    def warn(code: str, severity: str, message: str) -> None:
        found.append({"code": code, "severity": severity, "message": message})

    queries = any("prefers-reduced-motion" in query for query in styles.media)
    moving = [pattern for pattern in patterns if pattern.type != "keyframes"]
    if moving and not queries:
        warn("A11Y_NO_REDUCED_MOTION", "warning", "No style sheet asks for prefers-reduced-motion.")
    after = (bundle.reduced_motion or {}).get("after", 0)
    if after:
        warn(
            "A11Y_MOTION_NOT_REDUCED",
            "warning",
            f"{after} endless animations go on under reduced motion.",
        )
    slow = sum(1 for p in moving if set(p.properties) - CHEAP - MIDDLING - {"all"})
    if slow:
        warn(
            "PERF_LAYOUT_PROPERTIES",
            "info",
            f"{slow} patterns animate properties that need a new layout.",
        )
    everything = sum(1 for p in moving if "all" in p.properties)
    if everything:
        warn("PERF_TRANSITION_ALL", "info", f"{everything} transitions apply to all properties.")
    long = sum(1 for p in moving if not p.infinite and p.duration_ms > 2000)
    if long:
        warn("LONG_DURATION", "info", f"{long} patterns take longer than two seconds.")
    unused = sum(1 for p in patterns if p.type == "keyframes")
    if unused:
        warn("UNUSED_KEYFRAMES", "info", f"{unused} keyframes rules are used by no rule.")
    return found
