"""The threat model rests on tests that are there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "SECURITY.md"
ATTACKERS = (
    "A stolen token",
    "A stolen node",
    "A malicious proxy",
    "A malicious tenant",
    "A writer to a platform",
    "A stolen store",
    "A network attacker",
)


def section(title: str) -> str:
    """The text below a heading."""
    found = re.search(
        rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.DOTALL | re.MULTILINE
    )
    assert found, f"{PAGE.name} says nothing of: {title}"
    return found[1]


def functions(file: str) -> set[str]:
    """The names of a file's tests."""
    tree = ast.parse((ROOT / file).read_text())
    return {each.name for each in tree.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("attacker", ATTACKERS)
def test_each_attacker_is_answered_by_tests_that_exist(attacker: str) -> None:
    """Of each attacker it is said what it has, can and cannot do and what to do then, and every test it names is there."""
    text = section(attacker)
    for word in ("**Has**", "**Can**", "**Cannot**", "**The operator**", "Shown by:"):
        assert word in text, f"{attacker}: {word} is missing"
    named = re.findall(r"^- `(tests/[a-z0-9_/]+\.py)::(test_[a-z0-9_]+)`$", text, re.MULTILINE)
    listed = [line for line in text.splitlines() if line.startswith("- `")]
    assert len(named) == len(listed) > 5
    missing = [f"{file}::{test}" for file, test in named if test not in functions(file)]
    assert missing == []


def test_links_of_the_page_lead_somewhere() -> None:
    """Every page that it leads to is there."""
    links = re.findall(r"\]\(([^)#]+)", PAGE.read_text())
    assert links
    assert [each for each in links if not (ROOT / each).exists()] == []
