"""Covers and tags in a real browser: brought with the upload, cut, edited."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests import pictures, screenshots
from tests.screenshots import on_both_kinds_and_looks
from tests.system import System
from tests.test_browser import notice, sign_up, upload

pytestmark = [pytest.mark.browser, on_both_kinds_and_looks]

IS_DRAWN = "image => image.complete && image.naturalWidth"


def drawn_width(page: Page, image_name: str) -> int:
    image = page.get_by_role("img", name=image_name)
    expect(image).to_be_visible()
    image.evaluate("image => image.decode()")
    return image.evaluate(IS_DRAWN)


def test_a_cover_comes_with_the_upload_and_a_part_of_it_is_dragged(
    page: Page, system: System, look: dict, tmp_path: Path
):
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    music = pictures.sound_with(
        tmp_path / "song.mp3", pictures.picture((800, 400)), title="Night & Day", artist="AC/DC"
    )
    sign_up(page, system, f"cover-{system.port}")
    upload(page, system, music)
    assert drawn_width(page, "Cover") == 320
    expect(page.get_by_text("AC/DC")).to_be_visible()

    page.get_by_role("link", name="Change the cover").click()
    image = page.get_by_role("img", name=re.compile("The cover of"))
    expect(image).to_be_visible()
    box = image.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 1)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 1, box["y"] + box["height"] - 1, steps=5)
    page.mouse.up()
    expect(page.get_by_label("From the left, %")).to_have_value("50")
    expect(page.get_by_label("Width, %")).to_have_value(re.compile("49|50"))
    screenshots.keep(page, f"cover-part-{look['color_scheme']}")
    page.get_by_role("button", name="Save").click()
    expect(notice(page, "The cover is saved.")).to_be_visible()
    assert drawn_width(page, "The cover of song") <= 402

    page.get_by_role("button", name="Remove the cover").click()
    expect(notice(page, "The cover was removed.")).to_be_visible()
    expect(page.get_by_role("img", name="There is no cover yet.")).to_be_visible()
    refused = [text for text in said if "Content Security Policy" in text or "Error" in text]
    assert not refused


def test_w13_without_scripts_covers_and_tags_are_plain_forms(
    browser: Browser, system: System, look: dict, tmp_path: Path
):
    music = pictures.sound_with(tmp_path / "song.flac", pictures.picture(), title="Old")
    other = tmp_path / "other.png"
    other.write_bytes(pictures.picture((600, 600), colour="gold"))
    page = browser.new_context(java_script_enabled=False, **look).new_page()
    sign_up(page, system, f"plain-{system.port}")
    upload(page, system, music)

    page.get_by_role("link", name="Change the cover").click()
    page.get_by_label("Picture").set_input_files(other)
    page.get_by_label("Height, %").fill("50")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The cover is saved.")).to_be_visible()
    cover = page.get_by_role("img", name="The cover of song")
    assert (cover.get_attribute("width"), cover.get_attribute("height")) == ("600", "300")

    page.get_by_role("link", name="← song").click()
    page.get_by_role("link", name="Edit tags").click()
    page.get_by_label("Title").fill("New")
    page.get_by_label("Year").fill("soon")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Write a year or a date")).to_be_visible()
    page.get_by_label("Year").fill("1999-12-31")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("1999-12-31")).to_be_visible()
    expect(page.get_by_text("New", exact=True)).to_be_visible()
    page.context.close()
