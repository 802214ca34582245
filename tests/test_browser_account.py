"""An account in a real browser: a second factor, other sessions, and the end."""

from __future__ import annotations

import contextlib
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from playwright.sync_api import Browser, Page, expect

from tests import screenshots
from tests.screenshots import in_both_looks
from tests.system import System, wait_for
from tests.test_browser import PASSWORD, notice, sign_up, upload
from tests.test_end_to_end import code_of

pytestmark = [pytest.mark.browser, in_both_looks]


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
    page: Page, system: System, look: dict
):
    name = f"hedy-{look['color_scheme']}"
    sign_up(page, system, name)
    secret, recovery_code = turn_on(page, system)

    for answer in ("", recovery_code):
        sign_out(page, system)
        sign_in(page, system, name)
        code = page.get_by_label("Code")
        code.fill("000 000")
        press(page, "Sign in")
        expect(page.get_by_text("Incorrect code.")).to_be_visible()
        expect(code).to_be_focused()
        expect(code).to_have_attribute("aria-describedby", "id_code_error")
        screenshots.keep(page, f"code-refused-{look['color_scheme']}")
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


def test_another_session_is_ended_from_here(
    page: Page, browser: Browser, system: System, look: dict
):
    name = f"ida-{look['color_scheme']}"
    sign_up(page, system, name)
    elsewhere = browser.new_context(user_agent="Mozilla/5.0 (X11; Linux) Firefox/140.0")
    other = elsewhere.new_page()
    sign_in(other, system, name)
    other.wait_for_url(f"{system.url}/audio/")

    page.goto(f"{system.url}/accounts/sessions/")
    page.get_by_role("button", name="Sign out: Firefox, Linux").click()
    expect(notice(page, "Signed out in 1 place.")).to_be_visible()
    screenshots.keep(page, f"session-ended-{look['color_scheme']}")
    other.reload()
    other.wait_for_url(re.compile("/accounts/login/"))
    elsewhere.close()


def test_w9_an_account_is_deleted_while_a_real_job_runs(
    page: Page, system: System, look: dict, long_music: Path
):
    name = f"lise-{look['color_scheme']}"
    sign_up(page, system, name)
    upload(page, system, long_music)
    code = code_of(page.url)
    person = system.rows("SELECT id FROM auth_user WHERE username = ?", name)[0][0]
    job = system.rows("SELECT code FROM audio_transcoder_transcodejob ORDER BY id DESC")[0][0]
    wait_for(lambda: states(system, code) == ["Progressing"], "the engine's begin")
    with stopped_ffmpeg(system):  # the work does not end by itself meanwhile
        page.goto(f"{system.url}/accounts/delete/")
        expect(page.get_by_text("1 conversion that is under way")).to_be_visible()
        page.get_by_label("Your password").fill("not it")
        press(page, "Delete my account")
        expect(page.get_by_text("This is not your password.")).to_be_visible()
        expect(page.get_by_label("Your password")).to_be_focused()
        screenshots.keep(page, f"delete-refused-{look['color_scheme']}")
        page.get_by_label("Your password").fill(PASSWORD)
        press(page, "Delete my account")
        page.wait_for_url(f"{system.url}/accounts/deleted/")
        expect(page.get_by_role("heading", name="Your account is deleted")).to_be_visible()

    page.goto(f"{system.url}/audio/")
    page.wait_for_url(re.compile("/accounts/login/"))
    assert system.count("auth_user", f"id = {person}") == 0
    assert system.count("transcode_messages_message", f"user_id = {person}") == 0
    # The engine does not stop what it has begun; what it tells of its end is taken, and no news.
    wait_for(lambda: states(system, code) == ["Complete"], "the engine's end", 120)
    wait_for(lambda: told(system, code) == {"Delivered"}, "the notices to be taken")
    assert system.count("audio_transcoder_transcodejob", f"code = '{job}'") == 0
    notes = f"owner_id = {person}"
    wait_for(lambda: not system.count("audio_transcoder_deletion", notes), "the last look", 120)
    assert not [key for key in system.objects() if code in key]


@contextlib.contextmanager
def stopped_ffmpeg(system: System) -> Iterator[None]:
    pids = wait_for(system.ffmpeg_pids, "FFmpeg at work")
    for pid in pids:
        system.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            system.kill(pid, signal.SIGCONT)


def states(system: System, code: str) -> list[str]:
    """Return the states that the transcoder's jobs of one file are in."""
    rows = system.rows(
        "SELECT DISTINCT status FROM elastic_transcoder_job WHERE inputs LIKE ?", f"%{code}%"
    )
    return [state for (state,) in rows]


def told(system: System, code: str) -> set[str]:
    """Return how the notices of these jobs fared."""
    rows = system.rows(
        "SELECT n.status FROM elastic_transcoder_notice n JOIN elastic_transcoder_job j"
        " ON j.id = n.job_id WHERE j.inputs LIKE ?",
        f"%{code}%",
    )
    return {status for (status,) in rows}
