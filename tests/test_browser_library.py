"""The library in a real browser: by keyboard, on a wide screen and on a phone."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests import axe, screenshots
from tests.screenshots import in_both_looks
from tests.system import Person, System
from tests.test_browser import notice, sign_up, upload

pytestmark = [pytest.mark.browser, in_both_looks]

# What screen readers are told, one after the other.
HEARD = """
window.heard = [];
document.addEventListener("DOMContentLoaded", () => {
    const announcer = document.getElementById("announcer");
    new MutationObserver(() => {
        if (announcer.textContent) heard.push(announcer.textContent);
    }).observe(announcer, {childList: true});
});
"""


def tab_to(page: Page, name: str, role: str = "button") -> None:
    """Move the focus forward until it is on the control with this name."""
    wanted = page.get_by_role(role, name=name, exact=True).first
    tab_until(page, lambda: wanted.evaluate("element => element === document.activeElement"), name)


def tab_until(page: Page, is_there: Callable[[], bool], name: str) -> None:
    for _ in range(80):
        page.keyboard.press("Tab")
        if is_there():
            return
    raise AssertionError(f"no way by keyboard to {name}")


def test_two_files_are_selected_fetched_and_deleted_by_keyboard(
    page: Page, system: System, look: dict, music: Path, tmp_path: Path
):
    width = look["viewport"]["width"]
    name = f"lib{width}"
    sign_up(page, system, name)
    for _ in range(2):
        upload(page, system, music)
    Person(system, name).wait_until_ready(2)
    page.add_init_script(HEARD)
    page.goto(f"{system.url}/audio/?sort=name")
    expect(page.get_by_text("ready", exact=True).locator("visible=true").first).to_be_visible()

    tab_to(page, "Five seconds", "checkbox")
    page.keyboard.press("Space")
    is_file = "document.activeElement.name === 'file'"
    tab_until(page, lambda: page.evaluate(is_file), "the second file")
    page.keyboard.press("Space")
    expect(page.locator(".bulk-count")).to_have_text("Selected: 2")
    screenshots.keep(page, f"library-selected-{look['color_scheme']}")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate("heard") == ["Selected: 1", "Selected: 2"]
    assert axe.wrong(page) == []  # with the bar open
    everything = page.get_by_label("Select all on this page")
    expect(everything).to_be_checked()
    everything.uncheck()
    assert page.evaluate("heard.at(-1)") == "Nothing is selected"
    everything.check()
    expect(page.locator(".bulk-count")).to_have_text("Selected: 2")
    if width == 375:  # the columns have no heads there
        label = "element => getComputedStyle(element, '::before').content"
        assert '"Length' in page.locator(".number-cell").locator("visible=true").first.evaluate(
            label
        )

    tab_to(page, "Download as ZIP")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/several/download/"))
    tab_to(page, "Download")
    with page.expect_download() as started:
        page.keyboard.press("Enter")
    path = tmp_path / "all.zip"
    started.value.save_as(path)
    with zipfile.ZipFile(path) as zipped:
        assert zipped.testzip() is None
        assert sorted(zipped.namelist()) == [
            f"{label}/Five seconds{number}.{label.lower()}"
            for label in ("FLAC", "MP4", "WAV")
            for number in (" (2)", "")
        ]

    tab_to(page, "Back to the library", "link")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/audio/\?sort=name"))
    boxes = page.get_by_role("checkbox", name="Five seconds", exact=True)
    for box in boxes.all():
        box.check()
    tab_to(page, "Delete")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Delete 2 files?")).to_be_visible()
    tab_to(page, "Delete for good")
    page.keyboard.press("Enter")
    expect(notice(page, "2 files are deleted.")).to_be_visible()
    expect(page.get_by_text("Your library is empty")).to_be_visible()
