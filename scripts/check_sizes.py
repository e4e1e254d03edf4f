"""Fail for a file over 500 lines or a function over 50: by then it holds more than one concept."""

import ast
import sys
from pathlib import Path

MAX_FILE = 500
MAX_FUNCTION = 50

problems: list[str] = []
for path in sorted(path for folder in ("src", "chaos") for path in Path(folder).rglob("*.py")):
    text = path.read_text(encoding="utf-8")
    lines = text.count("\n")
    if lines > MAX_FILE:
        problems.append(f"{path}: {lines} lines")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            length = node.end_lineno - node.lineno + 1
            if length > MAX_FUNCTION:
                problems.append(f"{path}:{node.lineno}: {node.name} has {length} lines")
for problem in problems:
    print(problem)
sys.exit(bool(problems))
