"""Pictures that a run keeps for a person to look at, in ``SCREENSHOTS`` (``.screenshots/``)."""

from __future__ import annotations

import os
from pathlib import Path

from playwright.sync_api import Page

from tests.system import ROOT

FOLDER = Path(os.environ.get("SCREENSHOTS") or ROOT / ".screenshots").resolve()
kept: list[Path] = []  # by this run


def keep(page: Page, name: str) -> None:
    """Keep the whole page as it looks now, in place of an earlier picture of this name."""
    path = FOLDER / f"{name}.png"
    page.screenshot(path=path, full_page=True, animations="disabled")
    kept.append(path)
