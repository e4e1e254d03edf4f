"""What to do about each kind of finding, in words of our own."""

from __future__ import annotations

from typing import Any

from checkback.kinds.pages.deduction import Deduction

Fields = dict[str, Any]

MOST_LISTED = 20

_ADVICE = {
    "no-content": (
        "Show content without a visit's luck",
        "The page showed almost no text. If scripts draw it, check that they run for every visitor.",
    ),
    "no-own-color": (
        "Give the page a colour",
        "Everything is grey; one colour for what can be clicked helps.",
    ),
    "default-accent": ("Change the framework's colour", "The accent colour is a framework's default."),
    "default-type": ("Choose a typeface", "Only fonts are used that every page has."),
    "uniform-sections": ("Vary the sections", "Nearly all sections are built alike."),
    "low-contrast": (
        "Raise the contrast of text",
        "Text needs 4.5:1 against its background, large text 3:1.",
    ),
    "field-without-label": ("Label every field", "A placeholder disappears when someone types; use a label."),
    "slow-largest-paint": (
        "Show the main content sooner",
        "The largest element should be painted within 2.5 s.",
    ),
    "layout-shift": ("Keep the layout still", "Give pictures and late content a size before they arrive."),
    "blocked-thread": ("Shorten scripts", "Long tasks kept the page from reacting."),
    "heavy-page": ("Send less", "Compress pictures and load what is not seen at first later."),
    "failed-requests": ("Mend what fails to load", "Some of the page's own files could not be loaded."),
    "broken-images": ("Mend broken pictures", "Some pictures have no content."),
    "script-errors": ("Mend script errors", "The console shows errors."),
    "unused-css": ("Drop unused style rules", "Most style rules match nothing on this page."),
    "irregular-spacing": ("Settle on a spacing scale", "Distances follow no common step."),
    "many-font-sizes": ("Use fewer font sizes", "A scale of six to eight sizes is enough for most pages."),
    "motion-not-reduced": (
        "Stop endless motion on request",
        "Some animations go on although the visitor asked for reduced motion.",
    ),
    "quirks-mode": ("Begin with a doctype", "Without one, browsers lay the page out as in the nineties."),
    "overflow": ("Keep the page within the window", "At some sizes the page is wider than the window."),
    "small-targets": ("Enlarge what is tapped", "Controls should measure at least 24 by 24 pixels."),
    "no-viewport": ("Declare the viewport", "Without the viewport tag, phones show a shrunken desktop page."),
    "no-title": ("Give the page a title", "The title names the page in tabs, bookmarks and search results."),
    "no-description": (
        "Describe the page",
        "A description of one or two sentences is shown by search engines.",
    ),
    "no-language": ("Name the language", "Screen readers need the lang attribute to choose a voice."),
    "no-icon": ("Add an icon", "Without one the page is hard to find among tabs."),
    "no-preview-image": ("Add a preview picture", "og:image is shown where the page is shared."),
    "empty-links": ("Give links a target", "Some links lead nowhere."),
    "vague-links": ("Say where links lead", "A link that says only more tells nothing out of its context."),
    "no-main-heading": ("Begin with one main heading", "There is no heading of level 1."),
    "no-main-landmark": ("Mark the main content", "Put it into a main element, so that it can be jumped to."),
    "no-navigation": ("Mark the navigation", "Put it into a nav element, so that it can be found."),
    "no-footer": ("End with a footer", "Visitors look there for contact, imprint and terms."),
    "industry-not-named": (
        "Name what the page is about",
        "Title, description and headings do not contain the words of the target industry.",
    ),
    "audience-not-named": (
        "Say whom the page is for",
        "Title, description and headings do not contain the words of the target audience.",
    ),
}
_FOR_AXE = ("Mend accessibility rule", "The report's accessibility part names the elements that break it.")
_FOR_CLICHE = ("Say it in your own words", "The page uses a phrase or look that a great many pages share.")


def recommend(deductions: list[Deduction]) -> list[Fields]:
    """One recommendation for each rule that cost points, the dearest first."""
    found: dict[str, Fields] = {}
    for item in sorted(deductions, key=lambda item: (-item.points, item.rule)):
        title, description = _ADVICE.get(item.rule, _FOR_CLICHE)
        if item.rule.startswith("axe-"):
            title, description = f"{_FOR_AXE[0]} {item.rule.removeprefix('axe-')}", _FOR_AXE[1]
        found.setdefault(
            item.rule,
            {
                "id": item.rule,
                "category": item.axis,
                "priority": "high" if item.points >= 8 else "medium" if item.points >= 4 else "low",
                "title": title,
                "description": description,
            },
        )
    return list(found.values())[:MOST_LISTED]
