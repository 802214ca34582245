"""The language of the pages: the browser's wish, until somebody chooses in the footer."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from django.conf import settings
from django.test import Client

from audio_transcoder.tests.factories import make_file

pytestmark = pytest.mark.django_db

CODES = [code for code, _ in settings.LANGUAGES]
CHOOSE = "/language/"


def language_of(answer) -> str:
    return re.search(r'<html lang="([\w-]+)">', answer.text)[1]


def marked(answer) -> list[str]:
    """Return the languages that the chooser marks as the one of the page."""
    return re.findall(r'value="(\w+)" lang="\w+" aria-current="true"', answer.text)


def test_there_are_english_polish_and_spanish_by_their_own_names(client):
    page = client.get("/").text
    for code, name in (("en", "English"), ("pl", "Polski"), ("es", "Español")):
        assert re.search(rf'value="{code}" lang="{code}"[^>]*>{name}</button>', page)


@pytest.mark.parametrize(
    ("wish", "code"), [("pl", "pl"), ("es-MX,en;q=0.5", "es"), ("de,fr;q=0.8", "en"), ("%00", "en")]
)
def test_a_browsers_wish_is_met_where_it_can_be(client, wish, code):
    answer = client.get("/", headers={"Accept-Language": wish})
    assert (language_of(answer), marked(answer)) == (code, [code])


@pytest.mark.parametrize(
    ("code", "said"), [("en", "Sign in"), ("pl", "Zaloguj się"), ("es", "Iniciar sesión")]
)
def test_a_page_says_which_language_it_is_in_and_that_it_depends_on_the_wish(client, code, said):
    answer = client.get("/", headers={"Accept-Language": code})
    assert f">{said}</a>" in answer.text
    assert answer["Content-Language"] == code
    assert {"accept-language", "cookie"} <= set(answer["Vary"].lower().split(", "))


@pytest.mark.parametrize(("code", "size"), [("en", "1.5 MB"), ("pl", "1,5 MB"), ("es", "1,5 MB")])
def test_dates_and_sizes_are_written_as_the_reader_does(signed_in, person, code, size):
    moment = datetime(2026, 5, 2, tzinfo=UTC)
    make_file(person, size_bytes=1024 * 1536, created_at=moment)
    page = signed_in.get("/audio/", headers={"Accept-Language": code}).text.replace("\xa0", " ")
    dates = {"en": "May 2, 2026", "pl": "2 maja 2026", "es": "2 de mayo de 2026"}
    assert size in page
    assert dates[code] in page


@pytest.mark.parametrize("code", CODES)
def test_a_choice_is_kept_and_counts_more_than_the_browsers_wish(client, code):
    answer = client.post(CHOOSE, {"language": code, "next": "/accounts/login/"})
    assert (answer.status_code, answer["Location"]) == (302, "/accounts/login/")
    cookie = answer.cookies[settings.LANGUAGE_COOKIE_NAME]
    assert cookie["max-age"] == 365 * 24 * 3600
    assert cookie["samesite"] == "Lax"
    page = client.get("/accounts/login/", headers={"Accept-Language": "es, pl;q=0.5"})
    assert (language_of(page), marked(page)) == (code, [code])


def test_the_chooser_leads_back_to_the_page_it_stands_on(client):
    page = client.get("/accounts/login/?next=/audio/%3Fq=a%26b")
    assert 'name="next" value="/accounts/login/?next=/audio/%3Fq=a%26b"' in page.text


def test_a_choice_counts_more_than_the_address_of_the_page_it_was_made_on(client):
    answer = client.post(CHOOSE, {"language": "es", "next": "/?a=%26&language=pl&b=#c"})
    assert answer["Location"] == "/?a=%26&b=#c"
    assert language_of(client.get(answer["Location"])) == "es"


@pytest.mark.parametrize("code", ["", "xx", "e" * 500, "../../etc", "pl\0", "10" * 30])
def test_a_language_that_is_none_changes_nothing(client, code):
    answer = client.post(CHOOSE, {"language": code, "next": "/"})
    assert answer.status_code == 302
    assert settings.LANGUAGE_COOKIE_NAME not in answer.cookies
    client.cookies[settings.LANGUAGE_COOKIE_NAME] = "xx"
    assert language_of(client.get("/")) == "en"


@pytest.mark.parametrize("address", ["//evil.test", "https://evil.test/", "javascript:alert(1)"])
def test_w6_a_foreign_next_is_ignored_when_a_language_is_chosen(client, address):
    answer = client.post(CHOOSE, {"language": "pl", "next": address})
    assert (answer.status_code, answer["Location"]) == (302, "/")


def test_only_a_form_of_ours_chooses(client):
    assert client.get(CHOOSE).status_code == 405
    strict = Client(enforce_csrf_checks=True)
    assert strict.post(CHOOSE, {"language": "pl"}).status_code == 403


def test_machines_are_answered_in_english_whatever_they_wish(client):
    client.cookies[settings.LANGUAGE_COOKIE_NAME] = "pl"
    answer = client.get("/transcode-complete/", headers={"Accept-Language": "pl"})
    assert "Content-Language" not in answer


@pytest.mark.parametrize(("code", "said"), [("pl", "Język"), ("es", "Idioma")])
def test_a_page_without_forms_offers_its_languages_as_links(client, code, said):
    for address in ("/s/nonsense/", "/nowhere/"):
        first = client.get(address)
        assert (first.status_code, language_of(first)) == (404, "en")
        assert f'href="?language={code}"' in first.text
        answer = client.get(f"{address}?language={code}")
        assert language_of(answer) == answer["Content-Language"] == code
        assert f'aria-label="{said}"' in answer.text
        assert re.findall(r'lang="(\w+)" rel="nofollow" aria-current="true"', answer.text) == [code]
        assert not answer.cookies
        assert language_of(client.get(address)) == "en"


@pytest.mark.parametrize("asked", ["de", "", "%00", "EN", "pl-PL", "x" * 3000])
def test_w7_an_address_that_asks_for_no_language_of_ours_is_spoken_to_as_ever(client, asked):
    wish = {"Accept-Language": "es"}
    assert language_of(client.get(f"/?language={asked}", headers=wish)) == "es"
