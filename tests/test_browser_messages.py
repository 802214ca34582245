"""Messages in a real browser: live, by keyboard, on a phone, and outside the page."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests import axe, sounds
from tests.system import System, wait_for
from tests.test_browser import notice, sign_up, upload
from transcode_messages.tests.smtp import SmtpServer, smtp_server

pytestmark = pytest.mark.browser

PHONE = {"width": 375, "height": 740}


@pytest.fixture(scope="module")
def mail_server() -> Iterator[SmtpServer]:
    with smtp_server() as server:
        yield server


@pytest.fixture(scope="module")
def mailing(tmp_path_factory, mail_server: SmtpServer) -> Iterator[System]:
    """An installation that sends its mail to a server, to addresses as people gave them."""
    running = System(
        tmp_path_factory.mktemp("mailing"),
        EMAIL_URL=f"smtp://127.0.0.1:{mail_server.port}",
        ACCOUNT_EMAIL_VERIFICATION="none",
        # The one sound of these tests that fails is longer than this.
        MAX_DURATION_S=600,
    ).start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def short_music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sounds.make(tmp_path_factory.mktemp("music") / "Choir.mp3", 3)


@pytest.fixture
def tell(mailing: System) -> Callable[..., None]:
    """Write a message as the site itself does."""

    def write(name: str, text: str, level: str = "error", **values: str) -> None:
        mailing.manage(
            "shell",
            "-c",
            "import uuid;"
            "from django.contrib.auth import get_user_model as people;"
            "from transcode_messages.models import Message;"
            f"user = people().objects.get(username={name!r});"
            f"Message.objects.tell(user, event=str(uuid.uuid4()), about=uuid.uuid4(),"
            f" level={level!r}, text={text!r}, **{values!r})",
        )

    return write


def have_address(system: System, name: str) -> None:
    system.manage(
        "shell",
        "-c",
        "from django.contrib.auth import get_user_model as people;"
        f"people().objects.filter(username={name!r}).update(email='{name}@example.org')",
    )


def keep_picture(page: Page, name: str) -> None:
    """Leave pictures for a person to look at, after axe did."""
    assert axe.look(page, f"messages-{name}") == []
    page.emulate_media(color_scheme="light")


def fits(page: Page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_a_message_comes_to_another_page_by_itself_and_goes_by_keyboard(
    page: Page, mailing: System, long_music: Path, short_music: Path
):
    sign_up(page, mailing, "hedy")
    other = page.context.new_page()
    upload(page, mailing, long_music)
    other.goto(f"{mailing.url}/accounts/password/change/")
    other.bring_to_front()

    told = other.get_by_role("link", name="Your file Seven minutes is ready.")
    expect(told).to_be_visible(timeout=120_000)  # nothing reloads it
    expect(other.locator("#unread-count")).to_contain_text("1")

    other.keyboard.press("Tab")
    for _ in range(30):
        if other.evaluate("document.activeElement.id").startswith("dismiss-"):
            break
        other.keyboard.press("Tab")
    other.keyboard.press("Enter")

    expect(told).to_have_count(0)
    expect(other.locator("#unread-count")).to_be_hidden()
    # The focus is not lost: it is where one goes on.
    other.wait_for_function("() => document.activeElement !== document.body")
    other.reload()
    expect(told).to_have_count(0)


def test_nothing_is_asked_when_nothing_is_open_or_nobody_looks(
    page: Page, mailing: System, long_music: Path
):
    sign_up(page, mailing, "mary")
    asked: list[str] = []
    page.on("request", lambda r: asked.append(r.url) if "/messages/unread/" in r.url else None)
    page.goto(f"{mailing.url}/audio/upload/")
    section = page.locator("#unread-messages")
    assert "every" not in section.get_attribute("hx-trigger")

    # Work is open, and the page is not looked at.
    upload(page, mailing, long_music)
    assert "every" in section.get_attribute("hx-trigger")
    hide(page, is_hidden=True)
    asked.clear()
    page.evaluate("htmx.trigger('#unread-messages', 'messages-changed')")
    page.evaluate("new Promise(done => requestIdleCallback(done, {timeout: 2000}))")
    assert asked == []
    # It is looked at again, and asks at once.
    with page.expect_request(re.compile("/messages/unread/")):
        hide(page, is_hidden=False)


def hide(page: Page, *, is_hidden: bool) -> None:
    """Let the page believe that nobody sees it, or somebody does again."""
    page.evaluate(
        """isHidden => {
            Object.defineProperty(document, "hidden", {value: isHidden, configurable: true});
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        is_hidden,
    )


def test_a_failure_is_read_filtered_retried_and_mailed(
    page: Page, mailing: System, mail_server: SmtpServer, tell, short_music: Path
):
    sign_up(page, mailing, "rosa")
    have_address(mailing, "rosa")
    upload(page, mailing, short_music)
    expect(page.get_by_text("Your file Choir is ready.").first).to_be_visible(timeout=60_000)
    text = "Your file Choir <b>x</b> could not be converted to FLAC. Please try once more."
    path = page.url.removeprefix(mailing.url)
    tell("rosa", text, link=path, retry_url=f"{path}retry/")

    page.goto(f"{mailing.url}/audio/")
    retry = page.locator("#unread-messages").get_by_role("button", name="Try again")
    expect(retry).to_be_visible()
    keep_picture(page, "alerts")

    page.goto(f"{mailing.url}/messages/")
    keep_picture(page, "list")
    page.set_viewport_size(PHONE)
    assert fits(page)
    page.get_by_role("link", name="Failures").click()
    expect(page.get_by_role("link", name="Choir <b>x</b> could not")).to_be_visible()
    expect(page.get_by_text("Your file Choir is ready.")).to_have_count(0)
    page.get_by_role("link", name=re.compile("^Unread")).click()
    expect(page.locator(".message")).to_have_count(2)
    page.get_by_role("button", name="Dismiss all").click()
    expect(page.get_by_role("button", name="Dismiss all")).to_have_count(0)
    page.goto(f"{mailing.url}/messages/?show=unread")
    expect(page.get_by_role("heading", name="Nothing unread")).to_be_visible()
    keep_picture(page, "empty")

    wait_for(lambda: len(mail_server.mails) == 1, "the mail")
    (mail,) = mail_server.mails
    assert mail["To"] == "rosa@example.org"
    assert f"{path}" in mail.get_body(("plain",)).get_content()
    page.goto(f"{mailing.url}/messages/?show=failures")
    page.get_by_role("button", name="Try again").click()
    page.wait_for_url(f"{mailing.url}{path}")

    # What the mail looks like, and its way out, by somebody who is not signed in.
    letter = mail.get_body(("html",)).get_content()
    stop_url = re.search(r'href="([^"]+/unsubscribe/[^"]+)"', letter)[1]
    page.context.clear_cookies()
    program = page.context.new_page()
    program.set_content(letter)
    keep_picture(program, "mail")
    page.goto(re.sub(r"^https?://[^/]+", mailing.url, stop_url))
    keep_picture(page, "unsubscribe")
    page.get_by_role("button", name="Stop these e-mails").click()
    expect(page.get_by_role("heading", name="These e-mails are stopped")).to_be_visible()


def test_preferences_are_chosen_on_a_phone_by_keyboard(page: Page, mailing: System):
    sign_up(page, mailing, "joan")
    have_address(mailing, "joan")
    page.set_viewport_size(PHONE)
    page.goto(f"{mailing.url}/messages/")
    page.get_by_role("link", name="How you are told").click()
    assert fits(page)
    expect(page.get_by_text("joan@example.org")).to_be_visible()

    box = page.get_by_label("When a file is ready")
    box.focus()
    page.keyboard.press("Space")
    page.keyboard.press("Enter")

    expect(notice(page, "Saved.")).to_be_visible()
    expect(box).to_be_checked()
    expect(page.get_by_label("When a file could not be converted")).to_be_checked()
    keep_picture(page, "preferences")


@pytest.fixture
def permitting(browser: Browser, mailing: System) -> Iterator[BrowserContext]:
    """A browser whose person answers yes, and that keeps a list of what it showed."""
    context = browser.new_context()
    context.add_init_script(
        """
        window.shown = [];
        window.questions = 0;
        let permission = sessionStorage.permission ?? "default";
        window.Notification = class {
            static get permission() { return permission; }
            static async requestPermission() {
                window.questions += 1;
                permission = sessionStorage.permission = "granted";
                return permission;
            }
            constructor(title, options) { window.shown.push(options); }
            close() {}
        };
        """
    )
    yield context
    context.close()


def test_the_browser_is_asked_by_a_click_and_shows_what_comes_to_a_hidden_page(
    permitting: BrowserContext, mailing: System, long_music: Path, tell
):
    page = permitting.new_page()
    sign_up(page, mailing, "edith")
    page.goto(f"{mailing.url}/messages/preferences/")
    assert page.evaluate("questions") == 0
    page.get_by_label("Show new messages outside the page").check()
    expect(page.get_by_text("This browser may show them.")).to_be_visible()
    assert page.evaluate("questions") == 1
    page.get_by_role("button", name="Save").click()
    expect(notice(page, "Saved.")).to_be_visible()
    assert page.evaluate("questions") == 0

    upload(page, mailing, long_music)
    page.goto(f"{mailing.url}/audio/")
    hide(page, is_hidden=True)
    tell("edith", "Your file Birds could not be converted.", link="/audio/")
    told = "Error: Your file Birds could not be converted."
    # A page that nobody sees asks only now and then.
    page.wait_for_function(
        """body => {
            htmx.trigger("#unread-messages", "messages-changed");
            return window.shown.some(it => it.body === body);
        }""",
        arg=told,
        polling=1000,
        timeout=120_000,
    )
    assert page.evaluate("told => shown.filter(it => it.body === told).length", told) == 1
