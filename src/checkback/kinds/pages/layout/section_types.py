"""What each section of a page is for: evidence is weighed, and the evidence is told.

Each rule below gives weight to one type, with its reason. Shape and content decide; words of a
heading add less than half of what a shape does, and class names nothing.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from checkback.kinds.pages.dom.content import Content, Words, is_painted, total
from checkback.kinds.pages.dom.snapshot import Box, Node, Tree, around, is_visible
from checkback.kinds.pages.layout.section_parts import LayoutChild, find_children
from checkback.kinds.pages.layout.splitter import MAX_SECTIONS, Block, Splitter

_PERIOD = re.compile(r"/\s?(mo|month|yr|year|user|月|年)|per (month|year|user)", re.I)
_NUMBER = re.compile(r"^[$€£¥]?\s?[\d.,]+\s?(\+|%|k|K|M|s|x|/\d+)?\+?$")
_ADDRESS = re.compile(r"\S@\S|\+?\d[\d ()-]{7,}")
_RIGHTS = re.compile(r"©|copyright|all rights reserved", re.I)

_WORDS = {
    "team": r"\bteam\b|(^|\| )people( \||$)|our people|meet the|executives?|leadership|founders|\bstaff\b"
    r"|speakers|trainers|our (doctors|experts|crew)"
    r"|who we are|チーム|团队|équipe|equipo|mitarbeiter",
    "testimonial": r"testimonial|people (are )?say|(customers?|clients?|users|others) (are )?(say|think|love)"
    r"|reviews?|loved by|trusted by|kind words|success stories|kundenstimmen|témoignages|opiniones|お客様の声"
    r"|客户评价",
    "pricing": r"pricing|plans?\b|preise|tarifs?|precios|料金|价格",
    "faq": r"\bfaq|frequently asked|questions|häufige fragen|よくある質問|常见问题",
    "contact": r"contact|get in touch|work with us|reach us|say hello|write to us|visit us|find us|kontakt"
    r"|お問い合わせ|联系",
    "gallery": r"portfolio|gallery|our work|showcase|projects$|galerie|作品",
    "feature": r"features?|services?|why |what (we|it|you) (do|does|offer|get)|funktionen|leistungen|特長",
    "stats": r"by the numbers|in numbers|statistics",
    "cta": r"subscribe|newsletter|sign up|get started|download|ready to|start (building|now)|get the app",
}
_WORD_RULES = {name: re.compile(pattern, re.I) for name, pattern in _WORDS.items()}

_NOTHING = "nothing else stands out"

Evidence = tuple[str, float, str]


@dataclass(slots=True)
class Section:
    """One section of the page, as the report tells it."""

    type: str
    heading: str | None
    box: Box
    confidence: float
    evidence: list[str]
    content: Content
    nodes: list[Node] = field(default_factory=list[Node])
    children: list[LayoutChild] = field(default_factory=list[LayoutChild])


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a block stands on its page."""

    page_width: float
    page_height: float
    window_height: float
    position: int
    count: int
    hero_seen: bool
    #: The page has a tall column of links beside it, as applications and handbooks do.
    is_application: bool

    def is_beside(self, box: Box) -> bool:
        """Whether it is a column beside the content."""
        return box.width < 0.3 * self.page_width and box.height > self.window_height

    @property
    def is_last(self) -> bool:
        return self.position >= self.count - 1


def find_sections(tree: Tree, window_width: float, window_height: float) -> list[Section]:
    """The page's sections from top to bottom, at most 40: neighbours of one type are joined beyond
    that.
    """
    splitter = Splitter(tree, window_width, window_height)
    blocks = splitter.blocks()
    if not blocks:
        return _without_text(tree)
    sections: list[Section] = []
    hero_seen = False
    for position, block in enumerate(blocks):
        place = _Place(
            window_width,
            tree.height,
            window_height,
            position,
            len(blocks),
            hero_seen,
            splitter.is_application,
        )
        section = _judge(block, place)
        hero_seen = hero_seen or section.type == "hero"
        sections.append(section)
    sections = _at_most(MAX_SECTIONS, _join_bands(_join_alternating(sections), window_width))
    for section in sections:
        section.children = find_children(splitter, section.nodes)
        if not splitter.is_application:
            _judge_by_cards(section)
    return sections


def _without_text(tree: Tree) -> list[Section]:
    """A page of painted boxes alone has one section; a blank one has none."""
    boxes = [
        node.box
        for node in tree.elements()
        if node.box is not None
        and node.tag not in ("html", "body")
        and is_visible(node, tree.width)
        if is_painted(node) and node.box.area > 2000
    ]
    if not boxes or tree.body is None:
        return []
    why = ["painted boxes without text"]
    return [Section("content", None, around(boxes), 0.3, why, Content(), [tree.body])]


def _judge_by_cards(section: Section) -> None:
    """Equal cards of text under a heading are features, though their titles may be no headings."""
    cards = [c for c in section.children if c.role == "card" and 8 <= c.content.characters <= 300]
    plain = section.type == "content" and section.evidence == [_NOTHING]
    if plain and section.heading and len(cards) >= 3:
        section.type, section.confidence = "feature", 0.55
        section.evidence = ["three or more equal cards with text"]


def _judge(block: Block, place: _Place) -> Section:
    weights: Counter[str] = Counter()
    reasons: defaultdict[str, list[str]] = defaultdict(list)
    for rule in _RULES:
        for kind, weight, reason in rule(block, place):
            weights[kind] += weight  # pyright: ignore[reportArgumentType] - a Counter takes floats
            reasons[kind].append(reason)
    (kind, weight), *others = weights.most_common(2)
    second = others[0][1] if others else 0
    confidence = max(0.2, min(0.99, 0.5 + (weight - second) / 2))
    heading = None if kind == "navigation" else main_heading(block.content)
    return Section(
        kind, heading, block.box, round(confidence, 2), reasons[kind], block.content, block.nodes
    )


def main_heading(content: Content) -> str | None:
    """The heading that names a block; parallel headings of one size are its cards' titles, not its
    own.
    """
    if not content.headings:
        return None
    ordered = sorted(content.headings, key=lambda heading: heading.y)
    largest = max(heading.size for heading in ordered)
    top = next(heading for heading in ordered if heading.size >= largest - 1)
    first = ordered[0]
    if all(heading.level > first.level for heading in ordered[1:]) and first.size >= largest - 1:
        return first.text
    alike = [h for h in ordered if abs(h.size - largest) < 1 and h.level == top.level]
    bands = {round(heading.y / 30) for heading in alike}
    if len(alike) >= 3 and (len(bands) <= 2 or (len(alike) == len(ordered) >= 4)):
        return None
    return top.text


# --- the rules ---


def _bars(block: Block, place: _Place) -> Iterator[Evidence]:
    box, content = block.box, block.content
    if block.is_navigation:
        yield "navigation", 1.2, "navigation landmark or strip of links"
    few_words = content.words < 60 or content.link_characters > 0.4 * content.characters
    strip = box.y < 120 and box.height < 140 and box.width > 0.5 * place.page_width
    if strip and content.links >= 2 and few_words:
        yield "navigation", 0.8, "strip at the top"
    at_side = box.x < 0.1 * place.page_width or box.right > 0.9 * place.page_width
    column = box.width < 0.3 * place.page_width and at_side and content.words < 20 * content.links
    if column and box.height > 0.6 * place.window_height and content.links >= 5:
        yield "navigation", 1.0, "tall narrow column of links"
    controls = content.links + content.buttons
    if box.y < 120 and box.height < 130 and controls >= 1 and content.top_level > 1:
        yield "navigation", 0.6, "top bar"


def _footer(block: Block, place: _Place) -> Iterator[Evidence]:
    if block.is_footer:
        yield "footer", 1.3, "footer landmark"
    if (
        place.is_last
        and place.count > 1
        and block.box.bottom > place.page_height - 60
        and block.box.height < 600
    ):
        yield "footer", 0.6, "last block"
    low = block.box.y > 0.6 * place.page_height and place.position >= place.count - 2
    content = block.content
    if low and _RIGHTS.search(content.text):
        yield "footer", 0.6, "copyright text"
    mostly_links = content.links >= 6 and content.link_characters > 0.5 * content.characters
    if low and mostly_links and content.words < 150 and not content.images:
        yield "footer", 0.7, "columns of links at the end"


def _hero(block: Block, place: _Place) -> Iterator[Evidence]:
    content, box = block.content, block.box
    if place.hero_seen or not content.headings or box.y >= 320:
        return
    largest = max(heading.size for heading in content.headings)
    prominent = largest >= 36 or (content.top_level <= 2 and not place.is_application)
    large = box.height > 0.25 * place.window_height and box.width > 0.7 * place.page_width
    if large and prominent and content.words < 140 and len(content.headings) <= 4:
        weight = 1.3 + (0.3 if largest >= 40 else 0) - (0.6 if content.words > 90 else 0)
        weight -= 0.7 if len(_large_numbers(content, 18)) >= 4 else 0  # A dashboard's first row.
        yield "hero", weight, "first large block with the main heading"


def _pictures(block: Block, place: _Place) -> Iterator[Evidence]:
    content = block.content
    images = [image for image in content.images if image.width > 60 and image.height > 40]
    if len(images) >= 4 and content.characters < len(images) * 140 and not content.fields:
        yield "gallery", 0.75 if len(images) >= 6 else 0.55, "many pictures with little text"
    yield from _portraits(content, len(images))
    if len(images) == 1 and len(content.headings) == 1 and 8 < content.words < 120:
        image, box = images[0], block.box
        beside = 0.35 * box.width < image.width < 0.7 * box.width
        if beside and box.height > 180 and image.height > 0.6 * box.height:
            yield "feature", 0.55, PICTURE_BESIDE_TEXT


def _portraits(content: Content, images: int) -> Iterator[Evidence]:
    """People who are introduced have a line or two beside their portrait; people who speak have
    more.
    """
    faces = set(content.portraits)
    in_row = max(Counter(round(y / 50) for _, y in faces).values(), default=0)
    if (
        in_row >= 3
        and content.words > 14 * len(faces)
        and not _WORD_RULES["team"].search(_titles(content))
    ):
        yield "testimonial", 0.35, "portraits with longer texts"
        yield "team", 0.5, "three or more portraits in a row"
    elif in_row >= 3 or (images >= 3 and _WORD_RULES["team"].search(_titles(content))):
        yield "team", 0.55, "three or more portraits in a row"


PICTURE_BESIDE_TEXT = "picture beside text"


def _voices(block: Block, place: _Place) -> Iterator[Evidence]:
    if block.content.quotes:
        yield "testimonial", 0.85 if block.content.quotes >= 2 else 0.6, "quotes"
    if block.content.stars >= 2:
        yield "testimonial", 0.4, "stars"


def _numbers(block: Block, place: _Place) -> Iterator[Evidence]:
    content, box = block.content, block.box
    periods = len(_PERIOD.findall(content.text))
    with_buttons = content.buttons >= 2 and content.links + content.buttons < 25
    # Goods in a shop have prices, too, but there are more of them, and no period.
    offers = periods >= 2 or (with_buttons and not content.tables and content.prices <= 8)
    if content.prices >= 2 and box.height > 200 and offers:
        yield "pricing", 0.9, "two or more prices with a period or buttons"
    large, tiles = _large_numbers(content, 20), _large_numbers(content, 18)
    if box.height < 500 and (_plain(large) >= 3 or (len(tiles) >= 3 and box.height < 260)):
        yield "stats", 0.95, "three or more large numbers"


def _large_numbers(content: Content, size: float) -> list[Words]:
    return [words for words in content.texts if _NUMBER.match(words.text) and words.size >= size]


def _plain(numbers: list[Words]) -> int:
    return sum(1 for words in numbers if words.text[0] not in "€£¥")


def _questions(block: Block, place: _Place) -> Iterator[Evidence]:
    texts = block.content.texts
    asked = sum(
        1 for words in texts if words.text.rstrip().endswith(("?", "？")) and len(words.text) > 10
    )
    if asked >= 3:
        yield "faq", 0.9, "three or more questions"
    if block.content.disclosures >= 3 and asked >= 2:
        yield "faq", 0.3, "questions that open"


def _forms(block: Block, place: _Place) -> Iterator[Evidence]:
    content, box = block.content, block.box
    if place.is_beside(box):
        return  # With a field for searching.
    if content.textareas and (content.fields or content.buttons):
        yield "contact", 1.0, "form with a message field"
    elif len(content.fields) >= 3 and content.buttons:
        yield "contact", 0.6, "form"
    elif content.fields and content.buttons and content.words < 80:
        yield "cta", 0.75, "form with one or two fields"
    low = box.height < 500 and box.y > 0.5 * place.page_height
    if low and not content.fields and _ADDRESS.search(content.text):
        yield "contact", 0.35, "phone number or e-mail address"
    images = [image for image in content.images if image.width > 60]
    short = content.words < 60 and len(images) <= 3 and box.height < 700
    if 1 <= content.buttons <= 3 and short and content.headings:
        yield "cta", 0.5, "short text with a button"


def _parallel_titles(block: Block, place: _Place) -> Iterator[Evidence]:
    content = block.content
    if place.is_beside(block.box):
        return
    most = max(Counter(heading.level for heading in content.headings).values(), default=0)
    if most >= 3 and content.words > 20:
        yield "feature", 0.5, "three or more parallel titles with text"
    if (
        most >= 3
        and content.words > 120
        and not content.images
        and _stand_below_each_other(content)
    ):
        yield "content", 0.3, "titles below each other"
    if most == 2 and content.images and content.words > 30:
        yield "feature", 0.25, "parallel titles with a picture"


def _stand_below_each_other(content: Content) -> bool:
    tops = [round(heading.y / 20) for heading in content.headings]
    return len(set(tops)) == len(tops)


def _heading_words(block: Block, place: _Place) -> Iterator[Evidence]:
    titles = _titles(block.content)
    for kind, pattern in _WORD_RULES.items():
        if pattern.search(titles):
            yield kind, 0.45, "words of the heading"


def _plain_content(block: Block, place: _Place) -> Iterator[Evidence]:
    content = block.content
    yield "content", 0.35, _NOTHING
    long = content.words > 250 or content.code > 5
    if long or (content.characters > 1500 and len(content.images) < 3):
        yield "content", 1.0, "long text"
    if (content.tables or content.graphics > 8) and block.box.height > 150:
        yield "content", 0.3, "tables or charts"


_RULES = (
    _bars, _footer, _hero, _pictures, _voices, _numbers, _questions, _forms, _parallel_titles, _heading_words,
    _plain_content,
)  # fmt: skip


def _titles(content: Content) -> str:
    largest = sorted(content.headings, key=lambda heading: -heading.size)[:2]
    return " | ".join(heading.text for heading in largest)


def _join_alternating(sections: list[Section]) -> list[Section]:
    """Rows with a picture left, then right, then left are one section of features."""
    found: list[Section] = []
    for section in sections:
        before = found[-1] if found else None
        if before is not None and _is_picture_row(section) and _is_picture_row(before):
            rows = max(1, round(before.box.height / max(1.0, section.box.height)))
            if abs(before.box.height / rows - section.box.height) < 40:
                before.box = around([before.box, section.box])
                before.content.add(section.content)
                before.nodes = before.nodes + section.nodes
                continue
        found.append(section)
    return found


def _join_bands(sections: list[Section], page_width: float) -> list[Section]:
    """One navigation for the bars at the top, one footer for columns of links and the line below
    them.
    """
    found: list[Section] = []
    for section in sections:
        before = found[-1] if found else None
        if (
            before is not None
            and before.type == section.type
            and _are_one_band(before, section, page_width)
        ):
            nodes, content = before.nodes + section.nodes, total([before.content, section.content])
            reasons = list(dict.fromkeys([*before.evidence, *section.evidence]))
            box = around([before.box, section.box])
            confidence = max(before.confidence, section.confidence)
            found[-1] = Section(
                before.type, before.heading, box, confidence, reasons, content, nodes
            )
        else:
            found.append(section)
    return found


def _are_one_band(one: Section, other: Section, page_width: float) -> bool:
    if one.type == "footer":
        return True
    wide = min(one.box.width, other.box.width) > 0.7 * page_width
    adjacent = -2 <= other.box.y - one.box.bottom < 20 and other.box.bottom < 260
    return one.type == "navigation" and wide and adjacent


def _at_most(most: int, sections: list[Section]) -> list[Section]:
    """Join neighbours, two and two, until few enough are left: first those of
    one type, then any.
    """
    alike = True
    while len(sections) > most:
        found: list[Section] = []
        fresh = False
        for section in sections:
            if found and fresh and (not alike or found[-1].type == section.type):
                found[-1] = _joined(found[-1], section)
                fresh = False
            else:
                found.append(section)
                fresh = True
        alike = len(found) < len(sections)
        sections = found
    return sections


def _joined(one: Section, other: Section) -> Section:
    content = total([one.content, other.content])
    kind = one.type if one.type == other.type else "content"
    reasons = [*one.evidence, "joined with its neighbour, because the page has too many parts"]
    return Section(
        kind,
        one.heading,
        around([one.box, other.box]),
        min(one.confidence, other.confidence),
        list(dict.fromkeys(reasons)),
        content,
        one.nodes + other.nodes,
    )


def _is_picture_row(section: Section) -> bool:
    return section.type == "feature" and PICTURE_BESIDE_TEXT in section.evidence
