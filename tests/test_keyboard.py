"""The whole journey by Tab, Enter and Space alone, with the focus visible at every stop."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Download, Page, expect

from tests import sounds
from tests.system import System
from tests.test_browser import PASSWORD

pytestmark = pytest.mark.browser

MOST_STOPS = 80

# What has the focus: its words, and whether somebody sees that it has it. An outline of the page's
# own ground, or one on something that has no size, would not be seen.
FOCUSED = """() => {
    const it = document.activeElement;
    if (!it || it === document.body) return {words: "", html: "", place: [], isSeen: true};
    const names = [it.ariaLabel, it.innerText, it.textContent, it.title,
        ...[...(it.labels ?? [])].map(label => label.innerText)];
    const style = getComputedStyle(it), box = it.getBoundingClientRect();
    const middle = document.elementFromPoint(
        Math.min(Math.max(box.left + box.width / 2, 0), innerWidth - 1),
        Math.min(Math.max(box.top + box.height / 2, 0), innerHeight - 1));
    const isDrawn = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2
        && style.outlineColor !== getComputedStyle(document.body).backgroundColor;
    return {
        words: names.filter(Boolean).join(" ").replace(/\\s+/g, " ").trim(),
        html: it.outerHTML.slice(0, 160),
        place: [box.top, box.bottom, innerHeight].map(Math.round),
        isSeen: isDrawn && box.width >= 2 && box.height >= 2
            && (it.contains(middle) || Boolean(middle?.contains(it))
                || Boolean(middle?.closest("label")?.contains(it))),
    };
}"""


class Keyboard:
    """Somebody who has no mouse."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.stops = 0

    def go_to(self, words: str) -> None:
        """Press Tab until what has these words has the focus."""
        met = []
        for _ in range(MOST_STOPS):
            self.page.keyboard.press("Tab")
            focused = self.page.evaluate(FOCUSED)
            self.stops += 1
            where = "{html} at {place}".format(**focused)
            assert focused["isSeen"], f"the focus is not to be seen on {where}"
            if re.search(words, focused["words"], re.IGNORECASE):
                return
            met.append(focused["words"])
        raise AssertionError(f"Tab never comes to {words!r}, only to {met}")

    def press(self, words: str, key: str = "Enter") -> None:
        self.go_to(words)
        self.page.keyboard.press(key)

    def write(self, words: str, text: str) -> None:
        self.go_to(words)
        self.page.keyboard.type(text)

    def download(self, words: str) -> Download:
        self.go_to(words)
        with self.page.expect_download() as started:
            self.page.keyboard.press("Enter")
        return started.value


@pytest.mark.parametrize("width", [375, 1280])
def test_from_the_start_page_to_a_download_without_a_mouse(
    page: Page, system: System, music: Path, tmp_path: Path, width: int
):
    page.set_viewport_size({"width": width, "height": 740})
    keyboard = Keyboard(page)
    page.on("filechooser", lambda _chooser: None)  # from now on none opens a window of the system

    page.goto(system.url)
    keyboard.press("Choose a sound file")
    page.wait_for_url(f"{system.url}/accounts/signup/?next=/audio/upload/")
    keyboard.write("^Username", f"keys{width}")
    keyboard.write("^Password", PASSWORD)
    keyboard.write("^Password", PASSWORD)
    keyboard.press("^Sign up", "Space")

    page.wait_for_url(f"{system.url}/audio/upload/")  # where the way began
    keyboard.go_to("Sound file")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(music)
    keyboard.press("^MP3", "Space")
    keyboard.press("^Upload and convert", "Space")
    page.wait_for_url(re.compile(r"/audio/[0-9a-f-]{36}/$"), timeout=60_000)

    expect(page.get_by_text("is ready").first).to_be_visible(timeout=120_000)
    # Facts and waveform come after the message, and move the page.
    expect(page.locator("#file-state[data-polls]")).to_have_count(0, timeout=60_000)
    started = keyboard.download("Download.*FLAC|FLAC.*Download")
    started.save_as(tmp_path / "result.flac")
    assert sounds.decoded_seconds(tmp_path / "result.flac") == pytest.approx(5, abs=0.1)
    assert started.suggested_filename == "Five seconds.flac"

    keyboard.press("account menu")
    keyboard.press("^Sign out", "Space")
    page.wait_for_url(f"{system.url}/")
    assert keyboard.stops > 30


def test_the_first_stop_skips_what_every_page_repeats(page: Page, system: System):
    page.goto(system.url)
    keyboard = Keyboard(page)
    keyboard.press("Skip to the content")
    keyboard.go_to("Choose a sound file")
    assert keyboard.stops == 2


def test_a_focus_that_is_not_seen_is_noticed(page: Page, system: System):
    page.goto(system.url)
    page.evaluate("document.querySelector('.brand').style.outline = 'none'")
    with pytest.raises(AssertionError, match=r"not to be seen on <a class=.brand"):
        Keyboard(page).go_to("Choose a sound file")
