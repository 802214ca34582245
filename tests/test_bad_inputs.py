"""The table of bad inputs is whole, and every test that it names exists."""

from __future__ import annotations

import ast
import functools
import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "docs" / "bad-inputs.md"
LAST = {"U": 26, "F": 29, "S": 17, "N": 29, "W": 17, "K": 19, "D": 12}
NUMBERS = [f"{letter}{number}" for letter, last in LAST.items() for number in range(1, last + 1)]
LATER = ("the whole API", "on AWS", "a pleasure to use", "many machines")

Row = tuple[str, str, str, str]


def rows(text: str) -> list[Row]:
    """Return the rows of all tables whose first cell is a number, cell by cell."""
    lines = re.findall(r"^\| ([A-Z]\d+) \|(.*)\|$", text, re.MULTILINE)
    # A | inside a cell is written \|, as Markdown wants it.
    return [(number, *map(str.strip, re.split(r"(?<!\\)\|", rest))) for number, rest in lines]


def problems(row: Row) -> list[str]:
    """Return what is wrong with a row, in words; nothing when it is as it should be."""
    if len(row) != 4:
        return [f"it has {len(row)} cells instead of 4"]
    _number, case, outcome, covered = row
    tests = re.findall(r"`([\w/]+\.py)::(\w+)`", covered)
    later = re.findall(r"later: ([^-`;]+) - (\w[^;`]+)", covered)
    found = [] if case and outcome else ["case or outcome is empty"]
    if not tests and not later:
        found.append("neither a test nor `later: piece of work - reason`")
    if covered.count("later:") != len(later):
        found.append("a `later` without a piece of work and a reason")
    found += [f"no such piece of work: {piece}" for piece, _ in later if piece not in LATER]
    found += [f"no such test: {path}::{name}" for path, name in tests if not is_test(path, name)]
    return found


def is_test(path: str, name: str) -> bool:
    return name.startswith("test_") and name in functions(path)


@functools.cache
def functions(path: str) -> frozenset[str]:
    """Return the names of the functions at the top of a file; none when there is no such file."""
    file = ROOT / path
    if not file.is_file() or "tests" not in file.relative_to(ROOT).parts:
        return frozenset()
    return frozenset(
        node.name for node in ast.parse(file.read_text()).body if isinstance(node, ast.FunctionDef)
    )


def numbered_tests() -> set[str]:
    """Return every test whose name says which case it shows, as path::name."""
    found = set()
    for file in ROOT.glob("*/tests/**/test_*.py"):
        found |= _numbered_in(file)
    for file in (ROOT / "tests").glob("test_*.py"):
        found |= _numbered_in(file)
    return found


def _numbered_in(file: Path) -> set[str]:
    path = str(file.relative_to(ROOT))
    return {f"{path}::{name}" for name in functions(path) if re.match(r"test_[a-z]\d+_", name)}


def numbers_of(test: str) -> list[str]:
    """Return the numbers that a test's name begins with: ``test_u1_u2_what`` has U1 and U2."""
    name = test.partition("::test_")[2]
    return [part.upper() for part in re.match(r"(?:[a-z]\d+_)+", name)[0].split("_") if part]


def test_every_case_is_in_the_table_once():
    counted = Counter(row[0] for row in rows(TABLE.read_text()))
    assert [number for number in NUMBERS if counted[number] != 1] == []
    assert set(counted) == set(NUMBERS)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_row_names_tests_that_exist_or_what_comes_later(number):
    found = [row for row in rows(TABLE.read_text()) if row[0] == number]
    assert [problem for row in found for problem in problems(row)] == []
    assert found


def test_every_test_that_names_a_case_stands_in_its_row():
    cells = {row[0]: row[-1] for row in rows(TABLE.read_text())}
    missing = [
        f"{number}: {test}"
        for test in sorted(numbered_tests())
        for number in numbers_of(test)
        if f"`{test}`" not in cells.get(number, "")
    ]
    assert missing == []


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (("U1", "a", "b", ""), "neither"),
        (("U1", "a", "b", "later: on AWS"), "without a piece of work"),
        (("U1", "a", "b", "later: next year - no time"), "no such piece"),
        (("U1", "a", "b", "`tests/test_bad_inputs.py::test_nowhere`"), "no such test"),
        (("U1", "a", "b", "`tests/test_nowhere.py::test_x`"), "no such test"),
        (("U1", "", "b", "later: on AWS - there is none yet"), "empty"),
        (("U1", "a", "later: on AWS - there is none yet"), "cells"),
    ],
)
def test_a_bad_row_is_noticed(row, problem):
    assert any(problem in found for found in problems(row))


def test_a_good_row_is_no_problem():
    test = "`tests/test_bad_inputs.py::test_a_good_row_is_no_problem`"
    assert problems(("U1", "a", "b", test)) == []
    assert problems(("U1", "a", "b", f"{test}; later: on AWS - there is no such upload yet")) == []
