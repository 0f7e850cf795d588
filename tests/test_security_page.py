"""What docs/security.md promises is tested where it says so: every test that it names is there, and every attack has one."""

import ast
import re
from functools import cache
from pathlib import Path
from typing import Final

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
NAMED = re.compile(r"`(tests/[a-z0-9_/]+\.py)(?:::(test_[a-z0-9_]+))?`")
ATTACKS: Final = (  # what has to stand among them, whatever else does
    *("a replayed approval", "an approval for changed content", "a stolen session without factor"),
    *("the certificate of another caller", "a JWT for another audience, with `alg` none", "tampering with the log"),
    *("mass assignment", "oversized requests", "slow requests"),
)


@cache
def named_in(path: str) -> frozenset[str]:
    """The names of the tests in a file."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(one.name for one in ast.walk(tree) if isinstance(one, kinds) and one.name.startswith("test_"))


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a heading."""
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


def test_every_test_that_the_page_names_is_there() -> None:
    named = NAMED.findall(PAGE)
    assert len(named) > 60
    missing = [path for path, _ in named if not (ROOT / path).is_file()]
    assert not missing
    assert not [f"{path}::{test}" for path, test in named if test and test not in named_in(path)]
    empty = {path for path, _ in named if not named_in(path) and "TestCase" not in (ROOT / path).read_text(encoding="utf-8")}
    assert not empty, "a file without tests tests nothing"


@pytest.mark.parametrize(
    "heading", ["Attacks, by name", "Schemes, threats and their tests", "What is promised, and where it is tested"]
)
def test_every_row_of_a_table_names_a_test(heading: str) -> None:
    found = rows(heading)
    assert len(found) > 8
    untested = [row[0] for row in found if not NAMED.search(row[-1]) and row[-1] != "the same"]
    assert not untested


def test_every_attack_has_a_row_whose_tests_are_named_one_by_one() -> None:
    told = {row[0]: NAMED.findall(row[-1]) for row in rows("Attacks, by name")}
    assert not [attack for attack in ATTACKS if not any(name.startswith(attack) for name in told)]
    assert not [name for name, tests in told.items() if not tests or not all(test for _, test in tests)]
