"""What holds for every page, whoever shows it."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from django.template.loader import get_template

from audio_transcoder.models import Rendition, TranscodeJob
from audio_transcoder.tests.factories import make_file, make_job, make_person

TEMPLATES = settings.BASE_DIR / "templates"
NAMES = sorted(str(path.relative_to(TEMPLATES)) for path in TEMPLATES.rglob("*.*"))
ERRORS = sorted(path.stem for path in TEMPLATES.glob("[45]*.html"))


def test_there_are_templates_to_look_at():
    assert len(NAMES) > 40
    assert {"403_csrf", "404", "405", "500"} <= set(ERRORS)


@pytest.mark.parametrize("name", NAMES)
def test_a_template_compiles_and_needs_nothing_inline(name):
    text = (TEMPLATES / name).read_text()

    get_template(name)
    assert not re.search(r"<style|\bstyle=|<script(?![^>]*\bsrc=)", text)
    assert not re.search(r"\son[a-z]+=|hx-on|hx-vals|javascript:", text)
    # Nothing is loaded from elsewhere.
    assert not re.search(r"(src|href|action)=[\"'](https?:)?//", text)


@pytest.mark.parametrize("name", NAMES)
def test_a_static_file_that_a_template_names_exists(name):
    for path in re.findall(r"{% static ['\"]([^'\"]+)['\"] %}", (TEMPLATES / name).read_text()):
        assert finders.find(path), path


@pytest.mark.parametrize("name", ERRORS)
def test_w10_an_error_page_needs_no_request_and_no_database(name):
    page = get_template(f"{name}.html").render()

    assert f'<p class="error-number">{name[:3]}</p>' in page
    assert re.search(r"<h1>\w[^<]+</h1>\s*<p>\w[^<]+\.</p>", page)
    assert "Traceback" not in page


# --- Colours --------------------------------------------------------------------------------

CSS = (settings.BASE_DIR / "static/css/variables.css").read_text()
LIGHT, DARK = (
    dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", part)) for part in CSS.split("@media")
)
TEXT_ON_GROUND = [
    *[("text", ground) for ground in ("ground", "surface", "sunken", "tint")],
    *[("quiet", ground) for ground in ("ground", "surface", "sunken")],
    *[("link", ground) for ground in ("ground", "surface", "tint")],
    ("on-fill", "fill"),
    ("on-fill", "fill-strong"),
    ("on-fill", "danger-fill"),
    ("ready", "ready-tint"),
    ("ready", "surface"),
    ("failed", "failed-tint"),
    ("failed", "surface"),
    ("failed", "ground"),
    ("waiting", "waiting-tint"),
]


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_is_measured_as_wcag_does():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), TEXT_ON_GROUND)
def test_text_is_readable_in_both_schemes(scheme, text, ground):
    assert contrast(scheme[text], scheme[ground]) >= 4.5


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("ground", ["ground", "surface"])
@pytest.mark.parametrize("mark", ["edge", "focus", "fill"])
def test_edges_and_focus_are_visible_in_both_schemes(scheme, mark, ground):
    assert contrast(scheme[mark], scheme[ground]) >= 3


# --- Whole pages ----------------------------------------------------------------------------


class Page(HTMLParser):
    """What tools that read pages aloud rely on."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.labelled: set[str] = set()
        self.controls: list[dict] = []
        self.headings: list[str] = []
        self.landmarks: Counter = Counter()
        self.lang = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if "id" in attrs:
            self.ids.append(attrs["id"])
        if tag == "html":
            self.lang = attrs.get("lang")
        if tag == "label":
            self.labelled.add(attrs.get("for"))
        if tag in ("input", "select", "textarea") and attrs.get("type") != "hidden":
            self.controls.append(attrs)
        if tag in ("audio", "progress"):
            assert attrs.get("aria-label") or attrs.get("aria-labelledby"), attrs
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(tag)
        self.landmarks[tag] += 1


@pytest.fixture
def library(client, db):
    """A signed-in person with a file in every state."""
    person = make_person("ana")
    person.set_password("kingfisher-9")
    person.save()
    client.force_login(person)
    status = TranscodeJob.Status
    for name, state in (
        ("Waiting", status.SUBMITTED),
        ("Converting", status.PROGRESSING),
        ("Ready", status.COMPLETE),
        ("Canceled", status.CANCELED),
        ("Failed", status.ERROR),
    ):
        job = make_job(make_file(person, name=f"{name} <b>&amp; co</b>"), ("wav", "flac"))
        reason = "damaged" if state == status.ERROR else ""
        TranscodeJob.objects.filter(pk=job.pk).update(status=state, progress=42, reason=reason)
        Rendition.objects.filter(job=job).update(
            status=state, reason=reason, size_bytes=1234567, duration_ms=61000
        )
        job.audio_file.keep_state()
    return client


def pages(client):
    files = client.get("/audio/").context["page_obj"].rows
    yield from (
        "/audio/",
        "/audio/?q=nothing-like-it",
        "/audio/upload/",
        "/messages/",
        "/accounts/",
        "/accounts/email/",
        "/accounts/password/change/",
        "/accounts/2fa/",
        "/accounts/sessions/",
        "/accounts/delete/",
        f"{files[0]['href']}delete/",
    )
    for audio_file in files:
        yield audio_file["href"]


def assert_is_sound(address: str, text: str) -> None:
    page = Page(text)
    assert [name for name, count in Counter(page.ids).items() if count > 1] == [], address
    assert page.lang == "en"
    assert page.headings.count("h1") == 1, address
    assert page.landmarks["main"] == page.landmarks["header"] == page.landmarks["footer"] == 1
    for control in page.controls:
        named = (
            control.get("id") in page.labelled
            or control.get("aria-label")
            or control.get("aria-labelledby") in page.ids
        )
        assert named, (address, control)
    assert "{{" not in text and "{%" not in text and "{#" not in text, address


def test_every_page_for_people_is_sound(library):
    for address in pages(library):
        response = library.get(address)
        assert response.status_code == 200, address
        assert_is_sound(address, response.text)
        assert "<b>&amp; co</b>" not in response.text


def test_every_page_for_visitors_is_sound(client, db):
    for address in ("/", "/accounts/login/", "/accounts/signup/", "/accounts/password/reset/"):
        assert_is_sound(address, client.get(address).text)


def test_w5_a_page_allows_nothing_inline(client, db):
    response = client.get("/")

    policy = response["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["X-Frame-Options"] == "DENY"


def test_only_open_files_are_polled(library):
    page = library.get("/audio/").text
    rows = page.split('class="file-row"')[1:]
    polled = {row.split("<bdi>")[1].split(" ")[0]: "hx-get" in row for row in rows}

    assert polled == {
        "Waiting": True,
        "Converting": True,
        "Ready": False,
        "Canceled": False,
        "Failed": False,
    }


def test_a_refresh_brings_the_same_parts_as_the_page(library):
    """A part that has no place on the page would be lost, one that is new is put in its place."""
    for audio_file in library.get("/audio/").context["page_obj"].rows:
        page = Page(library.get(audio_file["href"]).text)
        part = Page(library.get(f"{audio_file['href']}state/").text)
        top = {"file-state", "job-state", "file-actions", "rendition-wav", "rendition-flac"}

        assert top <= set(part.ids)
        assert set(part.ids) <= set(page.ids)


def test_what_can_be_done_fits_the_state(library):
    def buttons(name):
        files = library.get("/audio/", {"q": name}).context["page_obj"].rows
        page = library.get(files[0]["href"]).text
        return [word for word in ("/cancel/", "/retry/", "/listen/") if f'{word}"' in page] + (
            ["renditions"] * page.count("<audio controls")
        )

    assert buttons("Waiting") == ["/cancel/"]
    assert buttons("Converting") == ["/cancel/"]
    assert buttons("Ready") == ["renditions"] * 2
    assert buttons("Canceled") == ["/retry/"]
    assert buttons("Failed") == ["/retry/"]
