"""Fail for names that a reader would mix up, and for folders that hold too much.

A class name is used once. A folder holds at most 15 modules. Long files and functions are only
printed as a warning: what counts is complexity (``check_complexity.py``).
"""

import ast
import sys
from collections import Counter, defaultdict
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src"
MAX_MODULES = 15
LONG_FILE = 500
LONG_FUNCTION = 60


def crowded_folders() -> list[str]:
    """Folders with more modules than a reader can take in."""
    modules = Counter(
        path.parent
        for path in SOURCE.rglob("*.py")
        if path.name not in ("__init__.py", "__main__.py")
    )
    return [
        f"{folder.relative_to(SOURCE)}: {count} modules, at most {MAX_MODULES}"
        for folder, count in sorted(modules.items())
        if count > MAX_MODULES
    ]


def repeated_classes(trees: dict[Path, ast.Module]) -> list[str]:
    """Class names that stand for two things."""
    places: defaultdict[str, list[str]] = defaultdict(list)
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(str(path.relative_to(SOURCE)))
    return [
        f"class {name} is in {', '.join(found)}"
        for name, found in sorted(places.items())
        if len(found) > 1
    ]


def long_parts(trees: dict[Path, ast.Module]) -> list[str]:
    """Files and functions that hold more than one thing, perhaps."""
    warnings: list[str] = []
    for path, tree in trees.items():
        where = path.relative_to(SOURCE)
        lines = path.read_text("utf-8").count("\n")
        if lines > LONG_FILE:
            warnings.append(f"{where}: {lines} lines")
        for node in ast.walk(tree):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > LONG_FUNCTION:
                warnings.append(f"{where}:{node.lineno}: {node.name} has {length} lines")
    return warnings


def main() -> int:
    """Exit code 1 if a name or a folder must change."""
    trees = {path: ast.parse(path.read_text("utf-8")) for path in sorted(SOURCE.rglob("*.py"))}
    for warning in long_parts(trees):
        print(f"warning: {warning}")
    problems = crowded_folders() + repeated_classes(trees)
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
