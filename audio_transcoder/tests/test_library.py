"""The library: search, filters, order, pages."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audio_transcoder.library import listing
from audio_transcoder.models import AudioFile
from audio_transcoder.tests.factories import make_file, make_job, make_person
from audio_transcoder.tests.test_kept_state import tell

pytestmark = pytest.mark.django_db


def found(client, **query: object) -> list[str]:
    answer = client.get("/audio/", query)
    assert answer.status_code == 200
    return [row["name"] for row in answer.context["page_obj"].rows]


@pytest.fixture
def three(person) -> list[AudioFile]:
    return [
        make_file(person, name="Concert 100%", artist="Łódź Trio", album="Live"),
        make_file(person, name="concert_b", title="Allegro", size_bytes=900, duration_ms=None),
        make_file(person, name="Interview \\ two", artist="ada", size_bytes=50, duration_ms=9000),
    ]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("CONCERT", ["concert_b", "Concert 100%"]),
        ("100%", ["Concert 100%"]),
        ("t_b", ["concert_b"]),
        ("\\", ["Interview \\ two"]),
        ("concert allegro", ["concert_b"]),
        ("łódź", ["Concert 100%"]),
        ("ŁÓDŹ live", ["Concert 100%"]),
        ("  ada ", ["Interview \\ two"]),
        ("nothing", []),
        ("\0", ["Interview \\ two", "concert_b", "Concert 100%"]),
    ],
)
def test_every_word_is_looked_for_in_names_and_tags(signed_in, three, words, names):
    assert found(signed_in, q=words) == names


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("name", ["Concert", "concert_b", "Interview"]),
        ("-name", ["Interview", "concert_b", "Concert"]),
        ("artist", ["Interview", "Concert", "concert_b"]),  # none comes last, ASCII before Ł
        ("title", ["concert_b", "Interview", "Concert"]),
        ("-title", ["concert_b", "Interview", "Concert"]),
        ("length", ["Concert", "Interview", "concert_b"]),
        ("-length", ["Interview", "Concert", "concert_b"]),
        ("-size", ["concert_b", "Interview", "Concert"]),
        ("created", ["Concert", "concert_b", "Interview"]),
    ],
)
def test_the_order_is_the_one_asked_for(signed_in, three, order, names):
    assert [name.split(" ")[0] for name in found(signed_in, sort=order)] == names


def test_a_file_was_added_on_the_day_that_it_was_where_the_site_is(signed_in, person, settings):
    settings.TIME_ZONE = "Europe/Warsaw"
    make_file(person, created_at=datetime(2026, 1, 31, 23, 30, tzinfo=UTC))
    assert ">Feb. 1, 2026</time>" in signed_in.get("/audio/").text


def test_years_and_tracks_are_columns_that_sort_and_tracks_do_as_numbers(signed_in, person):
    assert "year-cell" not in signed_in.get("/audio/").text
    for name, track, year in (("a", "10/12", "2019-05-01"), ("b", "3/12", ""), ("c", "", "1999")):
        make_file(person, name=name, track=track, year=year)
    make_file(person, name="d", track="04", year="2019")
    assert found(signed_in, sort="track") == ["b", "d", "a", "c"]
    assert found(signed_in, sort="-track") == ["a", "d", "b", "c"]
    assert found(signed_in, sort="year") == ["c", "d", "a", "b"]
    page = signed_in.get("/audio/?sort=-year").text
    assert re.search(r'aria-sort="descending" class="tag-cell year-cell"', page)
    assert re.search(r'track-cell" data-label="Track"><bdi>10/12</bdi>', page)
    assert '<table class="file-list without-artist without-album"' in page
    assert '<option value="track">Track</option>' in page


def test_states_and_formats_are_found_and_only_ones_own(signed_in, person):
    make_job(make_file(person, name="Waits"))
    done = make_job(make_file(person, name="Done"), formats=("mp3",))
    tell(done, "Complete")
    bad = make_job(make_file(person, name="Bad"))
    tell(bad, "Error")
    make_file(make_person(), name="Not mine")
    assert found(signed_in, state="waiting") == ["Waits"]
    assert found(signed_in, state="ready") == ["Done"]
    assert found(signed_in, state="failed") == ["Bad"]
    assert found(signed_in, format="mp3") == ["Done"]
    assert found(signed_in, format="wav") == []
    assert found(signed_in, state="failed", q="done") == []


def test_days_are_counted_and_bounds_belong_to_them(signed_in, person):
    make_file(person, name="Now")
    make_file(person, name="Old", created_at=datetime(2020, 5, 17, 23, 59, tzinfo=UTC))
    make_file(person, name="Week", created_at=timezone.now() - timedelta(days=10))
    assert found(signed_in, days="7") == ["Now"]
    assert found(signed_in, days="30") == ["Now", "Week"]
    assert found(signed_in, since="2020-05-17", until="2020-05-17") == ["Old"]
    assert found(signed_in, until="2020-05-16") == []
    assert found(signed_in, since="2020-05-18") == ["Now", "Week"]


@pytest.mark.parametrize(
    "query",
    [
        {"page": "abc"}, {"page": "-1"}, {"page": "9" * 9}, {"page": "9999999"}, {"page": "²"},
        {"sort": "nonsense"}, {"sort": "--name"}, {"sort": "owner__password"}, {"state": "x"},
        {"format": "exe"}, {"days": "8"}, {"days": "1e9"}, {"since": "2020-13-40"},
        {"since": "0001-01-01", "until": "9999-12-31"}, {"until": "x" * 5000}, {"q": "\0"},
        {"q": "a " * 4000}, {"all": "1"}, {"up_to": "x"},
    ],
)  # fmt: skip
def test_w7_nonsense_in_the_address_counts_as_not_asked_for(signed_in, person, query):
    make_file(person, name="a")
    assert found(signed_in, **query) == ["a"]


def test_filters_are_named_and_each_can_be_taken_away(signed_in, three):
    page = signed_in.get("/audio/", {"q": "concert", "state": "waiting", "sort": "name"})
    text = page.content.decode()
    assert "2 files found" in text
    assert 'href="?state=waiting&amp;sort=name"' in text
    assert 'href="?q=concert&amp;sort=name"' in text
    assert 'aria-sort="ascending"' in text


def test_nothing_found_and_nothing_there_are_told_apart(signed_in, person):
    assert "Your library is empty" in signed_in.get("/audio/").content.decode()
    make_file(person)
    assert "Nothing was found" in signed_in.get("/audio/?q=zzz").content.decode()


def test_pages_keep_what_was_asked_for(signed_in, person):
    for number in range(listing.FILES_ON_A_PAGE * 2 + 1):
        make_file(person, name=f"File {number:02}")
    first = signed_in.get("/audio/", {"q": "file", "sort": "name"}).context["page_obj"]
    assert (first.previous, first.pages) == ("", 3)
    last = signed_in.get(f"/audio/{first.next}".replace("page=2", "page=3")).context["page_obj"]
    assert [row["name"] for row in last.rows] == [f"File {listing.FILES_ON_A_PAGE * 2}"]
    assert last.next == ""


def test_more_files_than_are_counted_can_be_paged_through(signed_in, person, monkeypatch):
    monkeypatch.setattr(listing, "COUNTED", 20)
    monkeypatch.setattr(listing, "FILES_ON_A_PAGE", 8)
    for number in range(33):
        make_file(person, name=f"{number:02}")
    seen, address, turns = [], "?sort=name", 0
    while address and turns < 9:
        page = signed_in.get(f"/audio/{address}").context["page_obj"]
        assert not page.is_counted
        seen += [row["name"] for row in page.rows]
        address, turns = page.next, turns + 1
    assert seen == [f"{number:02}" for number in range(33)]
    beyond = signed_in.get("/audio/?page=999").context["page_obj"]
    assert beyond.number == 1


@pytest.mark.parametrize(
    "text", ["<svg onload=1>", "{{7*7}}", "javascript:x", "=cmd()", "\u202eabc"]
)
def test_u16_f17_names_and_tags_are_text_in_the_library_and_its_filters(signed_in, person, text):
    make_file(person, name=text, title=f"t{text}", artist=text, album=text)
    page = signed_in.get("/audio/", {"q": text}).content.decode()
    assert "<svg onload" not in page
    assert "49" not in re.findall(r"<bdi>(.*?)</bdi>", page)
    assert not re.search(r"(href|src)=\"javascript:", page)


def test_w14_pages_with_filters_cost_at_most_ten_queries(signed_in, person):
    for number in range(30):
        job = make_job(make_file(person, name=f"n{number}", artist="x"))
        if number % 2:
            tell(job, "Complete")
    for query in ("", "?q=n&state=ready&format=wav&days=7&sort=artist", "?page=2"):
        with CaptureQueriesContext(connection) as captured:
            signed_in.get(f"/audio/{query}")
        assert len(captured) <= 10, query
