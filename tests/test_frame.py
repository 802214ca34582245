"""What the script of every page does for whoever does not see it, or was refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.system import System
from tests.test_browser import sign_up, upload

pytestmark = pytest.mark.browser

# Keeps what screen readers are told, beyond the page that tells it.
LISTEN = """document.addEventListener("DOMContentLoaded", () => {
    const announcer = document.getElementById("announcer");
    new MutationObserver(() => {
        if (announcer.textContent) sessionStorage.said =
            JSON.stringify([...JSON.parse(sessionStorage.said ?? "[]"), announcer.textContent]);
    }).observe(announcer, {childList: true});
});"""


def test_what_a_page_brings_as_news_is_told_once_to_whoever_does_not_see_it(
    page: Page, system: System
):
    sign_up(page, system, "helen")  # which is told too
    page.add_init_script(LISTEN)
    page.goto(f"{system.url}/accounts/")
    page.get_by_role("main").get_by_role("button", name="Save").click()
    notice = page.locator(".notices .notice")
    expect(notice).to_have_text("Saved.")
    assert said(page, 1) == ["Saved."]
    page.goto(f"{system.url}/audio/?q=nothing")
    assert said(page, 2) == ["Saved.", "0 files found"]


def said(page: Page, count: int) -> list[str]:
    """Wait until so many things were said; return all that was."""
    page.wait_for_function("n => JSON.parse(sessionStorage.said ?? '[]').length >= n", arg=count)
    return page.evaluate("JSON.parse(sessionStorage.said)")


def test_a_form_that_was_refused_begins_at_the_first_field_to_change(
    page: Page, system: System, music: Path
):
    sign_up(page, system, "john")
    upload(page, system, music)
    page.get_by_role("link", name="Edit tags").click()
    page.get_by_label("Title").fill("Good")
    page.get_by_label("Year").fill("soon")
    page.get_by_role("main").get_by_role("button", name="Save").click()
    expect(page.get_by_label("Year")).to_be_focused()
    expect(page.get_by_label("Year")).to_have_accessible_description(re.compile("Write a year"))


def test_a_refusal_that_replaced_its_form_opens_what_hides_the_field(page: Page, system: System):
    sign_up(page, system, "rose")
    page.goto(f"{system.url}/messages/preferences/")
    form = """<form class="card preferences"><details><summary>More</summary>
        <label>Good <input></label> <label>Bad <input aria-invalid="true"></label>
        </details></form>"""

    def refuse(route: Route) -> None:
        route.fulfill(content_type="text/html", body=form)

    page.route("**/messages/preferences/", refuse)
    page.evaluate(
        """() => htmx.ajax("POST", location.href,
            {source: "main form", target: "main form", swap: "outerHTML"})"""
    )
    expect(page.get_by_label("Bad")).to_be_focused()
