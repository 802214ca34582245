"""Tags, covers and other results in a real browser, down to what is in the downloaded files."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from mutagen.flac import FLAC
from mutagen.id3 import APIC, ID3, TALB, TIT2, TPE1
from playwright.sync_api import Browser, Page, expect

from tests import axe, pictures, sounds
from tests.system import System
from tests.test_browser import download, sign_up, upload
from tests.test_browser_detail import is_refusal
from tests.test_browser_uploads import uppy

__all__ = ["uppy"]
pytestmark = pytest.mark.browser

COVER = ".file-label img.cover"


@pytest.fixture(scope="module")
def site(uppy: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    running = System(tmp_path_factory.mktemp("options")).start()
    yield running
    running.stop()


@pytest.fixture
def song(tmp_path: Path) -> Path:
    """Half a minute of MP3 with tags and a cover, softer than anybody plays music."""
    path = sounds.make(tmp_path / "Low tide.mp3", 30)
    written = ID3()
    for frame in (
        TIT2(encoding=3, text="Low tide"),
        TPE1(encoding=3, text="Zażółć"),
        TALB(encoding=3, text="Shores"),
        APIC(encoding=3, mime="image/png", type=3, desc="", data=pictures.picture()),
    ):
        written.add(frame)
    written.save(path)
    return path


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    page = context.new_page()
    page.refused = []
    page.on("console", lambda said: page.refused.append(said.text) if is_refusal(said) else None)
    page.on("pageerror", lambda error: page.refused.append(str(error)))
    yield page
    assert page.refused == []
    context.close()


def loudness(path: Path) -> float:
    """Return LUFS as FFmpeg's loudnorm measures them."""
    argv = [sounds.FFMPEG, "-hide_banner", "-nostats", "-i", str(path)]
    argv += ["-af", "loudnorm=print_format=summary", "-f", "null", "-"]
    said = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stderr
    return float(re.search(r"Input Integrated: +(\S+)", said)[1])


def keep(page: Page, name: str) -> None:
    assert page.refused == []
    assert axe.look(page, name) == []
    page.refused.clear()  # the styles with which Playwright takes its pictures


def test_what_a_file_says_of_itself_is_shown_edited_and_written_into_its_results(
    page: Page, site: System, song: Path, tmp_path: Path
):
    sign_up(page, site, "editor")
    upload(page, site, song)
    # Nothing is reloaded: what the engine finds out comes by itself.
    expect(page.get_by_text("Your file Low tide is ready.").first).to_be_visible(timeout=120_000)
    expect(page.locator("#file-facts")).to_contain_text("LUFS", timeout=60_000)
    expect(page.get_by_role("slider", name="Position in the sound")).to_be_visible(timeout=60_000)
    expect(page.locator("#file-label")).to_contain_text("Zażółć")
    assert page.locator(COVER).evaluate("image => image.naturalWidth") > 0
    expect(page.locator("#file-state[data-polls]")).to_have_count(0, timeout=60_000)
    expect(page.locator("#rendition-mp4")).to_contain_text("correlation with the original")

    page.get_by_role("link", name="Edit tags").click()
    page.get_by_label("Title").fill("High tide")
    page.get_by_label("Album").fill("")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("These results carry older tags")).to_be_visible()
    keep(page, "older-tags")
    page.get_by_role("button", name="Apply to the results").click()
    expect(page.get_by_text("These results carry older tags")).to_have_count(0)
    for name in ("wav", "flac", "mp4"):
        expect(page.locator(f"#download-{name}")).to_be_visible(timeout=120_000)

    flac = FLAC(download(page, "Download.*FLAC", tmp_path))
    assert flac["title"] == ["High tide"]
    assert flac["artist"] == ["Zażółć"]
    assert "album" not in flac
    assert len(flac.pictures) == 1


def test_a_part_begins_and_ends_where_the_player_is_and_is_as_loud_as_asked(
    page: Page, site: System, song: Path, tmp_path: Path
):
    sign_up(page, site, "cutter")
    upload(page, site, song)
    expect(page.get_by_text("Your file Low tide is ready.").first).to_be_visible(timeout=120_000)
    expect(page.get_by_role("slider", name="Position in the sound")).to_be_visible(timeout=60_000)
    page.get_by_text("More options").click()
    slider = page.get_by_role("slider", name="Position in the sound")
    for steps, button in ((2, "Begin here"), (1, "End here")):  # of five seconds
        slider.focus()
        for _ in range(steps):
            page.keyboard.press("ArrowRight")
        page.get_by_role("button", name=button).click()
    expect(page.get_by_label("From")).to_have_value("0:10.000")
    expect(page.get_by_label("To", exact=True)).to_have_value("0:15.000")
    page.locator("#order [value=flac]").check()
    page.get_by_role("checkbox", name=re.compile("MP3")).check()
    page.get_by_label("Loudness", exact=True).select_option("other")
    page.get_by_label("Loudness in LUFS").fill("−22,5")  # noqa: RUF001
    page.get_by_label("Bit rate of MP3", exact=True).select_option("96")
    expect(page.get_by_label("Bit rate of MP3 in kbit/s")).to_be_hidden()
    keep(page, "order-options")
    page.get_by_role("button", name="Convert").click()

    words = "0:10–0:15, −22.5 LUFS"  # noqa: RUF001
    made = page.locator(".rendition").filter(has_text=f"FLAC ({words})")
    expect(made.get_by_role("link", name="Download")).to_be_visible(timeout=120_000)
    page.set_viewport_size({"width": 1280, "height": 900})
    with page.expect_download() as started:
        made.get_by_role("link", name="Download").click()
    assert started.value.suggested_filename == "Low tide (0.10-0.15 -22.5 LUFS).flac"
    flac = tmp_path / "part.flac"
    started.value.save_as(flac)
    assert sounds.decoded_seconds(flac) == pytest.approx(5, abs=0.01)
    assert loudness(flac) == pytest.approx(-22.5, abs=0.3)

    made = page.locator(".rendition").filter(has_text=f"MP3 ({words}, 96 kbit/s)")
    with page.expect_download() as started:
        made.get_by_role("link", name="Download").click()
    mp3 = tmp_path / "part.mp3"
    started.value.save_as(mp3)
    assert mp3.stat().st_size * 8 / 5 / 1000 == pytest.approx(96, rel=0.25)  # with its cover
    assert loudness(mp3) == pytest.approx(-22.5, abs=0.5)

    # With so many versions they are a list; the sound goes on where it was.
    slider.focus()
    page.keyboard.press("Home")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    page.get_by_label("Version to hear").select_option(f"FLAC ({words})")
    expect(page.locator("#player-time")).to_have_text("0:00 / 0:05")
    page.get_by_label("Version to hear").select_option("Original")
    expect(page.locator("#player-time")).to_have_text("0:10 / 0:30")
    assert "/listen/original/" in page.evaluate("document.getElementById('player-audio').src")
    keep(page, "variants")


def test_what_is_wrong_is_told_beside_its_field_in_open_options(page: Page, site: System, song):
    sign_up(page, site, "hasty")
    upload(page, site, song)
    page.get_by_text("More options").click()
    page.get_by_role("checkbox", name=re.compile("MP3")).check()
    page.get_by_label("From").fill("nan")
    page.get_by_role("button", name="Convert").click()
    field = page.get_by_label("From")
    expect(field).to_have_accessible_description(re.compile("Write a time"))
    expect(field).to_have_value("nan")
    expect(field).to_be_focused()
    keep(page, "order-refused")
