"""axe-core, run on a page as it is, and whatever else holds for how every page looks."""

from __future__ import annotations

from playwright.sync_api import Page

from tests import screenshots
from tests.system import ROOT

FILE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
SIDEWAYS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def look(page: Page, name: str) -> list[str]:
    """Return what is wrong in any theme and width, in words; keep the pictures ``name-…``."""
    found = []
    for each in screenshots.in_every_look(page):
        screenshots.keep(page, f"{name}-{each}")
        found += [f"{each}: {it}" for it in wrong(page)]
    return found


def wrong(page: Page) -> list[str]:
    """Return what axe finds, and whether the page scrolls sideways, in words."""
    wide = page.evaluate(SIDEWAYS)
    return [*violations(page), *([f"scrolls sideways by {wide} px"] if wide > 0 else [])]


def violations(page: Page) -> list[str]:
    """Return what axe finds, in words."""
    assert FILE.is_file(), "there is no axe-core: `make packages` (npm ci) installs it"
    if not page.evaluate("'axe' in window"):
        page.evaluate(FILE.read_text())  # whatever the page's own policy says
    return page.evaluate(
        """async tags => (await axe.run(document, {
            runOnly: {type: "tag", values: tags}, resultTypes: ["violations"],
        })).violations.flatMap(rule => rule.nodes.map(
            node => `${rule.id}: ${node.html.slice(0, 200)} ${node.failureSummary}`))""",
        TAGS,
    )
