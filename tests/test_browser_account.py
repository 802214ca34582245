"""An account in a real browser: a second factor and other sessions."""

from __future__ import annotations

import re
import time

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from playwright.sync_api import Browser, Page, expect

from tests.system import System
from tests.test_browser import PASSWORD, sign_up

pytestmark = pytest.mark.browser


def press(page: Page, name: str) -> None:
    page.get_by_role("main").get_by_role("button", name=re.compile(f"^{name}", re.I)).first.click()


def confirm_password(page: Page) -> None:
    page.get_by_label("Password").fill(PASSWORD)
    press(page, "Confirm")


def type_code(page: Page, secret: str) -> None:
    page.get_by_label(re.compile("code", re.I)).fill(
        format_hotp_value(hotp_value(secret, int(time.time()) // 30))
    )


def turn_on(page: Page, system: System) -> tuple[str, str]:
    """Turn the second factor on; return its secret and a recovery code."""
    page.goto(f"{system.url}/accounts/2fa/")
    page.get_by_role("link", name="Activate").click()
    confirm_password(page)
    expect(page.get_by_role("img", name="QR code")).to_be_visible()
    secret = page.locator(".secret").inner_text()
    type_code(page, secret)
    press(page, "Turn on")
    codes = page.get_by_role("main").get_by_role("listitem")
    expect(codes).to_have_count(10)
    return secret, codes.first.inner_text()


def sign_in(page: Page, system: System, name: str) -> None:
    page.goto(f"{system.url}/accounts/login/")
    page.get_by_label("Username or e-mail address").fill(name)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    press(page, "Sign in")


def sign_out(page: Page, system: System) -> None:
    page.goto(f"{system.url}/accounts/logout/")
    press(page, "Sign out")
    page.wait_for_url(f"{system.url}/")


def test_a_second_factor_is_turned_on_and_signs_in_and_so_does_a_recovery_code(
    page: Page, system: System
):
    sign_up(page, system, "hedy")
    secret, recovery_code = turn_on(page, system)

    for answer in ("", recovery_code):
        sign_out(page, system)
        sign_in(page, system, "hedy")
        code = page.get_by_label("Code")
        code.fill("000 000")
        press(page, "Sign in")
        expect(page.get_by_text("Incorrect code.")).to_be_visible()
        expect(code).to_be_focused()
        expect(code).to_have_attribute("aria-describedby", "id_code_error")
        code.fill(answer) if answer else type_code(page, secret)
        press(page, "Sign in")
        page.wait_for_url(f"{system.url}/audio/")


def test_a_password_can_be_shown_and_is_hidden_again(page: Page, system: System):
    page.goto(f"{system.url}/accounts/login/")
    password = page.get_by_label("Password", exact=True)
    password.fill("geheim")
    page.get_by_role("button", name="Show").click()
    expect(password).to_have_attribute("type", "text")
    page.get_by_role("button", name="Hide").click()
    expect(password).to_have_attribute("type", "password")
    expect(password).to_have_value("geheim")


def test_another_session_is_ended_from_here(page: Page, browser: Browser, system: System):
    sign_up(page, system, "ida")
    elsewhere = browser.new_context(user_agent="Mozilla/5.0 (X11; Linux) Firefox/140.0")
    other = elsewhere.new_page()
    sign_in(other, system, "ida")
    other.wait_for_url(f"{system.url}/audio/")

    page.goto(f"{system.url}/accounts/sessions/")
    page.get_by_role("button", name="Sign out: Firefox, Linux").click()
    expect(page.get_by_text("Signed out in 1 place.")).to_be_visible()
    other.reload()
    other.wait_for_url(re.compile("/accounts/login/"))
    elsewhere.close()
