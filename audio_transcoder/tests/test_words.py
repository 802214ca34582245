"""Every word of a page can be said in another language.

The pages are asked for in a language that writes what is said in it in ⟦brackets⟧. What stands
outside of them nobody can translate. The addresses are those of the URL table and of the admin.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from html.parser import HTMLParser

import pytest
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.template.loader import get_template
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import trans_real

from audio_transcoder import dashboard
from audio_transcoder.models import AudioFile, Rendition, Share, TranscodeJob
from audio_transcoder.tests.addresses import NOBODYS, fill, routes
from audio_transcoder.tests.factories import client_of, make_file, make_job, store_results
from tests.translations import LANGUAGES
from transcode_messages.models import Message

pytestmark = pytest.mark.django_db

# What is called the same everywhere: this site, formats, units, standards, apps.
NAMES = re.compile(
    r"Audio Transcoder|Elastic Transcoder|Amazon SNS|English|Polski|Español"
    r"|\b(?:WAV|FLAC|M4A|MP[34]|AAC|Ogg|Opus|AIFF|WMA|WebM|MKA|FLV|MPEG(?:-TS)?|MXF|PCM|ZIP|"
    r"JPEG|PNG|SHA-256|EBU R128|FFmpeg|Vorbis)\b"
    r"|\b(?:kHz|kbit/s|LUFS|dBTP|dB|px|UTC|ID|URL)\b"
)
# What people and machines call their things, here.
THINGS = re.compile(
    r"\b(?:ada@example\.org|ada|Interview\S*|mp3|wav|flac|nonsense|127\.0\.0\.1)\b"
    r"|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|renditions/\S+"
    r"|This site \(\w+\)|Audio Files|True|False|None"
)
WORD = re.compile(r"[^\W\d_]{2,}")
SAID = {"alt", "aria-label", "aria-description", "aria-roledescription", "aria-valuetext",
        "placeholder", "title"}  # fmt: skip
SENTENCE = re.compile(r"[A-Z][a-z]+ [a-z]+|[a-z]{2,} [a-z]{2,} [a-z]{2,}")
MINUTE = timedelta(minutes=1)
ROOMS = {"audio_transcoder", "elastic_transcoder", "transcode_messages", "steps"}
LABELS = frozenset({"th", "label", "legend", "h1", "h2", "h3", "dt", "p", "button", "caption"})
ERRORS = ("400", "403", "403_csrf", "404", "413", "429", "500", "503")


class Page(HTMLParser):
    """Collects what a page says outside of brackets: text, and attributes that are read.

    ``only``: the text of these elements; what a cell, a link or a choice says is often a thing.
    """

    def __init__(self, text: str, only: frozenset[str] = frozenset()) -> None:
        super().__init__()
        self.only = only
        self.depth = 0
        self.silent: list[str] = []
        self.open: list[str] = []
        self.outside: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attributes}
        is_thing = tag in ("script", "style", "code") or found.get("translate") == "no"
        if is_thing and tag not in ("input", "img"):
            self.silent.append(tag)
        is_row = found.get("scope") == "row" or "field-" in found.get("class", "")
        if tag in self.only and not is_row:
            self.open.append(tag)
        is_button = tag == "input" and found.get("type") in ("submit", "button")
        for name, value in found.items():
            is_words = not self.only and name.startswith("data-") and SENTENCE.search(value)
            if name in SAID or (name == "value" and is_button) or is_words:
                self.outside += _outside(value, 0)[0]

    def handle_endtag(self, tag: str) -> None:
        for tags in (self.silent, self.open):
            if tags and tags[-1] == tag:
                tags.pop()

    def handle_data(self, data: str) -> None:
        found, self.depth = _outside(data, self.depth)
        if not self.silent and (self.open or not self.only):
            self.outside += found


def _outside(text: str, depth: int) -> tuple[list[str], int]:
    """Return the words of ``text`` that stand outside of brackets, and how many are open after."""
    outside = []
    for part in re.split(r"([⟦⟧])", text):
        if part in ("⟦", "⟧"):
            depth += 1 if part == "⟦" else -1
        elif depth == 0:
            rest = THINGS.sub(" ", NAMES.sub(" ", part))
            if WORD.search(rest):
                outside.append(" ".join(part.split()))
    return outside, depth


def unsaid(html: str, only: frozenset[str] = frozenset()) -> list[str]:
    return Page(html, only).outside


@pytest.fixture
def brackets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every text that a translator gets be written in brackets."""

    def plural(one: str, many: str, number: int) -> str:
        return f"⟦{one if number == 1 else many}⟧"

    said = {
        "gettext": lambda text: f"⟦{text}⟧" if text else "",
        "ngettext": plural,
        "pgettext": lambda context, text: f"⟦{text}⟧",
        "npgettext": lambda context, one, many, number: plural(one, many, number),
    }
    for name, function in said.items():
        monkeypatch.setattr(translation._trans, name, function)


@pytest.fixture
def ada(db):
    """Somebody with files in every state, links, messages, and the right to administer."""
    person = get_user_model().objects.create_superuser("ada", "ada@example.org")
    now = timezone.now()
    for status, reason in (
        ("Submitted", ""), ("Progressing", ""), ("Complete", ""), ("Error", "damaged"),
        ("Canceled", ""),
    ):  # fmt: skip
        job = make_job(make_file(person))
        store_results(job)
        has_ended = status not in TranscodeJob.OPEN
        TranscodeJob.objects.filter(pk=job.pk).update(
            status=status,
            progress=42,
            reason=reason,
            started_at=now - MINUTE,
            finished_at=now if has_ended else None,
            created_at=now - 99 * MINUTE,
            placed_at=now,
            next_step_at=now - 99 * MINUTE,
        )
        Rendition.objects.filter(job=job).update(status=status, reason=reason, size_bytes=6)
        job.audio_file.keep_state()
        Share.objects.create(audio_file=job.audio_file, with_original=bool(reason))
    used = Share.objects.create(audio_file=job.audio_file, expires_at=now + 99 * MINUTE)
    Share.objects.filter(pk=used.pk).update(listens=1, downloads=5, last_used_at=now)
    Share.objects.create(audio_file=job.audio_file, expires_at=now - MINUTE)
    Share.objects.create(audio_file=job.audio_file, revoked_at=now)
    for level in ("error", "success"):
        Message.objects.create(
            user=person, event=level, about=job.code, level=level, text="nonsense", link="/audio/",
            retry_url="/audio/",
        )  # fmt: skip
    return person


def addresses(person) -> Iterator[str]:
    codes = AudioFile.objects.filter(owner=person).values_list("code", flat=True)
    for route in routes():
        if "code" in route.parameters:
            yield from (fill(route, {**NOBODYS, "code": str(code)}) for code in codes)
        else:
            yield fill(route, NOBODYS)
    for share in Share.objects.all():
        yield reverse("shared", args=[share.token])
    yield from ("/audio/?q=nonsense", "/messages/?show=unread", "/nowhere/")


def unsaid_by(answer, only: frozenset[str] = frozenset()) -> list[str]:
    if answer.streaming or not answer.headers.get("Content-Type", "").startswith("text/html"):
        return []
    return unsaid(answer.text, only)


def test_what_can_not_be_translated_is_found():
    page = "<p>⟦Said <b>here</b>⟧ 5 WAV</p><img alt='Not here'><p>Nor here</p><code>code</code>"
    assert unsaid(page) == ["Not here", "Nor here"]


@pytest.mark.parametrize("method", ["get", "post"])
def test_every_word_of_every_page_can_be_translated(ada, brackets, method):
    """Forms that are sent empty show what they say when something is wrong."""
    found, pages = {}, 0
    for client in (lambda: Client(), lambda: client_of(ada)):
        for address in list(addresses(ada)):
            answer = getattr(client(), method)(address)
            pages += answer.headers.get("Content-Type", "").startswith("text/html")
            for words in unsaid_by(answer):
                found.setdefault(words, address)
    assert pages > 20
    assert found == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_word_of_every_page_has_a_translation(ada, monkeypatch, language):
    """Those that Django and allauth say too."""
    missing = without_translation(monkeypatch)
    for client in (Client(), client_of(ada)):
        for address in addresses(ada):
            answer = client.get(address, headers={"Accept-Language": language})
            if answer.headers.get("Content-Type", "").startswith("text/html"):
                assert answer.headers["Content-Language"] == language
    assert missing == {}


def test_a_word_without_a_translation_is_found(monkeypatch):
    missing = without_translation(monkeypatch)
    with translation.override("pl"):
        translation.gettext("Nobody translated this.")
        translation.ngettext("{number} file", "{number} files", 5)
    assert missing == {"Nobody translated this.": "pl"}


def without_translation(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return the words, with a language, that are asked for from now on and are in no catalogue."""
    missing = {}

    def look(key: object, words: str) -> None:
        is_said = WORD.search(NAMES.sub(" ", words))
        if is_said and key not in trans_real.catalog()._catalog:
            missing[words] = translation.get_language()

    def gettext(text: str) -> str:
        look(text, text)
        return trans_real.gettext(text)

    def ngettext(one: str, many: str, number: int) -> str:
        look((one, trans_real.catalog().plural(number)), one)
        return trans_real.ngettext(one, many, number)

    def pgettext(context: str, text: str) -> str:
        look(f"{context}\x04{text}", text)
        return trans_real.pgettext(context, text)

    for function in (gettext, ngettext, pgettext):
        monkeypatch.setattr(translation._trans, function.__name__, function)
    return missing


@pytest.mark.parametrize("name", ERRORS)
def test_every_word_of_an_error_page_can_be_translated(brackets, name):
    assert unsaid(get_template(f"{name}.html").render()) == []


def test_every_word_of_the_administration_can_be_translated(ada, brackets):
    found = {}
    client = client_of(ada)
    for address in of_operators():
        for words in unsaid_by(client.get(address), LABELS):
            found.setdefault(words, address)
    for span in dashboard.SPANS:
        for words in unsaid_by(client.get(reverse("dashboard"), {"range": span}), LABELS | {"li"}):
            found.setdefault(words, f"dashboard {span}")
    found.pop("Search", "")  # the text of Django's magnifying glass
    assert found == {}


def of_operators() -> Iterator[str]:
    """Return the lists of our own rows, and a page of one row where there is any."""
    yield reverse("admin:index")
    for model in admin.site._registry:
        if model._meta.app_label in ROOMS:
            label = f"admin:{model._meta.app_label}_{model._meta.model_name}"
            yield reverse(f"{label}_changelist")
            yield reverse(f"{label}_add")
            for row in model.objects.all()[:1]:
                yield reverse(f"{label}_change", args=[row.pk])
