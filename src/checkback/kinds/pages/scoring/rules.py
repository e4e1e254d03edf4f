"""What a page can lose points for: every rule with its axis, its points, why, and how to fix it.

Data only. ``findings.py`` says when a rule is broken and where, ``score.py`` adds up.
docs/scoring.md shows the same table; a test compares the two.
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
#: points each one takes: craftsmanship covers five of the report's axes, and would otherwise be 0
#: for most pages.
DIMENSIONS = {"originality": 1.0, "craftsmanship": 0.5, "contextuality": 1.0}
#: axe alone may take at most this much, so that one bad widget does not hide everything else.
MAX_FOR_AXE = 45.0
EVERY = "every"


@dataclass(frozen=True, slots=True)
class Rule:
    """One reason to lose points: ``first`` for the first case, ``each`` for a further one, ``most``
    in all.

    ``axis`` is one of the report's own, or None for taste and for what the caller expects.
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
_AXE = "Fix the elements that the accessibility part of the report lists; axe's help says how."

_RULES = (
    # Nothing there.
    Rule("no-content", EVERY, EVERY, 70, 0, 70,
         "A page without content breaks no other rule, and would be perfect without this one.",
         "Show content",
         "The page shows almost no text. If scripts draw it, check that they run for everyone."),
    Rule("little-content", EVERY, EVERY, 35, 0, 35,
         "A line or two of text gives visitors and search engines almost nothing.",
         "Show more content",
         "Say what the page is for, in text that can be read without a click."),
    # Accessibility.
    Rule("axe-critical", _A, _CRAFT, 8, 0.8, 16, "Some people cannot use a part of the page.",
         "Fix a critical accessibility issue", _AXE),
    Rule("axe-serious", _A, _CRAFT, 5, 0.5, 10,
         "A part of the page is hard to use for some people.",
         "Fix a serious accessibility issue", _AXE),
    Rule("axe-moderate", _A, _CRAFT, 2, 0.2, 4, "Some people are slowed down or get lost.",
         "Fix a moderate accessibility issue", _AXE),
    Rule("axe-minor", _A, _CRAFT, 1, 0.1, 2, "Some people are annoyed.",
         "Fix a minor accessibility issue", _AXE),
    Rule("low-contrast", _A, _CRAFT, 4, 0.8, 15,
         "People cannot read text with too little contrast (WCAG 1.4.3).",
         "Increase the contrast of text",
         "Reach a contrast of 4.5:1, or of 3:1 for text of at least 24 px (18.66 px in bold)."),
    Rule("field-without-label", _A, _CRAFT, 3, 3, 9,
         "People who cannot see the layout do not know what to type.",
         "Label every field",
         "Give each field a label element; a placeholder disappears as soon as someone types."),
    Rule("skipped-heading-level", _A, _CRAFT, 1, 0.5, 3,
         "People with screen readers jump from heading to heading by level.",
         "Do not skip heading levels", "Use an h3 below an h2; its style is up to you."),
    Rule("no-main-landmark", _A, _CONTEXT, 3, 0, 3,
         "Without it, people with screen readers cannot jump to the content.",
         "Mark the main content", "Put the content in a main element."),
    # Performance.
    Rule("slow-first-byte", _P, _CRAFT, 4, 0, 4,
         "Nothing else can start before the document arrives (limit: 800 ms).",
         "Respond faster", "Cache the document, or generate it in less than 800 ms."),
    Rule("slow-largest-paint", _P, _CRAFT, 10, 10, 20,
         "Visitors leave while they wait; over 2.5 s counts as one case, over 4 s as two.",
         "Show the main content sooner",
         "Load the largest element early and in the right size, and let nothing block it."),
    Rule("layout-shift", _P, _CRAFT, 8, 8, 16,
         "People misread and misclick what moves; a shift over 0.1 counts as one case, over 0.25 "
         "as two.",
         "Keep the layout stable", "Reserve space for images, frames and late content."),
    Rule("blocked-thread", _P, _CRAFT, 6, 6, 12,
         "The page does not react during this time; over 200 ms counts as one case, over 600 ms "
         "as two.",
         "Shorten scripts", "Split long tasks, and defer what is not needed at first."),
    Rule("heavy-page", _P, _CRAFT, 5, 5, 10,
         "Bytes cost time and money; over 3 MB counts as one case, over 6 MB as two.",
         "Send less", "Compress images, and defer what is not visible at first."),
    Rule("many-requests", _P, _CRAFT, 3, 0, 3, "Requests wait for each other (limit: 120).",
         "Load fewer files", "Bundle small files, and remove files that nothing uses."),
    Rule("failed-requests", _P, _CRAFT, 3, 2, 9, "A part of the page is missing.",
         "Fix failed requests",
         "Correct or remove the URLs that the report lists under performance.failed."),
    Rule("broken-images", _P, _CRAFT, 4, 4, 12, "A broken image makes the page look neglected.",
         "Fix broken images", "Correct the URLs of images that do not load."),
    Rule("oversized-images", _P, _CRAFT, 2, 1, 6, "Visitors download pixels that they never see.",
         "Scale images down",
         "Offer several sizes with srcset, at most twice as large as the image is shown."),
    Rule("script-errors", _P, _CRAFT, 2, 1, 6,
         "After an error, something on the page may not work.",
         "Fix script errors", "Read the messages in the console part of the report."),
    Rule("unused-css", _P, _CRAFT, 3, 0, 3,
         "Over 70 % of at least 100 kB of styles match nothing on this page.",
         "Remove unused style rules",
         "Split the style sheet by page, or remove rules that no page uses."),
    # What search engines and readers of links see.
    Rule("no-title", _S, _CONTEXT, 20, 0, 20,
         "The title names the page in tabs, bookmarks and search results.",
         "Give the page a title",
         "Name what is on this page, then the site, in up to 60 characters."),
    Rule("no-description", _S, _CONTEXT, 10, 0, 10,
         "Search results show the description below the title.",
         "Describe the page", "Add a description tag with one or two sentences."),
    Rule("no-language", _S, _CONTEXT, 8, 0, 8,
         "Screen readers, hyphenation and translation depend on the language.",
         "Declare the language", "Set lang on the html element."),
    Rule("no-main-heading", _S, _CONTEXT, 10, 0, 10,
         "The main heading says what the page is about.",
         "Add a main heading", "Put the page's topic in an h1."),
    Rule("several-main-headings", _S, _CONTEXT, 2, 1, 4, "A page should have one main heading.",
         "Keep one main heading", "Change the other h1 elements to h2."),
    Rule("no-canonical", _S, _CONTEXT, 2, 0, 2,
         "Copies at other URLs compete with the page in search results.",
         "Declare the canonical URL", "Add a canonical link."),
    Rule("not-indexed", _S, _CONTEXT, 10, 0, 10,
         "The robots tag keeps search engines from listing the page.",
         "Allow search engines to list the page",
         "Remove noindex, unless the page must not be found."),
    Rule("no-preview-image", _S, _CONTEXT, 3, 0, 3,
         "People overlook shared links without an image.",
         "Add a preview image", "Set og:image to an image of 1200 by 630 pixels."),
    Rule("invalid-json-ld", _S, _CONTEXT, 3, 0, 3,
         "Search engines ignore structured data that is not valid JSON.",
         "Fix the structured data", "Check the JSON in scripts of type application/ld+json."),
    Rule("images-without-alt", _S, _CONTEXT, 2, 1, 8,
         "People who cannot see an image do not learn what it shows.",
         "Describe images", "Give each image an alt text, or an empty one if it is decoration."),
    Rule("empty-links", _S, _CONTEXT, 1, 1, 6, "Visitors expect a link to lead somewhere.",
         "Give links a target", "Use a button for an action; otherwise give the link a target."),
    Rule("vague-links", _S, _CONTEXT, 1, 1, 4,
         "Read alone, such a link does not say where it leads.",
         "Say where links lead", "Name the target in the link's text."),
    Rule("no-icon", _S, _CONTEXT, 2, 0, 2,
         "Without an icon, the page is hard to find among other tabs.",
         "Add an icon", "Link to an icon of at least 32 by 32 pixels."),
    # Other window sizes.
    Rule("no-viewport", _R, _CRAFT, 25, 0, 25, "Phones show the desktop page in small.",
         "Declare the viewport", "Add a viewport tag with width=device-width."),
    Rule("zoom-forbidden", _R, _CRAFT, 8, 0, 8, "People with low vision need to zoom.",
         "Allow zoom", "Remove user-scalable=no and maximum-scale from the viewport tag."),
    Rule("overflow", _R, _CRAFT, 12, 8, 24, "A page that scrolls sideways is hard to read.",
         "Keep the page within the window",
         "At these window sizes, let wide parts wrap or scroll separately."),
    Rule("small-targets", _R, _CRAFT, 2, 0.5, 8, "A finger is wider than 24 pixels (WCAG 2.5.8).",
         "Enlarge tap targets",
         "Make controls at least 24 by 24 pixels, or leave space around them."),
    Rule("small-text", _R, _CRAFT, 3, 0, 3,
         "Over a tenth of the text is below 12 pixels on a phone.",
         "Enlarge small text", "Use 16 pixels for text, and at least 12 pixels for notes."),
    Rule("lost-navigation", _R, _CRAFT, 8, 0, 8,
         "A wide window shows the navigation, a narrow one does not.",
         "Keep the navigation on phones", "Add a button that opens the navigation."),
    # One page, one hand.
    Rule("irregular-spacing", _C, _CRAFT, 6, 0, 6,
         "Less than 60 % of the distances share a common base.",
         "Use a spacing scale", "Use multiples of one base, such as 4 or 8 pixels."),
    Rule("many-font-sizes", _C, _CRAFT, 4, 0.5, 8,
         "More than twelve sizes do not make a hierarchy.",
         "Use fewer font sizes", "Use six to eight sizes; that is enough for most pages."),
    Rule("many-families", _C, _CRAFT, 4, 2, 8,
         "More than three typefaces make one page look like several.",
         "Use fewer typefaces", "Use one for headings, one for text and one for code."),
    Rule("many-radii", _C, _CRAFT, 3, 0.5, 6, "More than six corner radii look accidental.",
         "Use fewer corner radii", "Use two or three."),
    Rule("missing-font", _C, _CRAFT, 4, 2, 8,
         "The declared font did not load, so another one is shown.",
         "Fix the font", "Check the font's URL, or declare the font that is really shown."),
    Rule("important-rules", _C, _CRAFT, 3, 0, 3,
         "Over 5 % of the declarations override all others, so styles are hard to predict.",
         "Use !important less often", "Lower the specificity of rules instead."),
    Rule("quirks-mode", _C, _CRAFT, 10, 0, 10,
         "Without a doctype, browsers use the layout rules of the nineties.",
         "Add a doctype", "Start the document with <!doctype html>."),
    # Motion.
    Rule("motion-not-reduced", _M, _CRAFT, 20, 5, 35,
         "Endless motion makes some people feel ill (WCAG 2.2.2).",
         "Stop endless motion on request",
         "Turn these animations off under prefers-reduced-motion: reduce."),
    Rule("no-reduced-motion", _M, _CRAFT, 8, 0, 8,
         "Three or more things move, and no style rule respects prefers-reduced-motion.",
         "Respect reduced motion", "Add a media query for prefers-reduced-motion."),
    Rule("costly-animation", _M, _CRAFT, 5, 1, 15,
         "Animations that change the layout in each frame stutter.",
         "Animate transform and opacity only",
         "Do not animate width, height, top, left or margin."),
    Rule("slow-motion", _M, _CRAFT, 2, 1, 6, "A transition over two seconds keeps people waiting.",
         "Shorten transitions", "Use 200 to 500 ms."),
    # Only a ReftrixMCP client's axes: what belongs to the site, and what the caller asked for.
    Rule("no-navigation", None, _CONTEXT, 4, 0, 4, "Visitors look for links to the other pages.",
         "Mark the navigation", "Put the links in a nav element."),
    Rule("no-footer", None, _CONTEXT, 3, 0, 3,
         "Visitors look in the footer for contact, legal notice and terms.",
         "Add a footer", "Put contact and terms in a footer element."),
    Rule("industry-not-named", None, _CONTEXT, 10, 0, 10,
         "Title, description and headings do not mention the given industry.",
         "Name the industry", "Use the industry's terms in the title or a heading."),
    Rule("audience-not-named", None, _CONTEXT, 6, 0, 6,
         "Title, description and headings do not mention the given audience.",
         "Name the audience", "Mention the audience in a heading or in the description."),
    # Patterns that a great many pages share.
    Rule("unmodified-theme", None, _ORIGINAL, 15, 0, 15,
         "The page has a framework's colors and fonts only, so it looks like many others.",
         "Change the framework's look",
         "Set the framework's variables for colors, type and corners."),
    Rule("default-accent", None, _ORIGINAL, 8, 0, 8, "The accent is a framework's default color.",
         "Choose an accent color", "Replace the framework's default with the brand's color."),
    Rule("no-own-color", None, _ORIGINAL, 10, 0, 10, "Every color of the palette is gray.",
         "Give the page a color", "Use one color for what can be clicked."),
    Rule("default-type", None, _ORIGINAL, 6, 0, 6,
         "The page uses only fonts that come with every system.",
         "Choose a typeface", "Use a distinctive typeface for headings."),
    Rule("uniform-sections", None, _ORIGINAL, 6, 0, 6,
         "The page has four or more sections, of at most two types.",
         "Vary the sections", "Place something different between parts that look alike."),
    Rule("stock-order", None, _ORIGINAL, 4, 0, 4,
         "The sections have the order of a template: hero, features, testimonials, call to "
         "action, footer.",
         "Choose your own order", "Start with what only this site has."),
    Rule("placeholder-text", None, _ORIGINAL, 8, 2, 14,
         "The page shows text that was meant to be replaced.",
         "Replace placeholder text", "Write the real text, or remove the part."),
    Rule("welcome-heading", None, _ORIGINAL, 5, 0, 5,
         "A heading that says welcome does not say what the page offers.",
         "Say what the page offers", "Start with what the visitor gets."),
    Rule("empty-superlatives", None, _ORIGINAL, 5, 1, 8,
         "Nobody believes a superlative without a fact.",
         "Give a fact", "Replace superlatives with a number or a name."),
    Rule("generic-promise", None, _ORIGINAL, 5, 1, 8, "The promise would fit every product.",
         "Make a specific promise", "Say what this product does that others do not."),
    Rule("buzz-words", None, _ORIGINAL, 3, 1, 6,
         "Readers skip words such as seamless, effortless and empowering.",
         "Use plain words", "Write as you would speak."),
    Rule("violet-gradient", None, _ORIGINAL, 5, 0, 5,
         "Many pages have a gradient from violet to blue.",
         "Use your own colors", "Use colors of the brand for the gradient."),
)  # fmt: skip

RULES = {rule.name: rule for rule in _RULES}
