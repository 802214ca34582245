"""A link in real browsers: its owner makes it, somebody without an account opens it, it ends."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests import pictures, screenshots
from tests.screenshots import on_both_kinds_and_looks
from tests.system import System
from tests.test_browser import download, notice, sign_up, stored, upload

pytestmark = [pytest.mark.browser, on_both_kinds_and_looks]

IS_PLAYED = "audio => new Promise(done => audio.addEventListener('ended', () => done(true)))"


def ready_file(page: Page, system: System, music: Path, name: str) -> str:
    """Upload as a new person; return the address of the file once its results are there."""
    sign_up(page, system, f"{name}-{system.port}")
    upload(page, system, music)
    expect(page.get_by_role("link", name="Download MP4")).to_be_visible(timeout=120_000)
    return page.url


def test_a_link_plays_and_downloads_for_whoever_has_it_until_its_owner_ends_it(
    page: Page, browser: Browser, system: System, look: dict, tmp_path: Path
):
    said: list[str] = []
    music = pictures.sound_with(tmp_path / "song.mp3", pictures.picture(), artist="AC/DC")
    url = ready_file(page, system, music, "share")
    page.reload()  # the choice of results is the page's, as it was loaded
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    sharing = page.get_by_role("region", name="Share")
    sharing.get_by_label("How long it works").select_option("one day")
    sharing.get_by_role("button", name="Make a link").click()
    expect(notice(page, "The link is ready.")).to_be_visible()
    page.clock.install()
    page.clock.pause_at(time.time() + 60)  # the button says it for three seconds
    sharing.get_by_role("button", name="Copy").click()
    expect(sharing.get_by_role("button", name="Copied")).to_be_visible()
    page.clock.run_for(3000)
    expect(sharing.get_by_role("button", name="Copied")).to_have_count(0)
    page.clock.resume()
    link = page.evaluate("() => navigator.clipboard.readText()")
    assert link == sharing.get_by_label("Link to song").input_value()
    address = re.sub(r"^http://[^/]+", system.url, link)

    context = browser.new_context(**look)
    visitor = context.new_page()
    visitor.on("console", lambda message: said.append(message.text))
    visitor.goto(address)
    expect(visitor.get_by_role("heading", name="song", level=1)).to_be_visible()
    expect(visitor.get_by_text("AC/DC")).to_be_visible()
    assert visitor.locator(".shared-cover").evaluate("image => image.decode().then(() => true)")
    versions = visitor.get_by_role("navigation", name="Version to hear")
    expect(versions.locator("[aria-current]")).to_have_text("MP4")
    player = visitor.locator("audio")
    player.evaluate(
        """async audio => {
            audio.muted = true;
            await audio.play();
            audio.pause();
            await new Promise(done => { audio.onseeked = done; audio.currentTime = 0.5; });
        }"""
    )
    versions.get_by_role("link", name="FLAC").click()
    expect(versions.locator("[aria-current]")).to_have_text("FLAC")
    second = player.evaluate(
        """audio => new Promise(done => {
            audio.onseeked = () => done(audio.currentTime);
            audio.play();
        })"""
    )
    assert second >= 0.5
    screenshots.keep(visitor, f"shared-journey-{look['color_scheme']}")
    assert player.evaluate(f"audio => audio.ended || ({IS_PLAYED})(audio)")
    path = download(visitor, "Download FLAC", tmp_path)
    assert path.name == "song.flac"
    assert path.read_bytes() == stored(system, url, "flac")
    assert not [text for text in said if "Content Security Policy" in text]
    assert context.cookies() == []

    page.reload()
    expect(sharing.get_by_text("heard 2 times")).to_be_visible()
    expect(sharing.get_by_text("downloaded 1 time")).to_be_visible()
    sharing.get_by_role("link", name="All your links").click()
    page.get_by_role(
        "button", name=re.compile("^End this link song All results.* works until")
    ).click()
    expect(page.get_by_text("ended by you on")).to_be_visible()
    screenshots.keep(page, f"link-ended-{look['color_scheme']}")
    assert visitor.reload().status == 404
    expect(visitor.get_by_role("heading", name="This link does not work any more")).to_be_visible()
    context.close()


def test_w13_without_scripts_links_are_made_opened_and_ended(
    browser: Browser, system: System, look: dict, music: Path, tmp_path: Path
):
    context = browser.new_context(java_script_enabled=False, **look)
    page = context.new_page()
    sign_up(page, system, f"plain-share-{system.port}")
    upload(page, system, music)
    sharing = page.get_by_role("region", name="Share")
    sharing.get_by_label("With the original file").check()
    sharing.get_by_role("button", name="Make a link").click()
    expect(sharing.get_by_role("button", name="Copy")).to_be_hidden()
    link = sharing.get_by_role("textbox", name=re.compile("Link to")).input_value()

    visitor_context = browser.new_context(java_script_enabled=False, **look)
    visitor = visitor_context.new_page()
    visitor.goto(re.sub(r"^http://[^/]+", system.url, link))
    path = download(visitor, "Download Original", tmp_path)
    assert path.read_bytes() == music.read_bytes()
    sharing.get_by_role("button", name="End this link").click()
    expect(page.get_by_text("The link does not work any more.")).to_be_visible()
    assert visitor.reload().status == 404
    visitor_context.close()
    context.close()
