"""Every page, looked at in both themes, on a phone and on a desk, by axe and for a person.

The pages are those of the URL table: a new one is here by itself. The run says where the pictures
are.
"""

from __future__ import annotations

import itertools
import json
import re
import signal
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Route

from audio_transcoder.tests import addresses
from audio_transcoder.tests.addresses import NOBODYS, fill, routes
from tests import axe, screenshots
from tests.conftest import IMPATIENT
from tests.system import Person, System, wait_for
from tests.translations import LANGUAGES

pytestmark = pytest.mark.browser

SIDEWAYS = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
THEMES = ("light", "dark")
WIDTHS = (375, 1280)
ERRORS = ("400", "403", "403_csrf", "404", "413", "429", "500", "503")

# How the files that are no work of real workers come about; runs in the system's own shell.
STATES = """
from audio_transcoder.models import AudioFile, Rendition, TranscodeJob
from transcode_messages.models import Message
for name, status, reason in (
    ("Converting", "Progressing", ""), ("Failed", "Error", "damaged"), ("Canceled", "Canceled", "")
):
    job = TranscodeJob.objects.get(audio_file__name=name)
    TranscodeJob.objects.filter(pk=job.pk).update(status=status, progress=42, reason=reason)
    Rendition.objects.filter(job=job).update(status=status, reason=reason)
failed = AudioFile.objects.get(name="Failed")
Message.objects.tell(failed.owner, event="failed:1", about=failed.code, level="error",
    text="Your file Failed could not be converted.", link=failed.get_absolute_url())
"""
# A link of each kind that a visitor may have; runs there, too.
SHARES = """
from audio_transcoder.models import AudioFile, Share
for name in ("Ready", "Waiting"):
    audio_file = AudioFile.objects.filter(name=name).first() or AudioFile.objects.earliest("pk")
    share = Share.objects.create(audio_file=audio_file, with_original=audio_file.name != "Waiting")
    print(f"/s/{share.token}/")
Share.objects.create(audio_file=audio_file, revoked_at=audio_file.created_at)
"""
NAMES = ("Waiting", "Converting", "Failed", "Canceled")
ERROR_PAGES = """
import json
from django.template.loader import get_template
print(json.dumps({name: get_template(f"{name}.html").render() for name in %r}))
"""
RESET_LINK = """
from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from django.contrib.auth import get_user_model
from django.urls import reverse
user = get_user_model().objects.get(username="ada")
print(reverse("account_reset_password_from_key", kwargs={
    "uidb36": user_pk_to_url_str(user), "key": default_token_generator.make_token(user)}))
"""


@dataclass
class Site:
    """A running installation with one person, who has a file in every state."""

    system: System
    person: Person
    visitor: Person
    files: dict[str, str]  # name -> path of its page
    error_pages: dict[str, str]
    reset_link: str
    shared: list[str]  # paths of links for people without an account
    seen: set[str] = field(default_factory=set)

    def addresses(self, name: str) -> list[str]:
        """Return what is to be opened of a route: each kind of thing that it can show."""
        route = next(route for route in routes() if route.name == name)
        special = {
            "account_reset_password_from_key": [self.reset_link],
            "audio:list": ["/audio/?q=nothing-like-it"],
            "messages:list": ["/messages/?show=unread"],
            "shared": self.shared,
        }
        if "code" in route.parameters and name.startswith("audio:"):
            codes = [path.rstrip("/").rpartition("/")[2] for path in self.files.values()]
            return [fill(route, {**NOBODYS, "code": code}) for code in codes]
        return [fill(route, NOBODYS), *special.get(name, [])]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, music: Path) -> Iterator[Site]:
    system = System(tmp_path_factory.mktemp("pages"), **IMPATIENT).start()
    try:
        yield _filled(system, music)
    finally:
        system.stop()


def _filled(system: System, music: Path) -> Site:
    person = Person(system, "ada").sign_up()
    files = {"Ready": person.upload(music)}
    person.wait_until_ready()
    wait_for(lambda: _hold_still(system), "workers that hold no lock")
    for name in NAMES:
        path = music.with_name(f"{name}.mp3")
        path.write_bytes(music.read_bytes())
        files[name] = person.upload(path)
    system.manage("shell", "-c", STATES)
    errors = system.manage("shell", "-v", "0", "-c", ERROR_PAGES % (ERRORS,)).stdout
    reset = system.manage("shell", "-v", "0", "-c", RESET_LINK).stdout
    error_pages = json.loads(errors.strip().splitlines()[-1])
    shared = system.manage("shell", "-v", "0", "-c", SHARES).stdout.split()[-2:]
    visitor = Person(system, "visitor")
    return Site(system, person, visitor, files, error_pages, reset.split()[-1], shared)


def _hold_still(system: System) -> bool:
    """Stop whoever would do the work, so that the files stay as they are; False: not just now."""
    pids = system.pids(r"transcode_worker")
    for pid in pids:
        system.kill(pid, signal.SIGSTOP)
    database = sqlite3.connect(system.data_dir / "db.sqlite3", timeout=1)
    try:
        database.execute("BEGIN IMMEDIATE")
        database.rollback()
    except sqlite3.OperationalError:
        for pid in pids:
            system.kill(pid, signal.SIGCONT)
        return False
    finally:
        database.close()
    return bool(pids)


class Eyes:
    """A browser that looks at a page four times: two themes, two widths."""

    def __init__(self, context: BrowserContext) -> None:
        self.page: Page = context.new_page()
        self.problems: list[str] = []
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.problems.append(f"script: {error}"))

    def _hear(self, message: ConsoleMessage) -> None:
        # The status of the page itself is no fault of what is on it.
        is_own_status = message.location.get("url") == self.page.url and "status of" in message.text
        if message.type == "error" and not is_own_status:
            self.problems.append(f"console: {message.text}")

    def look(self, url: str, name: str) -> list[str]:
        """Return what is wrong with a page, in words, and keep its pictures."""
        self.problems.clear()
        self.page.goto(url, wait_until="load")
        for width, theme in itertools.product(WIDTHS, THEMES):
            self.page.set_viewport_size({"width": width, "height": 800})
            self.page.emulate_media(color_scheme=theme, reduced_motion="reduce")
            screenshots.keep(self.page, f"{name}-{theme}-{width}")
            self.problems += [f"{theme} {width} px: {it}" for it in self._found()]
        return list(self.problems)

    def _found(self) -> list[str]:
        wide = self.page.evaluate(SIDEWAYS)
        sideways = [f"scrolls sideways by {wide} px"] if wide > 0 else []
        return [*axe.violations(self.page), *sideways]


def _context(browser: Browser, **options: object) -> BrowserContext:
    assert axe.FILE.is_file(), "there is no axe-core: `make packages` (npm ci) installs it"
    context = browser.new_context(reduced_motion="reduce", **options)
    context.add_init_script(path=axe.FILE)  # so it runs whatever the page's own policy says
    return context


@pytest.fixture(scope="module")
def of_a_person(browser: Browser, site: Site) -> Iterator[Eyes]:
    context = _context(browser)
    context.add_cookies(_session_of(site.person, site))
    yield Eyes(context)
    context.close()


@pytest.fixture(scope="module")
def of_a_visitor(browser: Browser, site: Site) -> Iterator[Eyes]:
    context = _context(browser)
    yield Eyes(context)
    context.close()


@pytest.fixture(scope="module")
def operator(site: Site) -> Person:
    admin = Person(site.system, "admin")
    admin.password = site.system.secrets()["ADMIN_PASSWORD"]
    admin.get("/accounts/login/")
    admin.sign_in()
    return admin


@pytest.fixture(scope="module")
def of_an_operator(browser: Browser, site: Site, operator: Person) -> Iterator[Eyes]:
    context = _context(browser)
    context.add_cookies(_session_of(operator, site))
    yield Eyes(context)
    context.close()


def is_page(person: Person, address: str) -> bool:
    """Return whether a GET is answered with a whole page, not with a redirect or a part of one."""
    answer = person.get(address, allow_redirects=False)
    assert answer.status_code < 500, (address, answer.status_code)
    is_html = answer.headers.get("Content-Type", "").startswith("text/html")
    return answer.status_code == 200 and is_html and "<html" in answer.text


def file_name(name: str, number: int) -> str:
    return f"{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}-{number}"


NAMED = [route.name for route in routes()]


@pytest.mark.parametrize("name", NAMED)
def test_a_persons_page_is_for_everyone(site: Site, of_a_person: Eyes, name: str):
    assert look_at(site, site.person, of_a_person, name, "person") == []


@pytest.mark.parametrize("name", NAMED)
def test_a_visitors_page_is_for_everyone(site: Site, of_a_visitor: Eyes, name: str):
    assert look_at(site, site.visitor, of_a_visitor, name, "visitor") == []


def look_at(site: Site, who: Person, eyes: Eyes, name: str, whose: str) -> list[str]:
    problems = []
    for number, address in enumerate(site.addresses(name)):
        if address == site.reset_link or is_page(who, address):
            found = eyes.look(site.system.url + address, f"{whose}-{file_name(name, number)}")
            problems += [f"{address}: {problem}" for problem in found]
            site.seen.add(f"{whose} {name}")
    return problems


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_fits_a_phone_in_every_language(site: Site, browser: Browser, language: str):
    """Words are longer elsewhere. The browser's wish is met."""
    problems, seen = [], 0
    for who in (site.person, site.visitor):
        context = _context(browser, locale=language, viewport={"width": WIDTHS[0], "height": 800})
        context.add_cookies(_session_of(who, site))
        page = context.new_page()
        for name, address in ((route, one) for route in NAMED for one in site.addresses(route)):
            if address == site.reset_link or is_page(who, address):
                page.goto(site.system.url + address, wait_until="load")
                screenshots.keep(page, f"{language}-{who.name}-{file_name(name, seen)}")
                if wide := page.evaluate(SIDEWAYS):
                    problems.append(f"{address} scrolls sideways by {wide} px")
                if page.locator("html").get_attribute("lang") != language:
                    problems.append(f"{address} is in another language")
                seen += 1
        context.close()
    assert problems == []
    assert seen > len(NAMED) / 2


def _session_of(who: Person, site: Site) -> list[dict]:
    """Return the cookies of a person but the one that says which language they chose."""
    return [
        {"name": cookie.name, "value": cookie.value, "url": site.system.url}
        for cookie in who.session.cookies
        if cookie.name != "django_language"
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_operators_dashboard_fits_a_phone_in_every_language(
    site: Site, browser: Browser, operator: Person, language: str
):
    context = _context(browser, locale=language, viewport={"width": WIDTHS[0], "height": 800})
    context.add_cookies(_session_of(operator, site))
    page = context.new_page()
    page.goto(f"{site.system.url}/admin/dashboard/?range=30d", wait_until="load")
    page.locator("details > summary").click()
    page.locator("details table").wait_for()
    screenshots.keep(page, f"{language}-operator-dashboard")
    assert page.locator("html").get_attribute("lang") == language
    assert page.evaluate(SIDEWAYS) == 0
    context.close()


def test_the_operators_dashboard_is_for_everyone(site: Site, of_an_operator: Eyes):
    for span in ("24h", "30d"):
        url = f"{site.system.url}/admin/dashboard/?range={span}"
        assert of_an_operator.look(url, f"operator-dashboard-{span}") == []
    assert of_an_operator.page.get_by_role("heading", name="What needs attention").is_visible()


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_page_is_for_everyone(site: Site, of_a_visitor: Eyes, name: str):
    """Rendered by the running system, under the policy of its pages."""
    policy = site.visitor.get("/").headers["Content-Security-Policy"]

    def answer(route: Route) -> None:
        headers = {"Content-Security-Policy": policy, "Content-Type": "text/html; charset=utf-8"}
        route.fulfill(status=int(name[:3]), headers=headers, body=site.error_pages[name])

    url = f"{site.system.url}/error-{name}"
    of_a_visitor.page.route(url, answer)
    assert of_a_visitor.look(url, f"error-{name}") == []


def test_what_is_nowhere_is_said_on_a_page_for_everyone(site: Site, of_a_visitor: Eyes):
    assert of_a_visitor.look(f"{site.system.url}/nowhere/", "nowhere") == []


def test_a_link_that_ended_is_said_on_a_page_for_everyone(site: Site, of_a_visitor: Eyes):
    assert of_a_visitor.look(f"{site.system.url}/s/ended/", "shared-ended") == []


def test_the_pages_that_people_live_on_were_looked_at(site: Site, browser: Browser):
    """A URL table that lost its pages, or a sign-in that failed, must not pass as all well.

    With a browser, like those that look: pytest runs it after them then, and not after everything.
    """
    mine = {"audio:list", "audio:detail", "audio:upload", "audio:delete", "audio:shares"}
    mine |= {"messages:list"}
    accounts = {"account_login", "account_signup", "account_reset_password", "landing", "shared"}
    expected = {f"person {name}" for name in mine} | {f"visitor {name}" for name in accounts}
    assert expected - site.seen == set()


def test_a_page_that_nobody_knows_how_to_open_is_said_by_name():
    route = addresses.Route("share:one", "share/<str:secret>/", ("secret",), lambda: None)
    with pytest.raises(AssertionError, match=r"what to put for secret in the address 'share/"):
        fill(route, NOBODYS)


def test_axe_finds_what_is_wrong(of_a_visitor: Eyes, site: Site):
    url = f"{site.system.url}/wrong"
    body = "<html><body><img src='/static/none.png'><p style='width:3000px'>wide</p></body></html>"
    of_a_visitor.page.route(url, lambda r: r.fulfill(content_type="text/html", body=body))
    found = " ".join(of_a_visitor.look(url, "wrong"))
    assert "image-alt" in found
    assert "html-has-lang" in found
    assert "scrolls sideways" in found
    assert "console: " in found
