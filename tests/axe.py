"""axe-core, run on a page as it is."""

from __future__ import annotations

from playwright.sync_api import Page

from tests.system import ROOT

FILE = ROOT / "node_modules" / "axe-core" / "axe.min.js"  # an init script of the context
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def violations(page: Page) -> list[str]:
    """Return what axe finds, in words."""
    return page.evaluate(
        """async tags => (await axe.run(document, {
            runOnly: {type: "tag", values: tags}, resultTypes: ["violations"],
        })).violations.flatMap(rule => rule.nodes.map(
            node => `${rule.id}: ${node.html.slice(0, 200)} ${node.failureSummary}`))""",
        TAGS,
    )
