"""The rules that say what a block of a page is for.

Each rule yields evidence for one type or several: the type, a weight and the reason. Shape and
content decide; the text of a heading adds less than half of what a shape does, and class names
nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from checkback.kinds.pages.dom.content import Content, DrawnText
from checkback.kinds.pages.dom.snapshot import Box
from checkback.kinds.pages.layout.blocks import Block

_PERIOD = re.compile(r"/\s?(mo|month|yr|year|user|月|年)|per (month|year|user)", re.I)
_NUMBER = re.compile(r"^[$€£¥]?\s?[\d.,]+\s?(\+|%|k|K|M|s|x|/\d+)?\+?$")
_ADDRESS = re.compile(r"\S@\S|\+?\d[\d ()-]{7,}")
_RIGHTS = re.compile(r"©|copyright|all rights reserved", re.I)

_HEADING_PATTERNS = {
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
_HEADING_RULES = {name: re.compile(pattern, re.I) for name, pattern in _HEADING_PATTERNS.items()}
_CURRENCIES = "€£¥"

NOTHING_ELSE = "no evidence for another type"
IMAGE_BESIDE_TEXT = "image next to text"
_PORTRAITS = "three or more portraits in a row"

#: Type, weight and reason.
Evidence = tuple[str, float, str]


@dataclass(frozen=True, slots=True)
class BlockPosition:
    """Where a block is on its page."""

    page_width: float
    page_height: float
    window_height: float
    index: int
    count: int
    hero_seen: bool
    #: Whether the page has a tall column of links, as applications and handbooks do.
    is_application: bool

    def is_side_column(self, box: Box) -> bool:
        """Whether a box is a column next to the content."""
        return box.width < 0.3 * self.page_width and box.height > self.window_height

    @property
    def is_last(self) -> bool:
        return self.index >= self.count - 1


Rule = Callable[[Block, BlockPosition], Iterator[Evidence]]


# --- bars and footers ---


def _evidence(kind: str, *tests: tuple[bool, float, str]) -> Iterator[Evidence]:
    """Evidence for one type: each test that holds, with its weight and reason."""
    for holds, weight, reason in tests:
        if holds:
            yield kind, weight, reason


def _navigation(block: Block, position: BlockPosition) -> Iterator[Evidence]:
    is_strip = _is_top_strip(block, position) and _has_few_words(block.content)
    return _evidence(
        "navigation",
        (block.is_navigation, 1.2, "navigation landmark or strip of links"),
        (is_strip, 0.8, "strip at the top"),
        (_is_link_column(block, position), 1.0, "tall narrow column of links"),
        (_is_top_bar(block), 0.6, "top bar"),
    )


def _is_top_strip(block: Block, position: BlockPosition) -> bool:
    box = block.box
    if box.y >= 120 or box.height >= 140:
        return False
    return box.width > 0.5 * position.page_width and block.content.links >= 2


def _has_few_words(content: Content) -> bool:
    return content.words < 60 or content.link_characters > 0.4 * content.characters


def _is_link_column(block: Block, position: BlockPosition) -> bool:
    box, content = block.box, block.content
    if box.width >= 0.3 * position.page_width or box.height <= 0.6 * position.window_height:
        return False
    is_list = content.links >= 5 and content.words < 20 * content.links
    return is_list and _is_at_side(box, position.page_width)


def _is_at_side(box: Box, page_width: float) -> bool:
    return box.x < 0.1 * page_width or box.right > 0.9 * page_width


def _is_top_bar(block: Block) -> bool:
    box, content = block.box, block.content
    if box.y >= 120 or box.height >= 130:
        return False
    return content.controls >= 1 and content.top_level > 1


def _footer(block: Block, position: BlockPosition) -> Iterator[Evidence]:
    content = block.content
    is_low = _is_low(block.box, position)
    names_rights = is_low and _RIGHTS.search(content.text) is not None
    return _evidence(
        "footer",
        (block.is_footer, 1.3, "footer landmark"),
        (_is_at_end(block.box, position), 0.6, "last block"),
        (names_rights, 0.6, "copyright text"),
        (is_low and _is_link_directory(content), 0.7, "columns of links at the end"),
    )


def _is_at_end(box: Box, position: BlockPosition) -> bool:
    if not position.is_last or position.count <= 1:
        return False
    return box.bottom > position.page_height - 60 and box.height < 600


def _is_low(box: Box, position: BlockPosition) -> bool:
    """Whether a block is the last or the last but one, in the lower part of the page."""
    return box.y > 0.6 * position.page_height and position.index >= position.count - 2


def _is_link_directory(content: Content) -> bool:
    if content.images or content.words >= 150:
        return False
    return content.links >= 6 and content.link_characters > 0.5 * content.characters


# --- heroes and images ---


def _hero(block: Block, position: BlockPosition) -> Iterator[Evidence]:
    content = block.content
    if position.hero_seen or block.box.y >= 320 or not _can_be_hero(content):
        return
    size = max(heading.size for heading in content.headings)
    if _is_prominent(size, content, position) and _is_large(block.box, position):
        yield "hero", _hero_weight(size, content), "first large block with the main heading"


def _can_be_hero(content: Content) -> bool:
    """Whether there is a heading, and no more text than a hero has."""
    return 1 <= len(content.headings) <= 4 and content.words < 140


def _is_prominent(size: float, content: Content, position: BlockPosition) -> bool:
    """Whether the largest heading, of this size, can be a page's main heading."""
    return size >= 36 or (content.top_level <= 2 and not position.is_application)


def _is_large(box: Box, position: BlockPosition) -> bool:
    return box.height > 0.25 * position.window_height and box.width > 0.7 * position.page_width


def _hero_weight(size: float, content: Content) -> float:
    weight = 1.6 if size >= 40 else 1.3
    if content.words > 90:
        weight -= 0.6
    is_dashboard = len(_large_numbers(content, 18)) >= 4
    return weight - 0.7 if is_dashboard else weight


def _images(block: Block, position: BlockPosition) -> Iterator[Evidence]:
    content = block.content
    images = [image for image in content.images if image.width > 60 and image.height > 40]
    yield from _gallery(content, len(images))
    yield from _portraits(content, len(images))
    if len(images) == 1 and _is_image_with_text(images[0], block):
        yield "feature", 0.55, IMAGE_BESIDE_TEXT


def _gallery(content: Content, images: int) -> Iterator[Evidence]:
    if images >= 4 and _has_little_text(content, images):
        weight = 0.75 if images >= 6 else 0.55
        yield "gallery", weight, "many images with little text"


def _has_little_text(content: Content, images: int) -> bool:
    return content.characters < images * 140 and not content.fields


def _is_image_with_text(image: Box, block: Block) -> bool:
    """Whether about half of a block is its image, and the rest one heading with a text."""
    content, box = block.content, block.box
    if len(content.headings) != 1 or not 8 < content.words < 120:
        return False
    is_half = 0.35 * box.width < image.width < 0.7 * box.width
    return is_half and box.height > 180 and image.height > 0.6 * box.height


def _portraits(content: Content, images: int) -> Iterator[Evidence]:
    names_team = _HEADING_RULES["team"].search(_titles(content)) is not None
    if _has_row_of_portraits(content):
        yield from _people(content, names_team=names_team)
    elif names_team and images >= 3:
        yield "team", 0.55, _PORTRAITS


def _has_row_of_portraits(content: Content) -> bool:
    """Whether three portraits or more are at about the same height."""
    rows = Counter(round(y / 50) for _, y in set(content.portraits))
    return max(rows.values(), default=0) >= 3


def _people(content: Content, *, names_team: bool) -> Iterator[Evidence]:
    """People who are introduced have a line or two next to their portrait; people who speak have
    more.
    """
    has_long_texts = content.words > 14 * len(set(content.portraits))
    if names_team or not has_long_texts:
        yield "team", 0.55, _PORTRAITS
        return
    yield "testimonial", 0.35, "portraits with longer texts"
    yield "team", 0.5, _PORTRAITS


# --- quotes, numbers and questions ---


def _quotes(block: Block, position: BlockPosition) -> Iterator[Evidence]:
    if block.content.quotes:
        yield "testimonial", 0.85 if block.content.quotes >= 2 else 0.6, "quotes"
    if block.content.stars >= 2:
        yield "testimonial", 0.4, "stars"


def _numbers(block: Block, position: BlockPosition) -> Iterator[Evidence]:
    content, height = block.content, block.box.height
    if content.prices >= 2 and height > 200 and _are_offers(content):
        yield "pricing", 0.9, "two or more prices with a period or buttons"
    if height < 500 and _are_figures(content, height):
        yield "stats", 0.95, "three or more large numbers"


def _are_offers(content: Content) -> bool:
    """Goods in a shop have prices, too, but there are more of them, and no period."""
    if len(_PERIOD.findall(content.text)) >= 2:
        return True
    if content.tables or content.prices > 8:
        return False
    return content.buttons >= 2 and content.controls < 25


def _are_figures(content: Content, height: float) -> bool:
    large = _large_numbers(content, 20)
    plain = [text for text in large if text.text[0] not in _CURRENCIES]
    if len(plain) >= 3:
        return True
    return height < 260 and len(_large_numbers(content, 18)) >= 3


def _large_numbers(content: Content, size: float) -> list[DrawnText]:
    return [text for text in content.texts if text.size >= size and _NUMBER.match(text.text)]


def _questions(block: Block, position: BlockPosition) -> Iterator[Evidence]:
    texts = block.content.texts
    questions = [text for text in texts if text.is_question and len(text.text) > 10]
    if len(questions) >= 3:
        yield "faq", 0.9, "three or more questions"
    if len(questions) >= 2 and block.content.disclosures >= 3:
        yield "faq", 0.3, "questions that can be expanded"


# --- forms ---


def _forms(block: Block, position: BlockPosition) -> Iterator[Evidence]:
    if position.is_side_column(block.box):
        return  # With a field for searching.
    yield from _form_fields(block.content)
    yield from _address(block, position)
    if block.box.height < 700 and _calls_to_action(block.content):
        yield "cta", 0.5, "short text with a button"


def _address(block: Block, position: BlockPosition) -> Iterator[Evidence]:
    content, box = block.content, block.box
    is_low = box.height < 500 and box.y > 0.5 * position.page_height
    if is_low and not content.fields and _ADDRESS.search(content.text):
        yield "contact", 0.35, "phone number or email address"


def _form_fields(content: Content) -> Iterator[Evidence]:
    if content.textareas and (content.fields or content.buttons):
        yield "contact", 1.0, "form with a message field"
    elif content.fields and content.buttons:
        yield from _form_without_message(content)


def _form_without_message(content: Content) -> Iterator[Evidence]:
    if len(content.fields) >= 3:
        yield "contact", 0.6, "form"
    elif content.words < 80:
        yield "cta", 0.75, "form with one or two fields"


def _calls_to_action(content: Content) -> bool:
    """Whether a block is a short text with a heading and a button."""
    if not content.headings or not 1 <= content.buttons <= 3:
        return False
    images = [image for image in content.images if image.width > 60]
    return content.words < 60 and len(images) <= 3


# --- headings and text ---


def _parallel_titles(block: Block, position: BlockPosition) -> Iterator[Evidence]:
    if not position.is_side_column(block.box):
        yield from _titles_of_one_level(block.content)


def _titles_of_one_level(content: Content) -> Iterator[Evidence]:
    levels = Counter(heading.level for heading in content.headings)
    parallel = max(levels.values(), default=0)
    if parallel >= 3:
        yield from _three_titles(content)
    elif parallel == 2 and content.images and content.words > 30:
        yield "feature", 0.25, "parallel titles with an image"


def _three_titles(content: Content) -> Iterator[Evidence]:
    if content.words > 20:
        yield "feature", 0.5, "three or more parallel titles with text"
    if content.words > 120 and not content.images and _are_stacked(content):
        yield "content", 0.3, "titles in a column"


def _are_stacked(content: Content) -> bool:
    """Whether no two headings are at the same height."""
    tops = [round(heading.y / 20) for heading in content.headings]
    return len(set(tops)) == len(tops)


def _heading_text(block: Block, position: BlockPosition) -> Iterator[Evidence]:
    titles = _titles(block.content)
    for kind, pattern in _HEADING_RULES.items():
        if pattern.search(titles):
            yield kind, 0.45, "text of the heading"


def _plain_content(block: Block, position: BlockPosition) -> Iterator[Evidence]:
    content = block.content
    yield "content", 0.35, NOTHING_ELSE
    if _is_long(content):
        yield "content", 1.0, "long text"
    if block.box.height > 150 and (content.tables or content.graphics > 8):
        yield "content", 0.3, "tables or charts"


def _is_long(content: Content) -> bool:
    if content.words > 250 or content.code > 5:
        return True
    return content.characters > 1500 and len(content.images) < 3


def _titles(content: Content) -> str:
    """The two largest headings."""
    largest = sorted(content.headings, key=lambda heading: -heading.size)[:2]
    return " | ".join(heading.text for heading in largest)


RULES: tuple[Rule, ...] = (
    _navigation, _footer, _hero, _images, _quotes, _numbers, _questions, _forms,
    _parallel_titles, _heading_text, _plain_content,
)  # fmt: skip
