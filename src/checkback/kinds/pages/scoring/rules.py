"""What a page can lose points for: every rule with its axis, its points, why, and how to mend it.

Data only. ``findings.py`` says when a rule is broken and where, ``quality.py`` adds up;
docs/scoring.md shows this table to people, and a test holds both together.
"""

from __future__ import annotations

from dataclasses import dataclass

#: The report's own axes, and how much of the overall score each one is.
AXES = {
    "accessibility": 0.30,
    "performance": 0.20,
    "seo": 0.15,
    "responsive": 0.15,
    "consistency": 0.10,
    "motion": 0.10,
}
#: The axes that a ReftrixMCP client knows, which the caller may weigh, and how much of a rule's
#: points each one takes: craftsmanship gathers five of our axes, and would be at 0 for most pages
#: otherwise.
DIMENSIONS = {"originality": 1.0, "craftsmanship": 0.5, "contextuality": 1.0}
#: axe alone may take at most this much, so that one bad widget does not hide everything else.
MAX_FOR_AXE = 45.0
EVERY = "every"


@dataclass(frozen=True, slots=True)
class Rule:
    """One reason to lose points: ``first`` for the first case, ``each`` for a further one, ``most``
    in all.

    ``axis`` is one of the report's own, or None: taste and the caller's wishes are no part of
    those.
    """

    name: str
    axis: str | None
    dimension: str
    first: float
    each: float
    most: float
    why: str
    title: str
    fix: str

    def points(self, count: int) -> float:
        """What this many cases cost."""
        return min(self.most, self.first + self.each * (max(1, count) - 1))


_A, _P, _S, _R, _C, _M = AXES
_ORIGINAL, _CRAFT, _CONTEXT = DIMENSIONS
_AXE = "Mend the elements that the accessibility part of the report names; axe's help says how."

_RULES = (
    # Nothing there.
    Rule("no-content", EVERY, EVERY, 70, 0, 70,
         "A page without content breaks no other rule, and would be perfect without this one.",
         "Show content",
         "The page shows almost no text. If scripts draw it, check that they run for everyone."),
    Rule("little-content", EVERY, EVERY, 35, 0, 35,
         "A page with a line or two of text gives visitors and search engines next to nothing.",
         "Show more content", "Write what the page is for, in text that is there without a click."),
    # Accessibility.
    Rule("axe-critical", _A, _CRAFT, 8, 0.8, 16, "People are shut out of a part of the page.",
         "Mend a critical accessibility fault", _AXE),
    Rule("axe-serious", _A, _CRAFT, 5, 0.5, 10, "A part of the page is hard to use for some people.",
         "Mend a serious accessibility fault", _AXE),
    Rule("axe-moderate", _A, _CRAFT, 2, 0.2, 4, "Some people get slower or lose their way.",
         "Mend a moderate accessibility fault", _AXE),
    Rule("axe-minor", _A, _CRAFT, 1, 0.1, 2, "An annoyance for some people.",
         "Mend a minor accessibility fault", _AXE),
    Rule("low-contrast", _A, _CRAFT, 4, 0.8, 15, "Text that is too pale is not read (WCAG 1.4.3).",
         "Raise the contrast of text",
         "Darken the text or lighten its ground: 4.5:1 for text, 3:1 from 24 px, or from 18.66 px in bold."),
    Rule("field-without-label", _A, _CRAFT, 3, 3, 9, "Who cannot see the layout does not know what to type.",
         "Label every field",
         "Give each field a label element; a placeholder disappears when someone types."),
    Rule("skipped-heading-level", _A, _CRAFT, 1, 0.5, 3, "Screen readers jump by heading levels.",
         "Leave no heading level out", "Follow an h2 with an h3, and style it as you like."),
    Rule("no-main-landmark", _A, _CONTEXT, 3, 0, 3, "Without it nobody can jump to the content.",
         "Mark the main content", "Put the content into a main element."),
    # Performance.
    Rule("slow-first-byte", _P, _CRAFT, 4, 0, 4, "Nothing can begin before the document does (over 800 ms).",
         "Answer sooner", "Cache the document, or make it in less than 800 ms."),
    Rule("slow-largest-paint", _P, _CRAFT, 10, 10, 20,
         "Visitors leave while they wait; two cases mean more than 4 s, one more than 2.5 s.",
         "Show the main content sooner",
         "Load the largest element early, at a fitting size, and block nothing before."),
    Rule("layout-shift", _P, _CRAFT, 8, 8, 16,
         "What moves is misread and mis-clicked; two cases mean a shift over 0.25, one over 0.1.",
         "Keep the layout still", "Give pictures, frames and late content their size before they arrive."),
    Rule("blocked-thread", _P, _CRAFT, 6, 6, 12,
         "The page does not react meanwhile; two cases mean over 600 ms, one over 200 ms.",
         "Shorten scripts", "Split long tasks, and load what is not needed at first later."),
    Rule("heavy-page", _P, _CRAFT, 5, 5, 10,
         "Bytes cost time and money; two cases mean over 6 MB, one over 3 MB.",
         "Send less", "Compress pictures, and load what is not seen at first later."),
    Rule("many-requests", _P, _CRAFT, 3, 0, 3, "Each request waits for its turn (over 120).",
         "Ask for fewer files", "Bundle small files and drop those that nothing uses."),
    Rule("failed-requests", _P, _CRAFT, 3, 2, 9, "A file that fails is a part that is missing.",
         "Mend what fails to load",
         "Correct or remove the addresses that the report lists under performance.failed."),
    Rule("broken-images", _P, _CRAFT, 4, 4, 12, "A broken picture looks like neglect.",
         "Mend broken pictures", "Correct the addresses of pictures without content."),
    Rule("oversized-images", _P, _CRAFT, 2, 1, 6, "Pixels that nobody sees are paid for.",
         "Scale pictures down",
         "Offer sizes by srcset; no more than twice the size at which a picture is shown."),
    Rule("script-errors", _P, _CRAFT, 2, 1, 6, "After an error something does not work.",
         "Mend script errors", "The console part of the report has the messages."),
    Rule("unused-css", _P, _CRAFT, 3, 0, 3, "Over 70 % of 100 kB or more match nothing here.",
         "Drop unused style rules", "Split the style sheet by page, or remove what no page uses."),
    # What search engines and readers of links see.
    Rule("no-title", _S, _CONTEXT, 20, 0, 20,
         "The title names the page in tabs, bookmarks and search results.",
         "Give the page a title", "Name what is on this page, then the site, in up to 60 characters."),
    Rule("no-description", _S, _CONTEXT, 10, 0, 10, "Search results show it below the title.",
         "Describe the page", "Write one or two sentences into a description tag."),
    Rule("no-language", _S, _CONTEXT, 8, 0, 8, "Voices, hyphenation and translation depend on it.",
         "Name the language", "Set lang on the html element."),
    Rule("no-main-heading", _S, _CONTEXT, 10, 0, 10, "The main heading tells what the page is about.",
         "Begin with one main heading", "Make the page's topic an h1."),
    Rule("several-main-headings", _S, _CONTEXT, 2, 1, 4, "Two main topics are none.",
         "Keep one main heading", "Make the others h2."),
    Rule("no-canonical", _S, _CONTEXT, 2, 0, 2, "Copies under other addresses compete with the page.",
         "Name the canonical address", "Add a canonical link."),
    Rule("not-indexed", _S, _CONTEXT, 10, 0, 10, "The robots tag tells search engines to leave the page out.",
         "Let the page be found", "Remove noindex, unless the page shall not be found."),
    Rule("no-preview-image", _S, _CONTEXT, 3, 0, 3, "A shared link without a picture is overlooked.",
         "Add a preview picture", "Name one of 1200 by 630 pixels in og:image."),
    Rule("invalid-json-ld", _S, _CONTEXT, 3, 0, 3, "Structured data that cannot be read is worth nothing.",
         "Mend the structured data", "Check the JSON of scripts of the type application/ld+json."),
    Rule("images-without-alt", _S, _CONTEXT, 2, 1, 8, "What a picture shows is lost to who does not see it.",
         "Describe pictures", "Give each an alt text; an empty one for decoration."),
    Rule("empty-links", _S, _CONTEXT, 1, 1, 6, "A link that leads nowhere disappoints.",
         "Give links a target", "Make it a button if it does something; else name the page."),
    Rule("vague-links", _S, _CONTEXT, 1, 1, 4, "Read on its own, it tells nothing.",
         "Say where links lead", "Put the name of the target into the link's text."),
    Rule("no-icon", _S, _CONTEXT, 2, 0, 2, "Without one the page is hard to find among tabs.",
         "Add an icon", "Link an icon of at least 32 by 32 pixels."),
    # Other window sizes.
    Rule("no-viewport", _R, _CRAFT, 25, 0, 25, "Phones show a shrunken desktop page.",
         "Declare the viewport", "Add a viewport tag with width=device-width."),
    Rule("zoom-forbidden", _R, _CRAFT, 8, 0, 8, "Who sees badly needs to enlarge.",
         "Allow zooming", "Remove user-scalable=no and maximum-scale from the viewport tag."),
    Rule("overflow", _R, _CRAFT, 12, 8, 24, "A page that moves sideways is hard to read.",
         "Keep the page within the window", "Let wide parts wrap or scroll on their own at the named sizes."),
    Rule("small-targets", _R, _CRAFT, 2, 0.5, 8, "A finger is wider than 24 pixels (WCAG 2.5.8).",
         "Enlarge what is tapped", "Give controls at least 24 by 24 pixels, or room around them."),
    Rule("small-text", _R, _CRAFT, 3, 0, 3, "Over a tenth of the text is below 12 pixels on a phone.",
         "Enlarge small text", "Use 16 pixels for text and no less than 12 for notes."),
    Rule("lost-navigation", _R, _CRAFT, 8, 0, 8,
         "The navigation is there on a wide window, and gone on a narrow one.",
         "Keep the navigation on phones", "Offer a button that opens it."),
    # One page, one hand.
    Rule("irregular-spacing", _C, _CRAFT, 6, 0, 6, "Distances follow no common step (under 60 % do).",
         "Settle on a spacing scale", "Use multiples of one base, such as 4 or 8 pixels."),
    Rule("many-font-sizes", _C, _CRAFT, 4, 0.5, 8, "More than twelve sizes make no hierarchy.",
         "Use fewer font sizes", "Six to eight sizes are enough for most pages."),
    Rule("many-families", _C, _CRAFT, 4, 2, 8, "More than three typefaces look like several pages.",
         "Use fewer typefaces", "One for headings, one for text, one for code."),
    Rule("many-radii", _C, _CRAFT, 3, 0.5, 6, "More than six corner radii look accidental.",
         "Use fewer corner radii", "Two or three are enough."),
    Rule("missing-font", _C, _CRAFT, 4, 2, 8, "The declared font did not arrive; another one is shown.",
         "Mend the font", "Check the font's address, or declare what is really shown."),
    Rule("important-rules", _C, _CRAFT, 3, 0, 3,
         "Over 5 % of the declarations outrank all others, so nothing can be relied on.",
         "Use important less", "Lower the specificity of rules instead."),
    Rule("quirks-mode", _C, _CRAFT, 10, 0, 10,
         "Without a doctype browsers lay the page out as in the nineties.",
         "Begin with a doctype", "Put <!doctype html> first."),
    # Motion.
    Rule("motion-not-reduced", _M, _CRAFT, 20, 5, 35, "Endless motion makes some people ill (WCAG 2.2.2).",
         "Stop endless motion on request",
         "Switch these animations off under prefers-reduced-motion: reduce."),
    Rule("no-reduced-motion", _M, _CRAFT, 8, 0, 8,
         "Three or more movements, and none asks for prefers-reduced-motion.",
         "Ask whether motion is welcome", "Add a media query for prefers-reduced-motion."),
    Rule("costly-animation", _M, _CRAFT, 5, 1, 15, "What changes the layout on each frame stutters.",
         "Animate transform and opacity only",
         "Replace width, height, top, left and margin in these animations."),
    Rule("slow-motion", _M, _CRAFT, 2, 1, 6, "A transition over two seconds keeps people waiting.",
         "Shorten transitions", "200 to 500 ms are enough."),
    # Only a ReftrixMCP client's axes: what belongs to the site, and what the caller asked for.
    Rule("no-navigation", None, _CONTEXT, 4, 0, 4, "Visitors look for the way to the other pages.",
         "Mark the navigation", "Put the links into a nav element."),
    Rule("no-footer", None, _CONTEXT, 3, 0, 3, "Visitors look there for contact, imprint and terms.",
         "End with a footer", "Put contact and terms into a footer element."),
    Rule("industry-not-named", None, _CONTEXT, 10, 0, 10,
         "Title, description and headings have no word of the given industry.",
         "Name what the page is about", "Use the industry's own words in the title or a heading."),
    Rule("audience-not-named", None, _CONTEXT, 6, 0, 6,
         "Title, description and headings have no word of the given audience.",
         "Say whom the page is for", "Name the audience in a heading or the description."),
    # Patterns that a great many pages share.
    Rule("unmodified-theme", None, _ORIGINAL, 15, 0, 15,
         "A framework's own colours and nothing else: many pages look like this.",
         "Change the framework's look", "Set the framework's variables for colour, type and corners."),
    Rule("default-accent", None, _ORIGINAL, 8, 0, 8, "The accent is a framework's default colour.",
         "Choose an accent colour", "Replace the framework's default with the brand's colour."),
    Rule("no-own-color", None, _ORIGINAL, 10, 0, 10, "Every colour of the palette is grey.",
         "Give the page a colour", "One colour for what can be clicked helps, too."),
    Rule("default-type", None, _ORIGINAL, 6, 0, 6, "Only fonts are used that every page has.",
         "Choose a typeface", "One typeface of character for headings is enough."),
    Rule("uniform-sections", None, _ORIGINAL, 6, 0, 6, "Four or more sections, of two types at most.",
         "Vary the sections", "Show something else between parts that are built alike."),
    Rule("stock-order", None, _ORIGINAL, 4, 0, 4,
         "Hero, features, voices, call to action, footer: the order of every template.",
         "Tell it in your own order", "Begin with what only this site has."),
    Rule("placeholder-text", None, _ORIGINAL, 8, 2, 14, "Text that was to be replaced.",
         "Replace placeholder text", "Write the real text, or leave the part out."),
    Rule("welcome-heading", None, _ORIGINAL, 5, 0, 5, "A heading that says welcome says nothing else.",
         "Say what there is", "Begin with what the visitor gets."),
    Rule("empty-superlatives", None, _ORIGINAL, 5, 1, 8, "World-class without a fact is believed by nobody.",
         "Give a fact", "Replace superlatives by a number or a name."),
    Rule("generic-promise", None, _ORIGINAL, 5, 1, 8, "A promise that fits every product.",
         "Promise something of your own", "Say what this product does that others do not."),
    Rule("buzz-words", None, _ORIGINAL, 3, 1, 6, "Seamless, effortless, empowering: read a thousand times.",
         "Use plain words", "Say what happens, in words that one would say aloud."),
    Rule("violet-gradient", None, _ORIGINAL, 5, 0, 5,
         "A gradient from violet to blue, as on a great many pages.",
         "Use colours of your own", "Take the gradient's ends from the palette of the brand."),
)  # fmt: skip

RULES = {rule.name: rule for rule in _RULES}
