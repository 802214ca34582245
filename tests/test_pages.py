"""Every page, looked at in both themes, on a phone and on a desk, by axe and for a person.

The pages are those of the URL table: a new one is here by itself. What a page becomes by what
somebody does stands in STATES. The run says where the pictures are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Route,
    expect,
)

from audio_transcoder.tests import addresses
from audio_transcoder.tests.addresses import NOBODYS, fill, routes
from tests import axe, pictures, screenshots
from tests.conftest import IMPATIENT
from tests.system import Person, System, wait_for
from tests.test_templates import ERRORS
from tests.translations import LANGUAGES

pytestmark = pytest.mark.browser

NAMES = ("Waiting", "Converting", "Failed", "Canceled")

# What is in the URL table and no page, and why.
NO_PAGES = {
    "audio:begin-upload": "a script's call",
    "audio:upload-parts": "a script's call",
    "audio:complete": "a script's call",
    "audio:sign-part": "a script's call",
    "audio:upload-params": "a script's call",
    "audio:upload-arrived": "a script's call",
    "audio:open-uploads": "a script's call",
    "audio:put-part": "takes a part of a file",
    "audio:post-form": "takes a file",
    "audio:end-share": "takes POST alone",
    "audio:state": "a part of a page",
    "audio:row": "a part of a page",
    "audio:order": "takes POST alone; what it refuses is among the STATES",
    "audio:retry": "takes POST alone",
    "audio:cancel": "takes POST alone",
    "audio:apply-label": "takes POST alone",
    "audio:cover": "a picture",
    "audio:share": "takes POST alone",
    "audio:download": "a sound",
    "audio:listen": "a sound",
    "shared-cover": "a picture",
    "shared-listen": "a sound",
    "shared-download": "a sound",
    "messages:unread": "a part of a page",
    "messages:read-message": "takes POST alone",
    "messages:read-all": "takes POST alone",
    "account_confirm_login_code": "signing in by a code in a mail is off",
    "mfa_download_recovery_codes": "a file",
    "set_language": "takes POST alone",
    "robots": "programs read it",
}
# Pages that want a password of just now; without it they lead to the page that asks for it.
FRESH = {"mfa_activate_totp", "mfa_deactivate_totp", "mfa_view_recovery_codes",
         "mfa_generate_recovery_codes"}  # fmt: skip
# What only others than a person with files and a visitor see, or see otherwise.
# The second factor is turned on by nobody whose address is not confirmed.
OTHERS = {
    "careful": ("mfa_index", "mfa_reauthenticate", "mfa_view_recovery_codes",
                "mfa_generate_recovery_codes", "mfa_deactivate_totp", "account_profile"),
    "half-signed-in": ("mfa_authenticate",),
    "newcomer": ("audio:list", "audio:shares", "messages:list", "mfa_activate_totp",
                 "account_set_password", "account_email", "account_delete"),
}  # fmt: skip

# How comes about what is no work of real workers; runs in the system's own shell.
SCENE = """
import json
from allauth.account.forms import default_token_generator
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from allauth.account.utils import user_pk_to_url_str
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.contrib.auth import get_user_model
from django.template.loader import get_template
from django.test import Client
from django.urls import reverse
from django.utils import translation
from audio_transcoder.models import AudioFile, Rendition, Share, TranscodeJob
from transcode_messages.letters import unsubscribe_token
from transcode_messages.models import Message, Preferences

for name, status, reason in (
    ("Converting", "Progressing", ""), ("Failed", "Error", "damaged"), ("Canceled", "Canceled", "")
):
    job = TranscodeJob.objects.get(audio_file__name=name)
    TranscodeJob.objects.filter(pk=job.pk).update(status=status, progress=42, reason=reason)
    Rendition.objects.filter(job=job).update(status=status, reason=reason)
    job.audio_file.keep_state()
failed = AudioFile.objects.get(name="Failed")
ada = failed.owner
Message.objects.tell(ada, event="failed:1", about=failed.code, level="error",
    text="Your file Failed could not be converted.", link=failed.get_absolute_url())

shared = []
for name in ("Ready", "Waiting"):
    audio_file = AudioFile.objects.get(name=name)
    share = Share.objects.create(audio_file=audio_file, with_original=name == "Ready")
    shared.append(f"/s/{share.token}/")
Share.objects.create(audio_file=audio_file, revoked_at=audio_file.created_at)

addresses = EmailAddress.objects
addresses.create(user=ada, email="ada@example.org", primary=True, verified=True)
later = addresses.create(user=ada, email="ada.lovelace@example.org")
preferences, _ = Preferences.objects.get_or_create(user=ada)
reset = reverse("account_reset_password_from_key", kwargs={
    "uidb36": user_pk_to_url_str(ada), "key": default_token_generator.make_token(ada)})

people = get_user_model().objects
careful = people.get(username="careful")
TOTP.activate(careful, generate_totp_secret())
RecoveryCodes.activate(careful)
newcomer = people.create_user("newcomer")
browser = Client()
browser.force_login(newcomer)

errors = {}
for language in ("en", "pl", "es"):
    with translation.override(language):
        errors[language] = {name: get_template(f"{name}.html").render() for name in %r}
print(json.dumps({
    "errors": errors,
    "newcomer": browser.cookies["sessionid"].value,
    "account_confirm_email": [
        reverse("account_confirm_email", args=[EmailConfirmationHMAC(later).key])],
    "account_reset_password_from_key": [reset],
    "messages:unsubscribe": [
        reverse("messages:unsubscribe", args=[unsubscribe_token(preferences, "failed")])],
    "shared": shared,
}))
"""


@dataclass
class Site:
    """A running installation with people in it; one of them has a file in every state."""

    system: System
    people: dict[str, Person]
    files: dict[str, str]  # name -> path of its page
    made: dict[str, list[str]]  # name of a route -> addresses that work
    error_pages: dict[str, dict[str, str]]  # language -> name -> page
    seen: set[tuple[str, str]] = field(default_factory=set)

    def code(self, name: str) -> str:
        return self.files[name].rstrip("/").rpartition("/")[2]

    def addresses(self, name: str) -> list[str]:
        """Return what is to be opened of a route: each kind of thing that it can show."""
        route = next(route for route in routes() if route.name == name)
        special = {
            **self.made,
            "audio:list": ["/audio/?q=nothing-like-it"],
            "messages:list": ["/messages/?show=unread"],
            "audio:several-retry": [f"/audio/several/retry/?file={self.code('Failed')}"],
            "audio:several-cancel": [f"/audio/several/cancel/?file={self.code('Waiting')}"],
        }
        for act in ("download", "delete", "order"):
            both = f"file={self.code('Ready')}&file={self.code('Failed')}"
            special[f"audio:several-{act}"] = [f"/audio/several/{act}/?{both}"]
        if "code" in route.parameters and name.startswith("audio:"):
            return [fill(route, {**NOBODYS, "code": self.code(file)}) for file in self.files]
        return [fill(route, NOBODYS), *special.get(name, [])]

    def person(self, whose: str) -> Person:
        """Return somebody; half a sign-in, which ends after a quarter of an hour, is begun anew."""
        who = self.people[whose]
        if whose == "half-signed-in":
            who.post("/accounts/login/", {"login": who.name, "password": who.password})
        return who

    def opened(self, whose: str, name: str) -> Iterator[tuple[str, str]]:
        """Yield the address and a name for the picture of each page that somebody sees there."""
        who = self.person(whose)
        if name in FRESH:
            who.post("/accounts/reauthenticate/", {"password": who.password})
        for number, address in enumerate(self.addresses(name)):
            # What the link of a mail leads to is a page of its own.
            if address in self.made["account_reset_password_from_key"] or is_page(who, address):
                yield address, f"{whose}-{file_name(name, number)}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, music: Path) -> Iterator[Site]:
    system = System(tmp_path_factory.mktemp("pages"), **IMPATIENT).start()
    try:
        yield _filled(system, music)
    finally:
        system.stop()


def _filled(system: System, music: Path) -> Site:
    person = Person(system, "ada").sign_up()
    tags = {"title": "Low tide", "artist": "Ana Díaz", "album": "Shores"}
    song = pictures.sound_with(music.with_name("Ready.mp3"), pictures.picture(), seconds=65, **tags)
    files = {"Ready": person.upload(song)}
    person.wait_until_ready()
    wait_for(lambda: "dBTP" in person.get(files["Ready"]).text, "what is known of the sound", 120)
    wait_for(lambda: system.count("audio_transcoder_audiofile", "cover != ''"), "its cover")
    wait_for(lambda: system.count("audio_transcoder_waveform"), "its waveform", 120)
    system.stand_still(lambda: system.pids(r"transcode_worker"))  # the files stay as they are
    for name in NAMES:
        path = music.with_name(f"{name}.mp3")
        path.write_bytes(music.read_bytes())
        files[name] = person.upload(path)
    careful = Person(system, "careful").sign_up()
    said = system.manage("shell", "-v", "0", "-c", SCENE % (ERRORS,)).stdout
    made = json.loads(said.strip().splitlines()[-1])
    newcomer = Person(system, "newcomer")
    newcomer.session.cookies.set("sessionid", made.pop("newcomer"))
    people = {"person": person, "visitor": Person(system, "visitor"), "careful": careful,
              "half-signed-in": Person(system, "careful"), "newcomer": newcomer}  # fmt: skip
    errors = made.pop("errors")
    return Site(system, people, files, made, errors)


Act = Callable[[Page], object]


class Eyes:
    """A browser that looks at a page four times: two themes, two widths."""

    def __init__(self, context: BrowserContext) -> None:
        self.page: Page = context.new_page()
        self.problems: list[str] = []
        self.opened: set[str] = set()
        self.is_taking_pictures = False
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.problems.append(f"script: {error}"))
        self.page.on("request", self._note)

    def _note(self, request: Request) -> None:
        if request.is_navigation_request():
            self.opened.add(request.url.partition("#")[0])

    def _hear(self, message: ConsoleMessage) -> None:
        # Whatever a browser loads in place of a page may have any status: that is no fault.
        url = message.location.get("url", "").partition("#")[0]
        is_own_status = url in self.opened and "status of" in message.text
        # Playwright puts a style into every part of the page of which it takes a picture.
        is_pictures_style = self.is_taking_pictures and "inline style" in message.text
        if message.type == "error" and not is_own_status and not is_pictures_style:
            self.problems.append(f"console: {message.text}")

    def look(self, url: str, name: str, act: Act = lambda _page: None) -> list[str]:
        """Return what is wrong with a page after ``act``, in words, and keep its pictures."""
        self.problems.clear()
        self.is_taking_pictures = False
        self.page.set_viewport_size({"width": screenshots.WIDTHS[-1], "height": 800})
        self.page.goto(url, wait_until="load")
        act(self.page)
        self.is_taking_pictures = True
        self.problems += axe.look(self.page, name)
        return list(self.problems)


def _context(browser: Browser, **options: object) -> BrowserContext:
    return browser.new_context(reduced_motion="reduce", **options)


@pytest.fixture(scope="module")
def eyes_of(browser: Browser, site: Site) -> Iterator[Callable[[Person], Eyes]]:
    """Whoever looks with the session of somebody; each has one browser for all pages."""
    kept: dict[int, Eyes] = {}
    with ExitStack() as contexts:

        def eyes(who: Person) -> Eyes:
            if id(who) not in kept:
                kept[id(who)] = Eyes(contexts.enter_context(_context(browser)))
            kept[id(who)].page.context.add_cookies(_session_of(who, site))
            return kept[id(who)]

        yield eyes


@pytest.fixture(scope="module")
def of_a_visitor(site: Site, eyes_of: Callable[[Person], Eyes]) -> Eyes:
    return eyes_of(site.people["visitor"])


@pytest.fixture(scope="module")
def operator(site: Site) -> Person:
    admin = Person(site.system, "admin")
    admin.password = site.system.secrets()["ADMIN_PASSWORD"]
    admin.get("/accounts/login/")
    admin.sign_in()
    return admin


def is_page(person: Person, address: str) -> bool:
    """Return whether a GET is answered with a whole page, not with a redirect or a part of one."""
    answer = person.get(address, allow_redirects=False)
    assert answer.status_code < 500, (address, answer.status_code)
    is_html = answer.headers.get("Content-Type", "").startswith("text/html")
    return answer.status_code == 200 and is_html and "<html" in answer.text


def file_name(name: str, number: int) -> str:
    return f"{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}-{number}"


NAMED = [route.name for route in routes() if route.name not in NO_PAGES]
SIGHTS = [(whose, name) for whose in ("person", "visitor") for name in NAMED]
SIGHTS += [(whose, name) for whose, names in OTHERS.items() for name in names]


@pytest.mark.parametrize(("whose", "name"), SIGHTS)
def test_a_page_is_for_everyone(site: Site, eyes_of, whose: str, name: str):
    problems = []
    for address, picture in site.opened(whose, name):
        found = eyes_of(site.person(whose)).look(site.system.url + address, picture)
        problems += [f"{address}: {problem}" for problem in found]
        site.seen.add((whose, name))
    assert problems == []


# --- What pages become by what somebody does ----------------------------------------------------


def press(name: str) -> Act:
    def act(page: Page) -> None:
        words = re.compile(f"^{name}$", re.IGNORECASE)
        page.get_by_role("main").get_by_role("button", name=words).first.click()

    return act


def refused(button: str, *said: str, **fields: str) -> Act:
    """Fill fields by their names and press the button; each of ``said`` stands on the page then."""

    def act(page: Page) -> None:
        page.evaluate("for (const it of document.querySelectorAll('main details')) it.open = true")
        for name, value in fields.items():
            page.locator(f"main [name={name}]:visible").fill(value)
        # What the browser itself would refuse, too.
        page.evaluate("for (const form of document.forms) form.noValidate = true")
        press(button)(page)
        for text in said:
            expect(page.get_by_role("main").get_by_text(text).first).to_be_visible()

    return act


def open_menu(page: Page) -> None:
    page.locator(".account-menu summary").click()
    expect(page.get_by_role("link", name="Your links")).to_be_visible()


def tick_files(page: Page) -> None:
    for box in page.locator("input[name=file]").all()[:2]:
        box.check()
    expect(page.locator(".bulk-count")).to_have_text("Selected: 2")


def see_player(page: Page) -> None:
    expect(page.get_by_role("slider", name="Position in the sound")).to_be_visible()


def open_options(page: Page) -> None:
    see_player(page)
    page.get_by_text("More options").click()
    expect(page.get_by_role("button", name="Begin here")).to_be_visible()


def choose_files(page: Page) -> None:
    sounds = [{"name": f"{name}.wav", "mimeType": "audio/wav", "buffer": b"RIFF" + bytes(5000)}
              for name in ("Low tide", "A very long name of a recording " * 4)]  # fmt: skip
    letter = {"name": "letter.txt", "mimeType": "text/plain", "buffer": b"Dear Sir"}
    page.get_by_label("Sound file").set_input_files([*sounds, letter])
    expect(page.get_by_text("Ready to send")).to_have_count(2)


def choose_formats_of_one(page: Page) -> None:
    choose_files(page)
    page.get_by_role("button", name="Formats: Low tide").click()
    expect(page.get_by_role("dialog")).to_be_visible()


def be_signed_out(page: Page) -> None:
    """What a page says that asked for something and was answered 401."""
    page.evaluate(
        """() => { const words = document.getElementById("page-alert").dataset;
            site.warn(words.signedOut, {href: words.signInUrl, text: words.signIn}); }"""
    )
    expect(page.get_by_role("alert").get_by_role("link", name="Sign in again")).to_be_visible()


def choose_no_language(page: Page) -> None:
    page.evaluate("document.querySelector('main [name=language]').selectedOptions[0].value = 'xx'")
    refused("Save", "Select a valid choice")(page)


# Name -> whose page it is, its address (or the file whose page it is), what is done there.
STATES: dict[str, tuple[str, str, Act]] = {
    "menu": ("newcomer", "/audio/", open_menu),
    "ticked": ("person", "/audio/", tick_files),
    "filters": ("person", "/audio/?state=failed&days=30", lambda page: None),
    "player": ("person", "Ready", see_player),
    "order-options": ("person", "Ready", open_options),
    "order-refused": ("person", "Ready", refused("Convert", "Choose at least one")),
    "part-refused": ("person", "Ready", refused("Convert", "Write a time", clip_start="nan")),
    "link-made": ("person", "Ready", refused("Make a link", "works until")),
    "signed-out": ("person", "Waiting", be_signed_out),
    "files-chosen": ("person", "/audio/upload/", choose_files),
    "formats-of-one": ("person", "/audio/upload/", choose_formats_of_one),
    "upload-refused": ("person", "/audio/upload/", refused("Upload and convert", "Choose a file")),
    "tags-refused": ("person", "Ready tags/", refused("Save", "Write a year", year="soon")),
    "cover-refused": ("person", "Ready cover/", refused("Save", "greater than", width="0")),
    "saved": ("person", "/messages/preferences/", press("Save")),
    "profile-refused": ("person", "/accounts/", choose_no_language),
    "delete-refused": ("person", "/accounts/delete/",
                       refused("Delete my account for good", "not your password", password="no")),
    "address-refused": ("person", "/accounts/email/", refused("Add", email="nobody")),
    "password-refused": ("person", "/accounts/password/change/",
                         refused("Change Password", oldpassword="no", password1="1")),
    "sign-in-refused": ("visitor", "/accounts/login/",
                        refused("Sign in", "not correct", login="ada", password="no")),
    "sign-up-refused": ("visitor", "/accounts/signup/",
                        refused("Sign up", username="ada", password1="1", password2="2")),
    "code-refused": ("half-signed-in", "/accounts/2fa/authenticate/",
                     refused("Sign in", "Incorrect code", code="000000")),
}  # fmt: skip


@pytest.mark.parametrize("state", STATES)
def test_what_a_page_becomes_is_for_everyone(site: Site, eyes_of, state: str):
    whose, where, act = STATES[state]
    file, _, page_of_it = where.partition(" ")
    address = site.files[file] + page_of_it if file in site.files else where
    eyes = eyes_of(site.person(whose))
    assert eyes.look(site.system.url + address, f"state-{state}", act) == []
    if "refused" in state:
        assert eyes.page.locator("[aria-invalid=true], .errorlist, [role=alert]").count()


# --- In other languages -------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_fits_a_phone_in_every_language(site: Site, browser: Browser, language: str):
    """Words are longer elsewhere. The browser's wish is met."""
    problems, seen = [], 0
    for whose, names in {"person": NAMED, "visitor": NAMED, **OTHERS}.items():
        page = _on_a_phone(browser, site, site.person(whose), language)
        for address, picture in (it for name in names for it in site.opened(whose, name)):
            page.goto(site.system.url + address, wait_until="load")
            problems += [f"{address}: {it}" for it in _foreign(page, f"{language}-{picture}")]
            seen += 1
        page.context.close()
    assert problems == []
    assert seen > len(NAMED) / 2


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_error_is_said_on_a_phone_in_every_language(site: Site, browser: Browser, language: str):
    page = _on_a_phone(browser, site, site.people["visitor"], language)
    for name in ERRORS:
        _answer_with_error(site, page, name, language)
        page.goto(f"{site.system.url}/error-{name}")
        assert _foreign(page, f"{language}-error-{name}") == []
        assert page.get_by_role("main").get_by_role("link").count()
    page.context.close()


def _on_a_phone(browser: Browser, site: Site, who: Person, language: str) -> Page:
    context = _context(browser, locale=language, viewport=screenshots.PHONE["viewport"])
    context.add_cookies(_session_of(who, site))
    return context.new_page()


def _foreign(page: Page, picture: str) -> list[str]:
    """Return what is wrong with a page in another language, which ``picture`` begins with."""
    screenshots.keep(page, picture)
    wide = page.evaluate(axe.SIDEWAYS)
    problems = [f"scrolls sideways by {wide} px"] if wide else []
    if page.locator("html").get_attribute("lang") != picture.partition("-")[0]:
        problems.append("is in another language")
    return problems


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
    page = _on_a_phone(browser, site, operator, language)
    page.goto(f"{site.system.url}/admin/dashboard/?range=30d", wait_until="load")
    page.locator("details > summary").click()
    page.locator("details table").wait_for()
    assert _foreign(page, f"{language}-operator-dashboard") == []
    page.context.close()


# --- The rest -----------------------------------------------------------------------------------


def test_the_operators_dashboard_is_for_everyone(site: Site, operator: Person, eyes_of):
    eyes = eyes_of(operator)
    for span in ("24h", "30d"):
        url = f"{site.system.url}/admin/dashboard/?range={span}"
        assert eyes.look(url, f"operator-dashboard-{span}") == []
    assert eyes.page.get_by_role("heading", name="What needs attention").is_visible()


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_page_is_for_everyone(site: Site, of_a_visitor: Eyes, name: str):
    _answer_with_error(site, of_a_visitor.page, name, "en")
    assert of_a_visitor.look(f"{site.system.url}/error-{name}", f"error-{name}") == []


def _answer_with_error(site: Site, page: Page, name: str, language: str) -> None:
    """Let ``page`` find the page of an error as the system draws it, under its own policy."""
    policy = site.people["visitor"].get("/").headers["Content-Security-Policy"]

    def answer(route: Route) -> None:
        headers = {"Content-Security-Policy": policy, "Content-Type": "text/html; charset=utf-8"}
        body = site.error_pages[language][name]
        route.fulfill(status=int(name[:3]), headers=headers, body=body)

    page.route(f"{site.system.url}/error-{name}", answer)


def test_what_is_nowhere_is_said_on_a_page_for_everyone(site: Site, of_a_visitor: Eyes):
    assert of_a_visitor.look(f"{site.system.url}/nowhere/", "nowhere") == []


def test_a_link_that_ended_is_said_on_a_page_for_everyone(site: Site, of_a_visitor: Eyes):
    assert of_a_visitor.look(f"{site.system.url}/s/ended/", "shared-ended") == []


def test_no_page_was_left_out(site: Site, browser: Browser):
    """A page that nobody could open, or a sign-in that failed, must not pass as all well.

    With a browser, like those that look: pytest runs it after them then, and not after everything.
    """
    seen = {name for _whose, name in site.seen}
    assert {route.name for route in routes()} - seen - set(NO_PAGES) == set()
    mine = ("audio:list", "audio:detail", "audio:upload", "messages:list")
    others = {(whose, name) for whose, names in OTHERS.items() for name in names}
    assert {*others, *(("person", name) for name in mine)} - site.seen == set()


@pytest.mark.parametrize("name", NO_PAGES)
def test_what_is_left_out_is_no_page(site: Site, name: str):
    opened = [it for whose in ("person", "visitor") for it in site.opened(whose, name)]
    assert opened == []


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
