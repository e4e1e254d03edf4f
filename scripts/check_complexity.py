"""Fail when code is dense: branches per line of code, and functions with too many branches.

Counted for functions of 8 lines of code and more (no docstrings, blank lines, comments): ``if``,
loops, ``except``, ``with``, conditional expressions, comprehensions, ``case`` and further operands
of ``and`` and ``or``. Unlike ruff's C901 this sees logic that was folded into comprehensions and
chained conditions.
"""

import ast
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
MAX_MEDIAN = 0.22
"""Branches per line of code of the median function."""
MAX_COMPLEXITY = 12
ALLOWED: frozenset[str] = frozenset()
"""Functions that may have more, as ``path:name``; at most ten, each with a reason next to it."""
LEAST_LINES = 8
BRANCHES = (
    ast.If,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.ExceptHandler,
    ast.With,
    ast.AsyncWith,
    ast.IfExp,
    ast.comprehension,
    ast.match_case,
)


class Measured(NamedTuple):
    """One function: branches per line of code, complexity, lines of code, where it is."""

    density: float
    complexity: int
    lines: int
    place: str
    key: str


def branches(node: ast.AST) -> int:
    """How many ways through a function there are besides the first."""
    count = 0
    for inner in ast.walk(node):
        if isinstance(inner, BRANCHES):
            count += 1
        elif isinstance(inner, ast.BoolOp):
            count += len(inner.values) - 1
    return count


def lines_of_code(function: ast.FunctionDef | ast.AsyncFunctionDef, text: list[str]) -> int:
    """Lines that are not blank, a comment or part of the docstring."""
    docstring = range(0)
    first = function.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        docstring = range(first.lineno, (first.end_lineno or first.lineno) + 1)
    count = 0
    for number in range(function.lineno, (function.end_lineno or function.lineno) + 1):
        line = text[number - 1].strip()
        if number not in docstring and line and not line.startswith("#"):
            count += 1
    return count


def functions(paths: list[str]) -> Iterator[Measured]:
    """Each function of some size."""
    for name in paths:
        for path in (
            sorted((ROOT / name).rglob("*.py")) if (ROOT / name).is_dir() else [ROOT / name]
        ):
            source = path.read_text("utf-8")
            text = source.splitlines()
            for node in ast.walk(ast.parse(source)):
                if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    continue
                lines = lines_of_code(node, text)
                if lines < LEAST_LINES:
                    continue
                count = branches(node)
                where = path.relative_to(ROOT)
                place, key = f"{where}:{node.lineno} {node.name}", f"{where}:{node.name}"
                yield Measured(count / lines, count + 1, lines, place, key)


def main() -> int:
    """Exit code 1 if the code is denser than it may be."""
    found = list(functions(sys.argv[1:] or ["src"]))
    median = statistics.median(function.density for function in found)
    dense = [function for function in found if function.complexity > MAX_COMPLEXITY]
    print(f"{len(found)} functions, median {median:.3f} branches a line of code")
    for function in sorted(dense, reverse=True):
        word = "allowed" if function.key in ALLOWED else "too complex"
        print(f"{word}: complexity {function.complexity}, {function.lines} lines, {function.place}")
    if "-v" in sys.argv:
        return 0
    too_dense = [function for function in dense if function.key not in ALLOWED]
    return 1 if median > MAX_MEDIAN or too_dense else 0


if __name__ == "__main__":
    sys.exit(main())
