"""Scores the section detector against sections that a person saw.

    python benchmarks/sections.py LABELS.json --sites SITES.json [--cache DIR] [--folder DIR] [--all] [-v]

LABELS holds for each site's name its sections in order: ``type``, ``heading`` or null, and
optionally ``accept``, other types that are right as well. Found and seen sections are aligned in
their order, so that the type and the heading agree as often as possible. Printed are recall,
precision and F1 of the sections found at all, and of those with an accepted type.

SITES says how to fetch the sites (see ``corpus_sites.py``); ``--all`` looks at all of them and
lists the ones without labels, too. Bundles are kept in the cache, so that a second run needs no
browser.
"""

# pyright: basic

from __future__ import annotations

import argparse
import difflib
import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpus_sites import bundle_of

from checkback.kinds.pages.layout.section_joining import MAX_SECTIONS
from checkback.kinds.pages.report.builder import ReportBuilder

Fields = dict[str, Any]


def words(text: str | None) -> str:
    return re.sub(r"\W+", " ", (text or "").lower()).strip()


def has_type(found: Fields, label: Fields) -> bool:
    return found["type"] == label["type"] or found["type"] in label.get("accept", ())


def agreement(found: Fields, label: Fields) -> float:
    """How well a found section fits a label: the type counts 1, the heading 1.2, a wrong heading
    -0.7.
    """
    mine, theirs = words(found.get("heading")), words(label["heading"])
    fit = 1.0 if has_type(found, label) else 0.0
    if not mine or not theirs:
        return fit
    alike = (
        mine in theirs
        or theirs in mine
        or difflib.SequenceMatcher(None, mine, theirs).ratio() > 0.6
    )
    return fit + (1.2 if alike else -0.7)


def align(found: list[Fields], labels: list[Fields]) -> list[tuple[int, int]]:
    """Pairs of places (label, found) in order, with the largest agreement in sum."""
    rows, columns = len(labels), len(found)
    best = [[0.0] * (columns + 1) for _ in range(rows + 1)]
    for i in range(1, rows + 1):
        for j in range(1, columns + 1):
            pair = best[i - 1][j - 1] + agreement(found[j - 1], labels[i - 1])
            best[i][j] = max(best[i - 1][j], best[i][j - 1], pair)
    pairs: list[tuple[int, int]] = []
    i, j = rows, columns
    while i and j:
        fit = agreement(found[j - 1], labels[i - 1])
        if fit > 0.5 and abs(best[i][j] - best[i - 1][j - 1] - fit) < 1e-9:
            pairs.append((i - 1, j - 1))
            i, j = i - 1, j - 1
        elif best[i - 1][j] >= best[i][j - 1]:
            i -= 1
        else:
            j -= 1
    return pairs[::-1]


@dataclass
class Sum:
    labels: int = 0
    found: int = 0
    matched: int = 0
    typed: int = 0

    def line(self) -> str:
        def share(part: int, whole: int) -> str:
            return f"{part / whole:.2f}" if whole else "-"

        return (
            f"labels {self.labels}, found {self.found}, recall {share(self.matched, self.labels)}, "
            f"precision {share(self.matched, self.found)}, "
            f"F1 {share(2 * self.matched, self.labels + self.found)}, "
            f"F1 with type {share(2 * self.typed, self.labels + self.found)}"
        )


def describe(section: Fields) -> str:
    heading = (section.get("heading") or "-")[:44]
    children = len(section["children"]) if section.get("children") else 0
    why = "; ".join(section["evidence"][:3])
    what = f"{section['type']:<12}{section['box']!s:<24}{heading:<46}"
    return f"{what}{section['confidence']:<5} {children:>2}  {why}"


def show(
    found: list[Fields], labels: list[Fields], pairs: list[tuple[int, int]], *, children: bool
) -> None:
    by_found = {place: label for label, place in pairs}
    for place, section in enumerate(found):
        label = labels[by_found[place]] if place in by_found else None
        mark = (
            " "
            if label is None and not labels
            else "?"
            if label is None
            else "+"
            if has_type(section, label)
            else "x"
        )
        print(
            f"   {mark} {describe(section)}"
            + (f"  <- {label['type']}" if label and mark == "x" else "")
        )
        for child in section["children"] if children else ():
            print(
                f"       {child['role']:<10} {child['box']!s:<24} {child.get('heading', child['text'])[:60]}"
            )
    for place, label in enumerate(labels):
        if place not in by_found.values():
            print(f"   - missed: {label['type']} {label['heading'] or ''}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Score the section detector.")
    parser.add_argument("labels", type=Path, help="JSON file with the sections that a person saw")
    parser.add_argument(
        "--sites", type=Path, required=True, help="JSON file that says where the sites are"
    )
    parser.add_argument(
        "--folder", type=Path, help="folder with the unpacked sites; default: below the cache"
    )
    parser.add_argument(
        "--cache", type=Path, default=Path(".cache/corpus"), help="folder for bundles"
    )
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="only these sites"
    )
    parser.add_argument("--all", action="store_true", help="sites without labels, too")
    parser.add_argument("--again", action="store_true", help="load the sites again")
    parser.add_argument("-v", "--verbose", action="store_true", help="show each section")
    parser.add_argument("--children", action="store_true", help="show what sections are made of")
    options = parser.parse_args()
    labels: dict[str, list[Fields]] = json.loads(options.labels.read_text("utf-8"))
    total, most = Sum(), 0
    for site in json.loads(options.sites.read_text("utf-8")):
        name = site["name"]
        if (options.only and name not in options.only) or (name not in labels and not options.all):
            continue
        bundle = bundle_of(
            site, options.folder or options.cache / "sites", options.cache, again=options.again
        )
        start = time.perf_counter()
        layout = ReportBuilder(bundle).layout()["layout"]
        took = time.perf_counter() - start
        found, seen = layout["sections"], labels.get(name, [])
        most = max(most, layout["sectionCount"])
        pairs = align(found, seen)
        typed = sum(has_type(found[j], seen[i]) for i, j in pairs)
        print(
            f"{name:<20} labels {len(seen):>2}  found {len(found):>2}  matched {len(pairs):>2}"
            f"  typed {typed:>2}  {took * 1000:.0f} ms"
        )
        if options.verbose:
            show(found, seen, pairs, children=options.children)
        if seen:
            total.labels, total.found = total.labels + len(seen), total.found + len(found)
            total.matched, total.typed = total.matched + len(pairs), total.typed + typed
    print(total.line())
    print(f"most sections on one site: {most} (limit {MAX_SECTIONS})")


if __name__ == "__main__":
    main()
