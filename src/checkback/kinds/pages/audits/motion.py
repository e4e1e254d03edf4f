"""What moves on a page: animations, keyframes and transitions that apply, and whether a visitor can
switch them off.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from checkback.kinds.browser.capture import PageCapture
from checkback.kinds.pages.dom.css_parser import NUMBER, Declaration, StyleFacts

Fields = dict[str, Any]
Mode = Literal["css", "video", "runtime", "hybrid"]

#: Properties that a compositor can animate without layout and paint.
CHEAP = frozenset({"transform", "opacity", "translate", "rotate", "scale", "offset-distance"})
MODERATE = frozenset(
    {"filter", "backdrop-filter", "background-color", "color", "clip-path", "box-shadow"}
)
_TIME = re.compile(rf"(?<![\w.])(-?{NUMBER})(m?s)\b")
_EASING = re.compile(
    r"\b(ease-in-out|ease-in|ease-out|ease|linear|step-start|step-end)\b|(cubic-bezier|steps|linear)\([^)]*\)"
)
_TRIGGERS = ((":hover", "hover"), (":focus", "focus"), (":active", "click"), (":checked", "click"))
MAX_ANIMATIONS = 50
_ANIMATION_FIELDS = (
    "name", "target", "state", "durationMs", "delayMs", "infinite", "easing", "properties",
    "timeline",
)  # fmt: skip
_MAX_LISTED = 50
_REDUCED_MOTION = "prefers-reduced-motion"
_TRANSFORMS = frozenset({"transform", "translate", "rotate", "scale"})
_SEEN_CATEGORIES = {"css_transition": "transition", "script": "script_animation"}
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

    @property
    def is_cheap(self) -> bool:
        """Whether its properties need neither layout nor paint."""
        return CHEAP.issuperset(self.properties)

    @property
    def is_moderate(self) -> bool:
        """Whether its properties need no layout."""
        return (CHEAP | MODERATE).issuperset(self.properties)


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
    patterns = [
        pattern
        for pattern in find_patterns(bundle, styles, mode)
        if pattern.duration_ms >= min_duration_ms
    ]
    categories = Counter(pattern.category for pattern in patterns)
    part: Fields = {
        "mode": mode,
        "patternCount": len(patterns),
        "categoryBreakdown": dict(sorted(categories.items())),
        "patterns": [_entry(number, pattern) for number, pattern in enumerate(patterns[:most], 1)],
        "running": (bundle.animations or {}).get("running", 0),
        "keyframes": _keyframes(styles),
        "transitions": {
            "rules": sum(1 for _ in styles.named("transition", "transition-property")),
            "properties": dict(_transition_properties(patterns)),
        },
        "reducedMotion": _reduced_motion(bundle, styles),
        "libraries": [entry["name"] for entry in technologies if entry["category"] == "motion"],
        "jsAnimations": _script_animations(bundle),
        **_css_animations(bundle),
        **_watched(bundle),
    }
    if with_warnings:
        part["warnings"] = find_warnings(patterns, bundle, styles)
    return part


def _keyframes(styles: StyleFacts) -> list[Fields]:
    rules = sorted(styles.keyframes.items())[:100]
    return [{"name": name[:80], "properties": properties[:12]} for name, properties in rules]


def _watched(bundle: PageCapture) -> Fields:
    """What was seen while the page was scrolled and watched."""
    part = _scrolled(bundle.scroll) if bundle.scroll else {}
    watched = bundle.watched
    if watched is not None:
        part["watchedMs"] = watched["milliseconds"]
        part["canvas"] = {"total": watched["total"], "list": watched["canvases"]}
    if bundle.frames is not None:
        part["frames"] = bundle.frames
    return part


def _scrolled(scroll: Fields) -> Fields:
    return {
        "scrollLinked": {"count": scroll["linked"], "properties": scroll["linkedProperties"]},
        "scrollReveal": scroll["revealed"],
    }


# --- patterns ---


def find_patterns(bundle: PageCapture, styles: StyleFacts, mode: Mode = "css") -> list[Pattern]:
    """The patterns that this mode lists: declared ones, ones that were seen to run, or both."""
    if mode in ("runtime", "video"):
        return _seen(bundle)
    declared = _declared(bundle, styles)
    if mode == "css":
        return declared
    return declared + _seen_undeclared(bundle, declared)


def _seen_undeclared(bundle: PageCapture, declared: list[Pattern]) -> list[Pattern]:
    """What was seen and is not declared; a declared animation that was seen is marked as running
    already.
    """
    known = {(pattern.type, pattern.name) for pattern in declared}
    seen = [pattern for pattern in _seen(bundle) if pattern.type != "css_transition"]
    return [pattern for pattern in seen if (pattern.type, pattern.name) not in known]


def _entries(bundle: PageCapture) -> list[Fields]:
    """The animations that the browser listed."""
    entries: list[Fields] = (bundle.animations or {}).get("list", [])
    return entries


def _respects_reduced_motion(bundle: PageCapture, name: str, *, endless: bool) -> bool | None:
    """Whether an endless animation stops under reduced motion; None if that was not measured."""
    if not endless or not bundle.reduced_motion:
        return None
    return name not in bundle.reduced_motion.get("still", ())


def _seen(bundle: PageCapture) -> list[Pattern]:
    """Every animation and transition that ran while the page was watched."""
    patterns: dict[tuple[object, ...], Pattern] = {}
    for entry in _entries(bundle):
        pattern = _seen_pattern(bundle, entry)
        key = (pattern.type, pattern.name, pattern.duration_ms, pattern.easing)
        patterns.setdefault(key, pattern)
    return list(patterns.values())


def _seen_pattern(bundle: PageCapture, entry: Fields) -> Pattern:
    infinite = bool(entry["infinite"])
    category = _SEEN_CATEGORIES.get(entry["type"])
    return Pattern(
        entry["type"],
        _entry_name(entry),
        category or _animation_category(entry["properties"], infinite=infinite),
        _entry_trigger(entry),
        entry["durationMs"],
        entry["easing"],
        tuple(entry["properties"]),
        infinite,
        _respects_reduced_motion(bundle, entry["name"], endless=infinite),
        entry["state"] == "running",
    )


def _entry_name(entry: Fields) -> str:
    return entry["name"] or ", ".join(entry["properties"][:3])


def _entry_trigger(entry: Fields) -> str:
    return "load" if entry["timeline"] in ("", "DocumentTimeline") else "scroll"


def _declared(bundle: PageCapture, styles: StyleFacts) -> list[Pattern]:
    """Every animation and transition of the style sheets, and every script animation that was
    seen.
    """
    patterns: dict[tuple[object, ...], Pattern] = {}
    for pattern in _all_declared(bundle, styles):
        key = (pattern.type, pattern.name, pattern.trigger, pattern.duration_ms, pattern.easing)
        patterns.setdefault(key, pattern)
    return list(patterns.values())


def _all_declared(bundle: PageCapture, styles: StyleFacts) -> Iterator[Pattern]:
    seen = {entry["name"] for entry in _seen_css_animations(bundle)}
    animations = list(_animations(bundle, styles, seen))
    yield from animations
    used = seen | {pattern.name for pattern in animations}
    yield from _unused_keyframes(styles, used)
    yield from _transitions(styles)
    yield from _scripted(bundle)


def _animations(bundle: PageCapture, styles: StyleFacts, seen: set[str]) -> Iterator[Pattern]:
    for item, value in _animation_values(styles):
        name = _keyframes_name(value, styles)
        if name is not None:
            yield _animation(bundle, styles, item, value, name, running=name in seen)


def _animation_values(styles: StyleFacts) -> Iterator[tuple[Declaration, str]]:
    """Each declaration of animations with each of its values."""
    for item in _usual(styles.named("animation", "animation-name")):
        for value in _split(item.value):
            yield item, value


def _usual(items: list[Declaration]) -> list[Declaration]:
    """The declarations that are not for visitors who prefer less motion."""
    return [item for item in items if _REDUCED_MOTION not in item.media]


def _keyframes_name(value: str, styles: StyleFacts) -> str | None:
    """The name in an animation's value for which there are keyframes."""
    words = re.split(r"[\s()]+", value)
    return next((word for word in words if word in styles.keyframes), None)


def _animation(
    bundle: PageCapture,
    styles: StyleFacts,
    item: Declaration,
    value: str,
    name: str,
    *,
    running: bool,
) -> Pattern:
    infinite = "infinite" in value
    properties = styles.keyframes[name]
    return Pattern(
        "css_animation",
        name,
        _animation_category(properties, infinite=infinite),
        _trigger(item, running=running),
        _duration(value),
        _easing(value),
        tuple(properties[:12]),
        infinite,
        _respects_reduced_motion(bundle, name, endless=running and infinite),
        running,
    )


def _unused_keyframes(styles: StyleFacts, used: set[str]) -> Iterator[Pattern]:
    for name, properties in styles.keyframes.items():
        if name not in used:
            listed = tuple(properties[:12])
            yield Pattern("keyframes", name, "unused", "none", 0, "", listed, False, None)


def _transitions(styles: StyleFacts) -> Iterator[Pattern]:
    items = styles.named("transition")
    reduced = {item.selector for item in items if _REDUCED_MOTION in item.media}
    for item in _usual(items):
        parts = [part for part in _split(item.value) if _duration(part) > 0]
        if parts:
            yield _transition(item, parts, respects=True if item.selector in reduced else None)


def _transition(item: Declaration, parts: list[str], *, respects: bool | None) -> Pattern:
    properties = tuple(dict.fromkeys(_first_property(part) for part in parts))
    trigger = _trigger(item, running=False)
    return Pattern(
        "css_transition",
        f"{item.selector[:60]} {', '.join(properties[:4])}",
        "hover_effect" if trigger in ("hover", "focus") else "transition",
        trigger,
        max(_duration(part) for part in parts),
        _easing(parts[0]),
        properties[:12],
        False,
        respects,
    )


def _scripted(bundle: PageCapture) -> Iterator[Pattern]:
    for entry in _script_entries(bundle):
        yield Pattern(
            "script",
            _entry_name(entry),
            "script_animation",
            _entry_trigger(entry),
            entry["durationMs"],
            entry["easing"],
            tuple(entry["properties"]),
            entry["infinite"],
            None,
            entry["state"] == "running",
        )


# --- values ---


def _split(value: str) -> list[str]:
    """A comma-separated list, without the commas inside functions."""
    return [part.strip() for part in re.split(r",(?![^(]*\))", value)]


def _duration(value: str) -> float:
    """The first time in a value, in milliseconds."""
    match = _TIME.search(value)
    if match is None:
        return 0.0
    return float(match[1]) * (1 if match[2] == "ms" else 1000)


def _easing(value: str) -> str:
    match = _EASING.search(value)
    if match is not None:
        return match[0]
    return "var()" if "var(" in value else "ease"


def _first_property(part: str) -> str:
    word = part.split()[0] if part.split() else "all"
    return "all" if _TIME.match(word) else word


def _trigger(item: Declaration, *, running: bool) -> str:
    for mark, trigger in _TRIGGERS:
        if mark in item.selector:
            return trigger
    return "load" if running else "state_change"


def _animation_category(properties: list[str], *, infinite: bool) -> str:
    if infinite:
        return "ambient_loop"
    if "opacity" in properties or "transform" in properties:
        return "entrance"
    return "attention"


# --- entries of the report ---


def _entry(number: int, pattern: Pattern) -> Fields:
    used = set(pattern.properties)
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
            "level": _performance_level(pattern),
            "usesTransform": bool(used & _TRANSFORMS),
            "usesOpacity": "opacity" in used,
        },
        "accessibility": accessibility,
    }


def _performance_level(pattern: Pattern) -> str:
    if not pattern.properties or not pattern.is_moderate:
        return "poor"
    return "good" if pattern.is_cheap else "acceptable"


def _transition_properties(patterns: list[Pattern]) -> list[tuple[str, int]]:
    """How often each property is in a transition."""
    counts: Counter[str] = Counter()
    for pattern in patterns:
        if pattern.type == "css_transition":
            counts.update(pattern.properties)
    return counts.most_common(20)


def _reduced_motion(bundle: PageCapture, styles: StyleFacts) -> Fields:
    queries = [count for query, count in styles.media.items() if _REDUCED_MOTION in query]
    part: Fields = {"mediaQueries": sum(queries)}
    if bundle.reduced_motion is not None:
        part |= _measured_reduction(bundle.reduced_motion)
    return part


def _measured_reduction(measured: Fields) -> Fields:
    """How many endless animations run without and with the preference for less motion."""
    before, after = measured["before"], measured["after"]
    # Without endless motion there is nothing to respect, and nothing is claimed.
    respected = after == 0 if before else None
    return {"infiniteBefore": before, "infiniteAfter": after, "respected": respected}


def _libraries(bundle: PageCapture) -> dict[str, bool]:
    return {
        name: any(item in bundle.globals for item in names) for name, names in _LIBRARIES.items()
    }


def _seen_css_animations(bundle: PageCapture) -> list[Fields]:
    return [entry for entry in _entries(bundle) if entry["type"] == "css_animation"]


def _css_animations(bundle: PageCapture) -> Fields:
    """The animations by style sheets that were seen, each with the element that it moves."""
    seen = _seen_css_animations(bundle)
    listed = [{name: entry[name] for name in _ANIMATION_FIELDS} for entry in seen[:MAX_ANIMATIONS]]
    return {"cssAnimations": listed, "cssAnimationsTotal": len(seen)}


def _script_entries(bundle: PageCapture) -> list[Fields]:
    return [entry for entry in _entries(bundle) if entry["scripted"]]


def _script_animations(bundle: PageCapture) -> Fields:
    scripted = _script_entries(bundle)
    return {
        "totalDetected": len(scripted),
        "webAnimations": scripted[:_MAX_LISTED],
        "libraries": _libraries(bundle),
    }


# --- warnings ---


def find_warnings(patterns: list[Pattern], bundle: PageCapture, styles: StyleFacts) -> list[Fields]:
    """What is wrong with the motion, for people who are disturbed by it and for slow machines."""
    moving = [pattern for pattern in patterns if pattern.type != "keyframes"]
    return [
        *_preference_warnings(moving, styles),
        *_endless_warnings(bundle),
        *_performance_warnings(moving),
        *_style_warnings(patterns, moving),
    ]


def _counted(code: str, severity: str, count: int, message: str) -> Iterator[Fields]:
    """A warning about so many things, if there are any."""
    if count:
        yield _warning(code, severity, f"{count} {message}")


def _warning(code: str, severity: str, message: str) -> Fields:
    return {"code": code, "severity": severity, "message": message}


def _preference_warnings(moving: list[Pattern], styles: StyleFacts) -> Iterator[Fields]:
    if moving and not _asks_for_preference(styles):
        message = "No style sheet asks for prefers-reduced-motion."
        yield _warning("A11Y_NO_REDUCED_MOTION", "warning", message)


def _endless_warnings(bundle: PageCapture) -> Iterator[Fields]:
    endless = (bundle.reduced_motion or {}).get("after", 0)
    message = "endless animations still run under reduced motion."
    return _counted("A11Y_MOTION_NOT_REDUCED", "warning", endless, message)


def _asks_for_preference(styles: StyleFacts) -> bool:
    return any(_REDUCED_MOTION in query for query in styles.media)


def _performance_warnings(moving: list[Pattern]) -> Iterator[Fields]:
    allowed = CHEAP | MODERATE | {"all"}
    slow = [pattern for pattern in moving if not allowed.issuperset(pattern.properties)]
    message = "patterns animate properties that change the layout."
    yield from _counted("PERF_LAYOUT_PROPERTIES", "info", len(slow), message)
    everything = [pattern for pattern in moving if "all" in pattern.properties]
    message = "transitions apply to all properties."
    yield from _counted("PERF_TRANSITION_ALL", "info", len(everything), message)


def _style_warnings(patterns: list[Pattern], moving: list[Pattern]) -> Iterator[Fields]:
    finite = [pattern for pattern in moving if not pattern.infinite]
    long = [pattern for pattern in finite if pattern.duration_ms > 2000]
    message = "patterns take longer than two seconds."
    yield from _counted("LONG_DURATION", "info", len(long), message)
    unused = len(patterns) - len(moving)
    yield from _counted("UNUSED_KEYFRAMES", "info", unused, "keyframes rules are not used.")
