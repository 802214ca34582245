"""How pages are looked at, and the pictures that a run keeps for a person to look at.

They go to the folder ``SCREENSHOTS`` (``.screenshots/``).
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.system import ROOT

THEMES = ("light", "dark")
WIDTHS = (375, 1280)
# What a browser is opened with. Two journeys meet both themes and both widths.
PHONE = {"viewport": {"width": WIDTHS[0], "height": 800}, "color_scheme": "dark"}
DESK = {"viewport": {"width": WIDTHS[1], "height": 800}, "color_scheme": "light"}

# Marks a test to be run on a phone in the dark and at a desk in the light; it and its fixture
# ``page`` have the fixture ``look``.
in_both_looks = pytest.mark.parametrize(
    "look", [pytest.param(PHONE, id="phone-dark"), pytest.param(DESK, id="desk-light")]
)
# The same, on folders and on a real S3 server.
on_both_kinds_and_looks = pytest.mark.parametrize(
    ("system", "look"),
    [
        pytest.param("folders", PHONE, id="folders-phone-dark"),
        pytest.param("s3", DESK, id="s3-desk-light", marks=pytest.mark.s3),
    ],
    indirect=["system"],
)

FOLDER = Path(os.environ.get("SCREENSHOTS") or ROOT / ".screenshots").resolve()
BEGAN_S = time.time()


def kept() -> list[Path]:
    """Return the pictures of this run, whichever of its processes keeps them."""
    return [path for path in FOLDER.glob("*.png") if path.stat().st_mtime >= BEGAN_S]


def keep(page: Page, name: str) -> None:
    """Keep the whole page as it looks now, in place of an earlier picture of this name."""
    page.evaluate("scrollTo(0, 0)")  # what sticks to the window stands where it does at first
    path = FOLDER / f"{name}.png"
    page.screenshot(path=path, full_page=True, animations="disabled")


def in_every_look(page: Page) -> Iterator[str]:
    """Show the page in each theme and width in turn, and yield their name; it stays in the last."""
    for width, theme in itertools.product(WIDTHS, THEMES):
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        yield f"{theme}-{width}"
