"""What the script of a page does when its questions are refused."""

from __future__ import annotations

import itertools
import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.system import System
from tests.test_browser import sign_up, upload

pytestmark = pytest.mark.browser


@pytest.fixture
def polls(page: Page) -> list[float]:
    """When the page asked for the state of its file."""
    asked: list[float] = []
    page.on(
        "request",
        lambda request: asked.append(time.monotonic()) if "/state/" in request.url else None,
    )
    return asked


def test_w12_a_page_whose_session_ended_says_so_and_asks_no_more(
    page: Page, system: System, long_music: Path, polls: list[float]
):
    sign_up(page, system, "w12")
    upload(page, system, long_music)
    page.context.clear_cookies()
    expect(page.get_by_text("signed out")).to_be_visible(timeout=20_000)
    link = page.get_by_role("alert").get_by_role("link")
    expect(link).to_have_attribute("href", sign_in_address(page))
    count = len(polls)
    page.wait_for_timeout(3500)
    assert len(polls) == count


def test_a_page_that_nobody_sees_asks_nothing_until_it_is_seen(
    page: Page, system: System, long_music: Path, polls: list[float]
):
    sign_up(page, system, "hidden")
    upload(page, system, long_music)
    wait_for_a_poll(page, polls, 1)
    hide = "is => Object.defineProperty(document, 'hidden', {get: () => is, configurable: true})"
    page.evaluate(hide, True)
    page.wait_for_timeout(1500)  # what was asked before
    count = len(polls)
    page.wait_for_timeout(3500)
    assert len(polls) == count
    page.evaluate(hide, False)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    wait_for_a_poll(page, polls, count + 1)


def wait_for_a_poll(page: Page, polls: list[float], count: int) -> None:
    end = time.monotonic() + 60
    while len(polls) < count and time.monotonic() < end:
        page.wait_for_timeout(100)
    assert len(polls) >= count


def sign_in_address(page: Page) -> str:
    path = page.evaluate("encodeURIComponent(location.pathname)")
    return f"/accounts/login/?next={path}"


def test_w11_a_page_that_asks_too_often_waits_as_long_as_it_is_told(
    page: Page, system: System, long_music: Path, polls: list[float]
):
    sign_up(page, system, "w11")

    def too_many(route: Route) -> None:
        route.fulfill(status=429, headers={"Retry-After": "4"}, body="")

    page.route(re.compile("/state/"), too_many)
    upload(page, system, long_music)
    end = time.monotonic() + 60
    while len(polls) < 3 and time.monotonic() < end:
        page.wait_for_timeout(200)
    pauses = [later - earlier for earlier, later in itertools.pairwise(polls)]
    assert len(pauses) >= 2
    assert min(pauses) > 3.5
