"""Links for people without an account: what they open, for how long, and what they never tell."""

from __future__ import annotations

import logging
import re
import uuid
from datetime import timedelta
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth import get_user_model
from django.core import signing
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from audio_transcoder import covers, floods, removal
from audio_transcoder.logged import without_token
from audio_transcoder.models import AudioFile, Rendition, Share, TooManyShares, TranscodeJob
from audio_transcoder.tests.factories import make_file, make_job, make_person, store_results
from audio_transcoder.views import sharing
from images import Picture
from tests import pictures

pytest_plugins = ["buckets.tests.s3_server"]
pytestmark = pytest.mark.django_db

RESULT = b"result"  # as store_results() has it
WEEK = timedelta(days=7)


@pytest.fixture(autouse=True)
def turnstile():
    sharing.turnstile.forget()
    yield
    sharing.turnstile.forget()


@pytest.fixture
def audio_file(person) -> AudioFile:
    """A file of ``person`` with a WAV and a FLAC that are ready."""
    return ready_file(person)


def ready_file(owner, formats=("wav", "flac"), **values) -> AudioFile:
    audio_file = make_file(owner, **values)
    finish(make_job(audio_file, formats))
    return audio_file


def finish(job: TranscodeJob) -> None:
    store_results(job)
    TranscodeJob.objects.filter(pk=job.pk).update(status="Complete")
    facts = {"size_bytes": len(RESULT), "duration_ms": 1000, "codec": "flac"}
    Rendition.objects.filter(job=job).update(status="Complete", **facts)
    job.audio_file.keep_state()


def put_cover(audio_file: AudioFile) -> None:
    drawn = pictures.picture((600, 600))
    covers.store(audio_file, Picture(data=drawn, media_type="image/png", width=600, height=600))
    audio_file.save(update_fields=["cover", "cover_width", "cover_height"])


def give(audio_file: AudioFile, **values) -> Share:
    rendition = values.pop("rendition", None)
    return Share.objects.create(audio_file=audio_file, rendition=rendition, **values)


def rendition_of(audio_file: AudioFile, format_name: str) -> Rendition:
    return audio_file.renditions.get(format_name=format_name)


def addresses(share: Share, rendition: str = "wav") -> list[str]:
    """Every address of a link."""
    size = covers.token(share.audio_file, sharing.COVER)
    return [
        reverse("shared", args=[share.token]),
        reverse("shared-cover", args=[share.token, size]),
        reverse("shared-listen", args=[share.token, rendition]),
        reverse("shared-download", args=[share.token, rendition]),
    ]


def page(share: Share) -> str:
    answer = Client().get(reverse("shared", args=[share.token]))
    assert answer.status_code == 200
    return unescape(answer.text)


def download(share: Share, which: str, act: str = "download", **headers):
    return Client().get(reverse(f"shared-{act}", args=[share.token, which]), headers=headers)


def body(answer) -> bytes:
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


# --- What a link opens --------------------------------------------------------------------------


def test_whoever_has_the_link_sees_listens_and_downloads_without_an_account(audio_file):
    share = give(audio_file)
    text = page(share)
    assert "Interview" in text
    for name in ("WAV", "FLAC"):
        assert f"<h3>{name}</h3>" in text
    for url in re.findall(r'<source src="([^"]+)"|<a class="button" href="([^"]+)"', text):
        answer = Client().get("".join(url))
        assert (answer.status_code, body(answer)) == (200, RESULT)
    assert text.count("<source ") == text.count("</h3>") == 2


def test_a_link_to_one_result_holds_nothing_else(audio_file):
    share = give(audio_file, rendition=rendition_of(audio_file, "flac"))
    assert "WAV" not in page(share)
    assert body(download(share, "flac")) == RESULT
    other = rendition_of(audio_file, "wav")
    for which in ("wav", str(other.code), "original", str(uuid.uuid4()), "nonsense"):
        for act in ("listen", "download"):
            assert download(share, which, act).status_code == 404


def test_the_original_is_there_only_if_its_owner_said_so(audio_file):
    without, with_it = give(audio_file), give(audio_file, with_original=True)
    assert "Original" not in page(without)
    assert download(without, "original").status_code == 404
    assert "Original" in page(with_it)
    answer = download(with_it, "original")
    assert body(answer) == b"sound"
    assert answer["Content-Disposition"].startswith("attachment")
    assert download(with_it, "original", "listen")["Content-Disposition"].startswith("attachment")


def test_a_link_to_all_results_shows_what_became_ready_later(person):
    share = give(make_file(person))
    assert "Nothing is ready yet" in page(share)
    job = make_job(share.audio_file, ("mp4",))
    assert download(share, "mp4").status_code == 404
    finish(job)
    assert "MP4" in page(share)


def test_a_result_of_another_file_is_never_part_of_a_link(person, audio_file):
    other = ready_file(person)
    share = give(audio_file)
    assert download(share, str(rendition_of(other, "wav").code)).status_code == 404


def test_a_part_of_the_sound_has_a_player_of_its_own(audio_file):
    clip = make_job(audio_file, ("mp3",))
    TranscodeJob.objects.filter(pk=clip.pk).update(clip_start_ms=1000, clip_end_ms=5000)
    Rendition.objects.filter(job=clip).update(variant="clip-1000-5000")
    finish(clip)
    text = page(give(audio_file))
    assert text.count("<audio") == 2
    assert "part: 0:01 to 0:05" in text


def test_a_listener_chooses_the_version_that_plays_without_scripts(audio_file):
    share = give(audio_file, with_original=True)
    address = reverse("shared", args=[share.token])
    first = page(share)
    versions = re.findall(r'href="(\?version=[^"#]+)#player-1"[^>]*>(\w+)</a>', first)
    assert [label for _, label in versions] == ["WAV", "FLAC", "Original"]
    assert "aria-current" not in first[: first.index("site-footer")]
    for query, label in versions:
        text = unescape(Client().get(f"{address}{query}&language=en").text)
        assert re.findall(r'aria-current="true">(\w+)</a>', text) == [label, "English"]
        (played,) = re.findall(r'<source src="([^"]+)"', text)
        assert played.endswith(f"/listen/{query.removeprefix('?version=')}/")
        assert "&language=en#player-1" in text
        assert f'href="{query}&language=pl" lang="pl"' in text
    nonsense = unescape(Client().get(f"{address}?version=%00").text)
    assert nonsense.count("<source ") == 3


def test_tags_and_cover_are_shown(audio_file):
    AudioFile.objects.filter(pk=audio_file.pk).update(artist="AC/DC", album="Live", year="1999")
    assert "img/cover" in page(give(audio_file))
    put_cover(audio_file)
    text = page(give(audio_file))
    assert "AC/DC" in text
    url = re.search(r'class="shared-cover" src="([^"]+)"', text)[1]
    answer = Client().get(url)
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("image/")
    assert answer["Cache-Control"] == "private, no-store"
    forged = url.replace("320x320", "640x640")
    assert forged != url
    assert Client().get(forged).status_code == 404


# --- How it ends --------------------------------------------------------------------------------


def expired(share):
    Share.objects.filter(pk=share.pk).update(expires_at=timezone.now())


def revoked(share):
    Share.objects.filter(pk=share.pk).revoke()


def deleted(share):
    AudioFile.objects.filter(pk=share.audio_file_id).remove()


def disabled(share):
    get_user_model().objects.filter(pk=share.audio_file.owner_id).update(is_active=False)


def forgotten(share):
    removal.remove_person(share.audio_file.owner_id)


ENDS = [expired, revoked, deleted, disabled, forgotten]


@pytest.mark.parametrize("end", ENDS)
def test_a_link_that_ended_is_the_same_calm_404_as_one_that_never_was(audio_file, end):
    put_cover(audio_file)
    share = give(audio_file, expires_at=timezone.now() + WEEK)
    before = [Client().get(address) for address in addresses(share)]
    assert {answer.status_code for answer in before} == {200}
    end(share)
    never = Client().get("/s/nonsense/")
    assert "This link does not work any more" in never.text
    for address in addresses(share):
        answer = Client().get(address)
        assert (answer.status_code, answer.text) == (404, never.text)


def test_w1_a_forged_link_opens_nothing_and_asks_no_row(audio_file, settings):
    share = give(audio_file)
    text, _, signature = share.token.partition(".")
    other = give(ready_file(make_person()))
    settings.SECRET_KEY_FALLBACKS = []
    tokens = [
        text,
        f"{text}.",
        f"{text}.{signature[:-1]}",
        f"{text}.{signature[::-1]}",
        f"{other.token.partition('.')[0]}.{signature}",
        f"{text.swapcase()}.{signature}",
        str(share.code),
        share.code.hex,
        signing.Signer(salt="other", sep=".").sign(text),
        signing.Signer(key="another key", salt="share", sep=".").sign(text),
    ]
    for token in tokens:
        with CaptureQueriesContext(connection) as captured:
            answer = Client().get(f"/s/{token}/")
        assert answer.status_code == 404
        assert captured.captured_queries == []


def test_a_link_outlives_a_change_of_the_secret_key(audio_file, settings):
    link = addresses(give(audio_file))[0]
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new " * 12, [settings.SECRET_KEY]
    assert Client().get(link).status_code == 200
    settings.SECRET_KEY_FALLBACKS = []
    assert Client().get(link).status_code == 404


def test_the_database_alone_opens_no_link(audio_file):
    """A copy of it lacks the key: no column holds the token, or a part of its signature."""
    share = give(audio_file)
    values = " ".join(map(str, Share.objects.filter(pk=share.pk).values_list()[0]))
    assert share.token.partition(".")[2] not in values
    assert len(share.token.partition(".")[2]) == 43  # 256 bits in base64


@pytest.mark.s3
def test_on_s3_the_store_is_told_when_the_link_ends(s3, audio_file):
    share = give(audio_file, expires_at=timezone.now() + timedelta(seconds=300))
    store_results(audio_file.jobs.get())
    answer = download(share, "wav", "listen", Range="bytes=0-")
    assert answer.status_code == 302
    assert answer["Cache-Control"] == "private, no-store"
    life_s = int(parse_qs(urlsplit(answer["Location"]).query)["X-Amz-Expires"][0])
    assert 240 < life_s <= 300


# --- What it never tells ------------------------------------------------------------------------


def test_nothing_of_the_owner_is_on_a_shared_page():
    owner = get_user_model().objects.create_user(
        "grace", "grace@example.org", first_name="Admiral", last_name="Hopper"
    )
    audio_file = ready_file(owner, file_name="at-home-with-grace.mp3")
    share = give(audio_file, with_original=True)
    answers = [Client().get(address) for address in addresses(share)]
    told = " ".join(f"{answer.headers} {answer.text}" for answer in answers if not answer.streaming)
    told += " ".join(str(answer.headers) for answer in answers if answer.streaming)
    for secret in ("grace", "Admiral", "Hopper", "example.org", str(audio_file.code)):
        assert secret not in told
    assert "csrf" not in told
    assert not any(answer.cookies for answer in answers)


def test_somebody_signed_in_gets_the_same_page_as_a_visitor(client, audio_file):
    share = give(audio_file)
    client.force_login(make_person("somebody"))
    answer = client.get(addresses(share)[0])
    assert unescape(answer.text) == page(share)


def test_w16_a_shared_page_is_kept_by_no_cache_listed_nowhere_and_names_itself_to_nobody(
    audio_file,
):
    share = give(audio_file)
    for address in [*addresses(share), "/s/nonsense/", f"/s/{share.token}/download/nonsense/"]:
        for method in ("get", "head"):
            answer = getattr(Client(), method)(address)
            assert answer["Cache-Control"] == "private, no-store"
            assert answer["X-Robots-Tag"] == "noindex, nofollow"
            assert answer["Referrer-Policy"] == "no-referrer"
    for address in (addresses(share)[0], "/s/nonsense/"):
        text = Client().get(address).text
        assert '<meta name="robots" content="noindex, nofollow">' in text
        assert "<form" not in text  # browsers send no origin with one from such a page
    assert re.findall(r'<meta property="og:(\w+)"', page(share)) == ["title"]


def test_w5_u16_names_and_tags_are_text_on_a_shared_page(person):
    evil = "<svg onload=alert(1)>{{7*7}}"
    audio_file = ready_file(person, name=evil, title=evil, artist=evil, album=evil)
    answer = Client().get(addresses(give(audio_file))[0])
    assert "<svg onload" not in answer.text
    assert "{{7*7}}" in unescape(answer.text)
    policy = answer["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_w6_a_foreign_host_is_400_and_a_link_names_the_site_of_the_settings(
    signed_in, audio_file, settings
):
    settings.SITE_URL = "https://audio.example.org"
    share = give(audio_file)
    assert Client().get(addresses(share)[0], headers={"Host": "evil.test"}).status_code == 400
    text = signed_in.get(audio_file.get_absolute_url()).text
    assert f'value="https://audio.example.org/s/{share.token}/"' in text


def test_no_token_stands_in_a_log(audio_file, caplog, settings):
    share = give(audio_file)
    for address in addresses(share):
        assert share.token not in without_token(address)
    settings.SHARE_REQUESTS_PER_MINUTE = 1
    with caplog.at_level(logging.DEBUG):
        download(share, "nonsense")
        download(share, "wav")
        revoked(share)
        for address in addresses(share):
            Client().get(address)
            Client().post(address)
    signature = share.token.partition(".")[2]
    assert signature not in caplog.text


# --- Bytes and counts ---------------------------------------------------------------------------


def test_s10_ranges_and_head_work_by_a_link(audio_file):
    share = give(audio_file)
    part = download(share, "wav", "listen", Range="bytes=2-3")
    assert (part.status_code, body(part)) == (206, RESULT[2:4])
    assert part["Content-Range"] == "bytes 2-3/6"
    assert download(share, "wav", Range="bytes=99-").status_code == 416
    for address in addresses(share)[2:]:
        head = Client().head(address)
        assert (head.status_code, head["Content-Length"], head.content) == (200, "6", b"")
    assert Client().head(addresses(share)[0]).status_code == 200


def test_s11_a_download_has_the_name_and_type_of_its_result(audio_file):
    answer = download(give(audio_file), "flac")
    assert answer["Content-Disposition"] == 'attachment; filename="Interview.flac"'
    assert answer["Content-Type"] == "audio/flac"
    assert download(give(audio_file), "flac", "listen")["Content-Disposition"].startswith("inline")


def test_s9_a_result_that_the_store_has_lost_is_the_calm_404(audio_file):
    share = give(audio_file)
    rendition_of(audio_file, "wav").file.storage.delete(rendition_of(audio_file, "wav").file.name)
    answer = download(share, "wav")
    assert answer.status_code == 404
    assert "This link does not work any more" in answer.text


def test_uses_are_counted_once_however_a_player_asks(audio_file):
    share = give(audio_file)
    page(share)
    share.refresh_from_db()
    assert share.last_used_at is None
    for header in ("bytes=0-1", "bytes=0-", "bytes=3-", "bytes=99-"):
        body(download(share, "wav", "listen", Range=header))
    body(download(share, "wav"))
    body(download(share, "flac"))
    Client().head(addresses(share)[3])
    download(share, "nonsense")
    share.refresh_from_db()
    assert (share.listens, share.downloads) == (1, 2)
    assert share.last_used_at is not None
    assert rendition_of(audio_file, "wav").downloaded_at is None  # that is its owner's


def test_w11_a_flood_of_one_link_is_429_and_other_links_still_work(audio_file, settings):
    settings.SHARE_REQUESTS_PER_MINUTE = 3
    share, other = give(audio_file), give(audio_file)
    statuses = [download(share, "wav").status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    refused = download(share, "wav")
    assert 1 <= int(refused["Retry-After"]) <= 60
    assert refused["X-Robots-Tag"] == "noindex, nofollow"
    assert download(other, "wav").status_code == 200
    with CaptureQueriesContext(connection) as captured:
        assert download(share, "wav").status_code == 429
    assert captured.captured_queries == []
    settings.SHARE_REQUESTS_PER_MINUTE = 0
    assert download(share, "wav").status_code == 200


@pytest.mark.parametrize("address", ["", "unix:", "/run/site.sock"])
def test_w11_visitors_without_an_address_are_one_visitor(audio_file, settings, address):
    settings.SHARE_REQUESTS_PER_MINUTE = 2
    link = addresses(give(audio_file))[0]
    answers = [Client().get(link, REMOTE_ADDR=address) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert Client().get(link, REMOTE_ADDR="10.1.2.3").status_code == 200


def test_w11_guessing_links_is_429_and_shuts_out_nobody_who_has_one(audio_file, monkeypatch):
    monkeypatch.setattr(sharing, "MISSES_PER_MINUTE", 2)
    statuses = [Client().get(f"/s/guess{n}/").status_code for n in range(3)]
    assert statuses == [404, 404, 429]
    assert Client().get("/s/guess/", REMOTE_ADDR="10.1.2.3").status_code == 404
    assert Client().get(addresses(give(audio_file))[0]).status_code == 200


def test_a_turnstile_lets_through_again_after_its_minute_and_forgets_what_is_too_much():
    now = 600.0
    turnstile = floods.Turnstile(most_keys=3, clock=lambda: now)
    assert [turnstile.wait_s("a", 1) for _ in range(2)] == [0, 60]
    now = 659.5
    assert turnstile.wait_s("a", 1) == 1
    now = 660.0
    assert turnstile.wait_s("a", 1) == 0
    for key in "bcd":
        assert turnstile.wait_s(key, 1) == 0
    assert len(turnstile._counts) <= 3


# --- Its owner ----------------------------------------------------------------------------------


def order(client: Client, audio_file: AudioFile, **values):
    form = {"what": "all", "lasts": "7", **values}
    return client.post(reverse("audio:share", args=[audio_file.code]), form)


@pytest.mark.parametrize(
    ("lasts", "days"), [("1", 1), ("7", 7), ("30", 30), ("", None)], ids=["1", "7", "30", "ever"]
)
def test_an_owner_makes_a_link_that_lasts_as_long_as_they_say(signed_in, audio_file, lasts, days):
    answer = order(signed_in, audio_file, lasts=lasts, with_original="on")
    assert answer["Location"] == f"{audio_file.get_absolute_url()}#sharing"
    share = Share.objects.get()
    assert (share.audio_file, share.rendition, share.with_original) == (audio_file, None, True)
    life = share.expires_at - share.created_at if days else share.expires_at
    assert life == (timedelta(days=days) if days else None)
    text = signed_in.get(audio_file.get_absolute_url()).text
    assert f'value="{share.link}"' in text
    assert "The link is ready." in text


def test_a_week_and_no_original_are_what_is_offered_first(signed_in, audio_file):
    text = signed_in.get(audio_file.get_absolute_url()).text
    section = text[text.index('id="sharing"') :]
    assert re.search(r'<option value="7" selected>', section)
    assert re.search(r'<option value="all"[^>]*>All results', section)
    assert not re.search(r'name="with_original"[^>]* checked', section)


def test_an_owner_shares_one_result(signed_in, audio_file):
    wav = rendition_of(audio_file, "wav")
    order(signed_in, audio_file, what=str(wav.code))
    assert Share.objects.get().rendition == wav


@pytest.mark.parametrize(
    "values",
    [
        {"what": ""},
        {"what": "nonsense"},
        {"what": str(uuid.UUID(int=7))},
        {"lasts": "8"},
        {"lasts": "-1"},
        {"lasts": "\0"},
        {"what": "x" * 3000},
    ],
)
def test_what_cannot_be_shared_is_said_at_its_field(signed_in, audio_file, values):
    answer = order(signed_in, audio_file, **values)
    assert answer.status_code == 422
    assert 'aria-invalid="true"' in answer.text
    assert not Share.objects.exists()


def test_w1_a_result_of_another_file_cannot_be_shared(signed_in, audio_file):
    theirs = rendition_of(ready_file(make_person()), "wav")
    assert order(signed_in, audio_file, what=str(theirs.code)).status_code == 422
    assert not Share.objects.exists()


def test_u18_a_form_sent_twice_makes_one_link(signed_in, audio_file):
    for _ in range(2):
        order(signed_in, audio_file)
    assert Share.objects.count() == 1
    order(signed_in, audio_file, lasts="30")
    order(signed_in, audio_file, lasts="")
    order(signed_in, audio_file, with_original="on")
    assert Share.objects.count() == 4
    Share.objects.update(created_at=timezone.now() - timedelta(minutes=1))
    order(signed_in, audio_file)
    assert Share.objects.count() == 5


def test_a_file_has_so_many_links_and_no_more(signed_in, audio_file, monkeypatch):
    monkeypatch.setattr(Share, "MOST_OF_A_FILE", 2)
    shares = [give(audio_file, created_at=timezone.now() - WEEK) for _ in range(2)]
    answer = order(signed_in, audio_file)
    assert answer.status_code == 422
    assert "This file has 2 links that work. End one of them first." in answer.text
    with pytest.raises(TooManyShares):
        Share.give(audio_file, rendition=None, with_original=False, lasts=None)
    revoked(shares[0])
    assert order(signed_in, audio_file).status_code == 302


def end(client: Client, share: Share, **values):
    return client.post(reverse("audio:end-share", args=[share.code]), values)


def test_w15_a_link_is_ended_from_its_files_page_or_the_list_and_twice_is_fine(
    signed_in, audio_file
):
    share = give(audio_file)
    assert end(signed_in, share)["Location"] == f"{audio_file.get_absolute_url()}#sharing"
    share.refresh_from_db()
    at = share.revoked_at
    assert at is not None
    again = end(signed_in, share, back="shares")
    assert (again.status_code, again["Location"]) == (302, "/audio/shares/")
    share.refresh_from_db()
    assert share.revoked_at == at
    assert end(signed_in, share, back="//evil.test")["Location"].startswith("/audio/")
    assert share.token not in signed_in.get(audio_file.get_absolute_url()).text


def test_w1_somebody_elses_link_is_not_ended_and_not_listed(signed_in):
    share = give(ready_file(make_person(), name="Theirs"))
    assert end(signed_in, share).status_code == 404
    share.refresh_from_db()
    assert share.revoked_at is None
    assert "Theirs" not in signed_in.get("/audio/shares/").text


def test_buttons_of_links_are_named_by_what_they_open_and_for_how_long(signed_in, audio_file):
    shares = [give(audio_file), give(audio_file, rendition=rendition_of(audio_file, "wav"))]
    for address, file in (("/audio/shares/", "file-{} "), (audio_file.get_absolute_url(), "")):
        text = signed_in.get(address).text
        for share in shares:
            for act in ("copy", "end"):
                ids = f"{act}-{share.code} {file.format(share.code)}facts-{share.code}"
                assert f'id="{act}-{share.code}" aria-labelledby="{ids}"' in text
                assert all(f'id="{one}"' in text for one in ids.split())
            assert re.search(rf'id="facts-{share.code}">.*works until you end it', text)


def test_the_list_says_of_each_link_what_it_opens_and_how_it_was_used(signed_in, audio_file):
    text = signed_in.get("/audio/shares/").text
    assert "You have not shared anything yet" in text
    used = give(audio_file, rendition=rendition_of(audio_file, "wav"))
    used.note_use(listens=3, downloads=1)
    ended = give(audio_file, expires_at=timezone.now(), with_original=True)
    text = signed_in.get("/audio/shares/").text
    for words in ("heard 3 times", "downloaded 1 time<", "WAV", "with the original", "expired on",
                  "nobody has listened"):  # fmt: skip
        assert words in text
    assert used.link in text
    assert ended.token not in text


def test_w14_lists_of_links_cost_the_same_however_many_there_are(
    signed_in, audio_file, django_assert_max_num_queries
):
    wav = rendition_of(audio_file, "wav")
    Share.objects.bulk_create(Share(audio_file=audio_file, rendition=wav) for _ in range(120))
    with django_assert_max_num_queries(10):
        text = signed_in.get("/audio/shares/").text
    assert text.count('<li class="share">') == sharing.SHARES_ON_A_PAGE
    assert "Page 1 of 3" in text
    assert signed_in.get("/audio/shares/?page=3").text.count('<li class="share">') == 20


def test_a_shared_page_costs_little(audio_file, django_assert_max_num_queries):
    for _ in range(5):
        finish(make_job(audio_file, ("wav", "flac", "mp3")))
    share = give(audio_file)
    with django_assert_max_num_queries(2):
        page(share)


def test_links_go_with_their_file(audio_file):
    give(audio_file, rendition=rendition_of(audio_file, "wav"))
    give(audio_file)
    AudioFile.objects.filter(pk=audio_file.pk).remove()
    assert not Share.objects.exists()


def test_an_operator_ends_links_without_seeing_them(client, audio_file):
    client.force_login(get_user_model().objects.create_superuser("operator"))
    share = give(audio_file)
    url = reverse("admin:audio_transcoder_share_changelist")
    assert share.token not in client.get(url).text
    data = {"action": "end", "_selected_action": [share.pk]}
    assert "1 link ended." in client.post(url, data, follow=True).text
    share.refresh_from_db()
    assert share.state == Share.State.REVOKED
