"""docs/scoring.md and the rules in the code are the same table."""

import re
from pathlib import Path

from checkback.kinds.pages.scoring.rules import AXES, DIMENSIONS, MAX_FOR_AXE, RULES, Rule
from checkback.kinds.pages.scoring.score import GRADES

TEXT = (Path(__file__).parents[4] / "docs" / "scoring.md").read_text("utf-8")


def row(rule: Rule) -> str:
    """The line of scoring.md about one rule; copy it from here when the test fails."""
    points = f"{rule.first:g}"
    if rule.each:
        points += f", then {rule.each:g} each, at most {rule.most:g}"
    return f"| `{rule.name}` | {rule.axis or '-'} | {rule.dimension} | {points} | {rule.why} | {rule.fix} |"


def test_every_rule_is_documented_as_it_counts() -> None:
    rows = [line for line in TEXT.splitlines() if re.match(r"\| `[\w-]+` \|(?:[^|]*\|){5}$", line)]
    assert rows == [row(rule) for rule in RULES.values()]


def test_axes_shares_and_grades_are_documented() -> None:
    for axis, share in AXES.items():
        assert f"| {axis} | {share:.0%} |" in TEXT
    for axis, share in DIMENSIONS.items():
        assert f"| {axis} | {share:g} |" in TEXT
    assert f"at most {MAX_FOR_AXE:g} points" in TEXT
    for least, letter in GRADES:
        assert f"{letter} from {least}" in TEXT
