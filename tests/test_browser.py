"""The journey in a real browser: Chromium, driven by Playwright."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests import screenshots, sounds
from tests.screenshots import on_both_kinds_and_looks
from tests.system import Person, System
from tests.test_end_to_end import code_of

pytestmark = [pytest.mark.browser, on_both_kinds_and_looks]

PASSWORD = "a long Pass-phrase 7"


def sign_up(page: Page, system: System, name: str) -> None:
    page.goto(f"{system.url}/accounts/signup/")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password", exact=False).first.fill(PASSWORD)
    page.get_by_label("Password", exact=False).nth(1).fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name=re.compile("sign up", re.I)).click()
    page.wait_for_url(f"{system.url}/audio/")


def upload(page: Page, system: System, music: Path) -> None:
    page.goto(f"{system.url}/audio/upload/")
    page.get_by_label("Sound file").set_input_files(music)
    page.get_by_role("main").get_by_role("button", name=re.compile("upload", re.I)).click()
    page.wait_for_url(re.compile(r"/audio/[0-9a-f-]{36}/$"), timeout=60_000)


def notice(page: Page, text: str) -> Locator:
    """Return what the page shows to everybody; its script says the same to screen readers."""
    return page.locator(".notices").get_by_text(text)


def download(page: Page, link_name: str, folder: Path) -> Path:
    with page.expect_download() as started:
        page.get_by_role("link", name=re.compile(link_name)).first.click()
    path = folder / started.value.suggested_filename
    started.value.save_as(path)
    return path


def stored(system: System, url: str, format_name: str) -> bytes:
    """Return the bytes of a result as they lie in the store."""
    code = code_of(f"{url}/")
    found = [path for path in system.objects() if code in path and path.endswith(format_name)]
    assert len(found) == 1
    return system.read_object(found[0])


def test_a_seven_minute_mp3_from_sign_up_to_three_downloads(
    page: Page, system: System, look: dict, long_music: Path, tmp_path: Path
):
    sign_up(page, system, "ada")
    upload(page, system, long_music)
    # Nothing below reloads the page.
    expect(page.get_by_role("progressbar").first).to_be_visible(timeout=20_000)
    told = page.get_by_text("Your file Seven minutes is ready.")
    expect(told.first).to_be_visible(timeout=120_000)

    for name in ("WAV", "FLAC", "MP4"):
        path = download(page, f"Download.*{name}|{name}.*Download", tmp_path)
        assert path.name == f"Seven minutes.{name.lower()}"
        assert sounds.decoded_seconds(path) == pytest.approx(420, abs=0.1)
        assert path.read_bytes() == stored(system, page.url, name.lower())
    assert download(page, "original", tmp_path).read_bytes() == long_music.read_bytes()

    page.get_by_role("radio", name="WAV").check()
    player = page.locator("audio")
    played = player.evaluate(
        """async audio => {
            audio.muted = true;
            await audio.play();
            audio.currentTime = 300;
            await new Promise(done => audio.addEventListener("seeked", done, {once: true}));
            return [audio.duration, audio.currentTime];
        }"""
    )
    assert played[0] == pytest.approx(420, abs=1)
    assert played[1] == pytest.approx(300, abs=2)

    page.goto(f"{system.url}/audio/")
    expect(told.first).to_be_visible()
    screenshots.keep(page, f"journey-{look['color_scheme']}")
    page.get_by_role("button", name=re.compile("dismiss", re.I)).first.click()
    expect(told).to_have_count(0)
    page.reload()
    expect(told).to_have_count(0)

    page.get_by_role("link", name="Seven minutes").first.click()
    page.get_by_role("link", name=re.compile("delete", re.I)).click()
    page.get_by_role("button", name=re.compile("delete", re.I)).click()
    page.wait_for_url(f"{system.url}/audio/")
    expect(page.get_by_text("Seven minutes")).to_have_count(0)


def test_w13_the_whole_journey_works_without_scripts(
    browser: Browser, system: System, look: dict, long_music: Path, tmp_path: Path
):
    context = browser.new_context(java_script_enabled=False, accept_downloads=True, **look)
    page = context.new_page()
    sign_up(page, system, "grace")
    upload(page, system, long_music)
    Person.wait_until_ready(Person(system, "grace"))
    page.reload()
    expect(page.get_by_text("Your file Seven minutes is ready.").first).to_be_visible()

    for name in ("WAV", "FLAC", "MP4"):
        path = download(page, f"Download.*{name}|{name}.*Download", tmp_path)
        assert sounds.decoded_seconds(path) == pytest.approx(420, abs=0.1)

    page.get_by_role("button", name=re.compile("dismiss", re.I)).first.click()
    expect(page.get_by_text("Your file Seven minutes is ready.")).to_have_count(0)
    page.goto(f"{system.url}/audio/")
    page.get_by_role("link", name="Seven minutes").first.click()
    page.get_by_role("link", name=re.compile("delete", re.I)).click()
    page.get_by_role("button", name=re.compile("delete", re.I)).click()
    expect(page.get_by_text("Seven minutes")).to_have_count(0)
    context.close()


def test_a_file_that_is_no_sound_is_refused_in_words(page: Page, system: System, tmp_path: Path):
    letter = tmp_path / "letter.mp3"
    letter.write_text("Dear Sir or Madam, " * 500)
    sign_up(page, system, "linus")
    page.goto(f"{system.url}/audio/upload/")
    page.get_by_label("Sound file").set_input_files(letter)
    page.get_by_role("main").get_by_role("button", name=re.compile("upload", re.I)).click()
    expect(page.get_by_text("not a sound file we know").first).to_be_visible()
