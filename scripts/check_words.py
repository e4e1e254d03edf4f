"""Find words to avoid in texts that people read: strings, docstrings and comments, documents, web
pages.

``python scripts/check_words.py [PATH ...]`` prints each one with its place and what to say instead.
``words_to_avoid.txt`` has the list. Code spans, identifiers and HTML tags are skipped.
"""

import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
LIST = Path(__file__).with_name("words_to_avoid.txt")
DEFAULT = (
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "docs",
    "src",
    "examples",
    "scripts",
    "chaos",
    "benchmarks",
)
SUFFIXES = {".py", ".md", ".html", ".js", ".lua"}
CODE = re.compile(
    r"(?m:^ *```.*?^ *```)|``.*?``|`[^`]*`|<[^>]*>|https?://\S+|\bNone\b|\b\w+[_./]\w[\w./]*",
    re.DOTALL,
)


class Rule(NamedTuple):
    """One phrase to avoid, what to say instead, and phrases in which it is allowed."""

    phrase: re.Pattern[str]
    instead: str
    allowed: tuple[str, ...]


def read_rules() -> list[Rule]:
    """The list, a phrase a line: ``phrase -> instead ! "allowed phrase" ...``."""
    rules: list[Rule] = []
    for line in LIST.read_text("utf-8").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        phrase, _, rest = line.partition("->")
        instead, _, exceptions = rest.partition("!")
        words = r"\s+".join(re.escape(word) for word in phrase.split())
        pattern = re.compile(rf"(?<![\w-]){words}(?![\w-])", re.IGNORECASE)
        rules.append(Rule(pattern, instead.strip(), tuple(re.findall(r'"([^"]+)"', exceptions))))
    return rules


def texts_of(path: Path) -> Iterator[tuple[int, str]]:
    """The texts of a file that people read, with the line at which each begins."""
    text = path.read_text("utf-8")
    if path.suffix != ".py":
        yield 1, text
        return
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        is_text = token.type == tokenize.STRING and (" " in token.string or "\n" in token.string)
        if is_text or token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def blank(match: re.Match[str]) -> str:
    """As many line breaks as there were, so that lines keep their numbers."""
    return "\n" * match.group().count("\n") or " "


def findings(path: Path, rules: list[Rule]) -> Iterator[tuple[int, str, str]]:
    """Line, phrase and what to say instead."""
    for start, text in texts_of(path):
        plain = CODE.sub(blank, text)
        for rule in rules:
            for match in rule.phrase.finditer(plain):
                around = " ".join(plain[max(0, match.start() - 40) : match.end() + 40].split())
                if any(allowed.lower() in around.lower() for allowed in rule.allowed):
                    continue
                line = start + plain.count("\n", 0, match.start())
                yield line, " ".join(match.group().split()), rule.instead


def files_of(paths: list[str]) -> Iterator[Path]:
    """The files to look at, in order."""
    for name in paths:
        path = ROOT / name
        found = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in found:
            if file.suffix in SUFFIXES and file.is_file() and "demo-site" not in file.parts:
                yield file


def main() -> int:
    """Exit code 1 if there is anything to say better."""
    rules = read_rules()
    count = 0
    for path in files_of(sys.argv[1:] or list(DEFAULT)):
        for line, phrase, instead in findings(path, rules):
            print(f"{path.relative_to(ROOT)}:{line}: {phrase!r} -> {instead}")
            count += 1
    print(f"{count} phrases to say better")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
