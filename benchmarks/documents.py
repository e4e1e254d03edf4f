"""Compares the document kinds with the tools of the field, side by side in one run, as ratios of
CPU time.

    python benchmarks/documents.py [FOLDER] [--peer-python PATH] [--pages 40]

FOLDER holds PDFs; without one a few are made. Ours runs as a job does, in a process forked from one
that has the libraries; ``pdftotext`` and ``pdftoppm`` (Poppler) as programs, their start included;
pdfplumber, if ``--peer-python`` names a Python that has it, in one process, its imports not
counted. CPU time is that of the process, user and system.
"""

# pyright: basic

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pypdfium2
from bench_parts import row, title

from checkback.kinds.documents.pdf.render import rendered
from checkback.kinds.documents.pdf.tables.lattice import ruled_tables
from checkback.kinds.documents.pdf.text import search as find_text
from checkback.kinds.documents.pdf.text.lines import layout_text
from checkback.kinds.documents.pdf.text.words import read_words

SECONDS = 300
DPI = 150

PEER = """
import json, sys, time, logging
logging.disable(50)
import pdfplumber
what, first, last, path = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
begun, cells, matches = time.process_time(), [], 0
with pdfplumber.open(path) as pdf:
    for page in pdf.pages[first:last]:
        if what == "find":
            matches += len(page.search("the"))
        else:
            for table in page.extract_tables():
                cells += [" ".join((cell or "").split()) for line in table for cell in line]
        page.close()
seconds = time.process_time() - begun
print(json.dumps({"seconds": seconds, "cells": [cell for cell in cells if cell], "matches": matches}))
"""


@dataclass(frozen=True, slots=True)
class Run:
    """One piece of work: its CPU seconds, what it needed of memory, and what it gave."""

    seconds: float
    megabytes: float
    value: Any


def in_a_fork(work: Callable[[], Any]) -> Run | None:
    """Run ``work`` in a child process, as jobs are; None when it failed."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        status = 1
        try:
            text = json.dumps(work()).encode()
            with os.fdopen(writer, "wb") as pipe:
                pipe.write(text)
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        text = pipe.read()
    _, status, usage = os.wait4(pid, 0)
    if status != 0:
        return None
    return Run(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, json.loads(text))


def program(command: Sequence[str]) -> Run | None:
    """Run a program to its end; None when it failed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, timeout=SECONDS)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return (
        Run(seconds, 0.0, done.stdout.decode("utf-8", "replace")) if done.returncode == 0 else None
    )


def pages(path: Path, last: int | None, work: Callable[[Any, int, Any], Any]) -> list[Any]:
    """``work`` on each page in turn."""
    with pypdfium2.PdfDocument(path) as document:
        found: list[Any] = []
        for index in range(min(len(document), last or len(document))):
            page = document[index]
            try:
                found.append(work(document, index, page))
            finally:
                page.close()
        return found


def our_text(path: Path, last: int | None = None) -> Run | None:
    return in_a_fork(
        lambda: pages(path, last, lambda _, __, page: layout_text(read_words(page).words))
    )


def our_images(path: Path, folder: Path, last: int) -> Run | None:
    def draw(document: Any, index: int, _: Any) -> int:
        with rendered(document, index, dpi=DPI) as image:
            image.save(folder / f"{index}.jpg", "JPEG", quality=85)
            return image.width

    return in_a_fork(lambda: pages(path, last, draw))


def our_matches(path: Path, last: int) -> Run | None:
    pattern = find_text.pattern_of("the", None, regex=False)
    return in_a_fork(
        lambda: pages(
            path,
            last,
            lambda _, i, page: len(
                find_text.matches_of(page, read_words(page, cut=False), pattern, i)
            ),
        )
    )


def our_tables(path: Path, last: int) -> Run | None:
    def cells(_: Any, __: int, page: Any) -> list[str]:
        content = read_words(page)
        tables = ruled_tables(page, content.frame, content.words)
        return [cell for table in tables for line in table.rows for cell in line if cell]

    return in_a_fork(lambda: pages(path, last, cells))


def words_of(text: str) -> list[str]:
    """The words in a text, however their letters are coded: as plain ones, without marks of
    direction.
    """
    return unicodedata.normalize("NFKC", text.translate(_DIRECTIONS)).split()


_DIRECTIONS = dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F))


def f_score(ours: Sequence[str], theirs: Sequence[str]) -> float:
    """How far two bags of words agree, 0 to 1."""
    one, other = Counter(ours), Counter(theirs)
    total = one.total() + other.total()
    return 2 * (one & other).total() / total if total else 1.0


def compare_text(files: Sequence[Path]) -> None:
    title("Text with layout kept, against pdftotext -layout")
    ours_all = theirs_all = 0.0
    scores: list[float] = []
    count = 0
    for path in files:
        ours, theirs = our_text(path), program(["pdftotext", "-layout", str(path), "-"])
        if ours is None or theirs is None:
            continue
        count += len(ours.value)
        ours_all, theirs_all = ours_all + ours.seconds, theirs_all + theirs.seconds
        words = words_of(theirs.value)
        score = f_score(words_of(" ".join(ours.value)), words)
        scores.append(score)
        if score < 0.9 and words:
            row(f"  differs: {path.name[:36]}", f"F1 {score:.2f}")
    if count:
        row(f"{len(scores)} files, {count} pages", "ours", "pdftotext", "ratio")
        row(
            "CPU ms a page",
            f"{ours_all / count * 1e3:.2f}",
            f"{theirs_all / count * 1e3:.2f}",
            f"{ours_all / theirs_all:.2f} x",
        )
        row("agreement of words, median F1", f"{sorted(scores)[len(scores) // 2]:.3f}")


def compare_images(files: Sequence[Path], last: int) -> None:
    title(f"JPEG pictures at {DPI} dpi, against pdftoppm -jpeg")
    ours_all = theirs_all = 0.0
    count = 0
    for path in files:
        with tempfile.TemporaryDirectory() as folder:
            command = [
                "pdftoppm",
                "-jpeg",
                "-r",
                str(DPI),
                "-l",
                str(last),
                str(path),
                f"{folder}/p",
            ]
            ours, theirs = our_images(path, Path(folder), last), program(command)
        if ours is not None and theirs is not None:
            count += len(ours.value)
            ours_all, theirs_all = ours_all + ours.seconds, theirs_all + theirs.seconds
    if count:
        row(f"{count} pages", "ours", "pdftoppm", "ratio")
        row(
            "CPU ms a page",
            f"{ours_all / count * 1e3:.1f}",
            f"{theirs_all / count * 1e3:.1f}",
            f"{ours_all / theirs_all:.2f} x",
        )


def compare_with_pdfplumber(files: Sequence[Path], python: str, last: int) -> None:
    for what, work in (("find", our_matches), ("tables", our_tables)):
        title(f"{'Search for a word' if what == 'find' else 'Ruled tables'}, against pdfplumber")
        ours_all = theirs_all = 0.0
        scores: list[float] = []
        for path in files:
            ours = work(path, last)
            done = program([python, "-c", PEER, what, "0", str(last), str(path)])
            if ours is None or done is None:
                continue
            peer = json.loads(done.value)
            ours_all, theirs_all = ours_all + ours.seconds, theirs_all + peer["seconds"]
            if what == "tables" and peer["cells"]:
                mine = [" ".join(cell.split()) for page in ours.value for cell in page]
                scores.append(f_score(" ".join(mine).split(), " ".join(peer["cells"]).split()))
                row(
                    f"  {path.name[:40]}",
                    f"{len(mine)} cells",
                    f"{len(peer['cells'])}",
                    f"F1 {scores[-1]:.2f}",
                )
        if ours_all:
            row("", "ours", "pdfplumber", "ratio")
            row("CPU s", f"{ours_all:.2f}", f"{theirs_all:.2f}", f"1/{theirs_all / ours_all:.0f}")


def show_growth(path: Path) -> None:
    title(f"Growth with pages: text of {path.name}")
    row("pages", "CPU s", "ms a page", "RSS MB")
    with pypdfium2.PdfDocument(path) as document:
        whole = len(document)
    for count in (1, 10, 100, 1000, whole):
        if count <= whole and (run := our_text(path, count)) is not None:
            row(
                str(count),
                f"{run.seconds:.2f}",
                f"{run.seconds / count * 1e3:.2f}",
                f"{run.megabytes:.0f}",
            )


def made_files(folder: Path) -> list[Path]:
    """A few ordinary PDFs."""
    from reportlab.pdfgen.canvas import Canvas

    text, table = folder / "text.pdf", folder / "table.pdf"
    canvas = Canvas(str(text))
    for number in range(200):
        for line in range(50):
            canvas.drawString(
                60,
                780 - line * 14,
                f"Line {line} of page {number}: the quick brown fox and the dog",
            )
        canvas.showPage()
    canvas.save()
    canvas = Canvas(str(table))
    for number in range(10):
        for line in range(30):
            for column in range(5):
                canvas.rect(60 + column * 90, 760 - line * 20, 90, 20)
                canvas.drawString(64 + column * 90, 766 - line * 20, f"{number}.{line}.{column}")
        canvas.showPage()
    canvas.save()
    return [text, table]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, help="a folder with PDFs")
    parser.add_argument("--peer-python", help="a Python that has pdfplumber")
    parser.add_argument(
        "--pages", type=int, default=40, help="of each file for pictures, search and tables"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        files = sorted(options.folder.glob("*.pdf")) if options.folder else made_files(Path(place))
        if shutil.which("pdftotext"):
            compare_text(files)
            compare_images(files, options.pages)
        else:
            print("pdftotext and pdftoppm are not installed (apt-get install poppler-utils)")
        if options.peer_python:
            compare_with_pdfplumber(files, options.peer_python, options.pages)
        show_growth(max(files, key=lambda path: path.stat().st_size))
    return 0


if __name__ == "__main__":
    sys.exit(main())
