"""The page of one file: what it says of the sound, its results and its history."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.utils import timezone, translation

from audio_transcoder.figures import kilohertz
from audio_transcoder.file_page import facts, player, timeline
from audio_transcoder.models import AudioFile, Rendition, TranscodeJob, Waveform
from audio_transcoder.tests.factories import make_file, make_job

HOSTILE = '"><svg onload=alert(1)>{{ 7*7 }}'


def finish(audio_file: AudioFile, **values: object) -> Rendition:
    """Return a ready result of a file, with what is known of it."""
    job = make_job(audio_file, ("wav",))
    TranscodeJob.objects.filter(pk=job.pk).update(status="Complete", finished_at=timezone.now())
    job.renditions.update(status="Complete", size_bytes=10, ready_at=timezone.now(), **values)
    return Rendition.objects.select_related("job__audio_file", "audio_file").get(job=job)


def page_of(client, audio_file: AudioFile) -> str:
    response = client.get(audio_file.get_absolute_url())
    assert response.status_code == 200
    return response.text


def read(audio_file: AudioFile) -> AudioFile:
    return AudioFile.objects.with_work().get(pk=audio_file.pk)


# --- Facts ----------------------------------------------------------------------------------


def test_facts_are_told_with_their_units(db):
    audio_file = make_file(
        codec="pcm_s24le",
        bits=24,
        sample_rate_hz=48000,
        bitrate_kbps=2304,
        loudness_lufs=-14.26,
        true_peak_dbtp=-0.04,
        duration_ms=65_000,
    )
    measured = {"loudness_lufs": -14.31, "true_peak_dbtp": 0.26}
    finish(audio_file, codec="aac", channels=1, bitrate_kbps=160, sample_rate_hz=44100, **measured)
    table = facts.table(read(audio_file))
    assert table.columns == ["Original", "WAV"]
    assert dict(table.rows) == {
        "Codec": ["PCM", "AAC"],
        "Container": ["MP3", "WAV"],
        "Sample rate": ["48 kHz", "44.1 kHz"],
        "Channels": ["stereo", "mono"],
        "Bit depth": ["24 bit", ""],
        "Bit rate": ["2304 kbit/s", "160 kbit/s"],
        "Loudness": [f"{facts.MINUS}14.3 LUFS"] * 2,
        "True peak": [f"{facts.MINUS}0.0 dBTP", "0.3 dBTP"],
        "Length": ["1:05", ""],
        "Size": ["5\xa0bytes", "10\xa0bytes"],
    }


def test_what_nobody_knows_is_not_on_the_page(signed_in, person):
    audio_file = make_file(
        person, container="", codec="", channels=None, sample_rate_hz=None, duration_ms=None
    )
    finish(audio_file)
    page = page_of(signed_in, audio_file)
    assert "None" not in page
    assert [name for name, _cells in facts.table(read(audio_file)).rows] == ["Container", "Size"]
    assert "Loudness (LUFS)" not in page
    assert "Faithful" not in page


def test_silence_has_a_level_too():
    assert facts.lufs(float("-inf")) == f"{facts.MINUS}∞ LUFS"


def test_numbers_are_written_as_the_language_has_them():
    with translation.override("pl"):
        assert kilohertz(44100) == "44,1 kHz"
        assert facts.lufs(-14.3) == f"{facts.MINUS}14,3 LUFS"


# --- What became of the sound ---------------------------------------------------------------


def test_a_faithful_result_has_its_badge_and_proof(signed_in, person):
    audio_file = make_file(person)
    finish(audio_file, codec="flac", is_faithful=True, sample_hash="abc123")
    page = page_of(signed_in, audio_file)
    assert "Faithful" in page
    assert "the same to the last sample" in page
    assert "<code>abc123</code>" in page


@pytest.mark.parametrize("is_faithful", [None, False])
def test_what_is_not_the_same_or_not_compared_has_no_badge(signed_in, person, is_faithful):
    audio_file = make_file(person)
    finish(audio_file, codec="flac", is_faithful=is_faithful, sample_hash="abc123")
    page = page_of(signed_in, audio_file)
    assert "Faithful" not in page
    assert "abc123" not in page


def test_what_was_converted_is_said(db):
    audio_file = make_file(bits=24, sample_rate_hz=48000, channels=1, duration_ms=1000)
    found = facts.compare(
        finish(
            audio_file,
            codec="aac",
            bits=16,
            sample_rate_hz=44100,
            channels=2,
            bitrate_kbps=160,
            duration_ms=1012,
            correlation=0.99999,
        )
    )
    assert found.changes == [
        "48 → 44.1 kHz",
        "mono → stereo",
        "24 → 16 bit",
        "lossy: AAC 160 kbit/s",
    ]
    assert found.length == "12 milliseconds longer"
    assert found.correlation == "99.99 %"  # never rounded up to all of it


def test_a_part_and_a_loudness_are_conversions_and_the_length_is_the_parts(db):
    rendition = finish(make_file(duration_ms=60_000), codec="flac", duration_ms=4499)
    job = rendition.job
    job.clip_start_ms, job.clip_end_ms, job.target_lufs = 1000, 5500, -16
    found = facts.compare(rendition)
    assert found.changes == ["part: 0:01 to 0:05.5", f"loudness set to {facts.MINUS}16.0 LUFS"]
    assert found.length == "1 millisecond shorter"


def test_tags_and_cover_are_said_to_be_carried_over_or_lost(db):
    audio_file = make_file(title="Low tide", artist="Nobody", year="2019", cover="uploads/x/cover")
    rendition = finish(audio_file, codec="pcm_s16le", lost_tags="date,mood", has_cover=False)
    found = facts.compare(rendition)
    assert found.carried == ["title", "artist"]
    assert found.lost == ["year", "mood", "cover"]
    rendition.has_cover = True
    assert facts.compare(rendition).carried == ["title", "artist", "cover"]


@pytest.mark.parametrize("has_cover", [None, False])
def test_a_lost_cover_is_said_once_and_in_our_words(signed_in, person, has_cover):
    """The engine says it too, with what else is otherwise than ordered."""
    audio_file = make_file(person, cover="uploads/x/cover" if has_cover is False else "")
    detail = "The input is a video; its sound was used. Artwork of the input was left out. Short."
    found = facts.compare(finish(audio_file, has_cover=has_cover, detail=detail))
    assert found.lost == ["cover"]
    assert found.note == "The file is a video; its sound was used. Short."
    page = page_of(signed_in, audio_file)
    assert "Could not be carried over: cover" in page
    assert "Artwork" not in page


def test_before_the_engine_told_anything_nothing_is_claimed(db):
    rendition = finish(make_file(title="Low tide", duration_ms=1000), duration_ms=900)
    assert facts.compare(rendition) == facts.Comparison()


def test_u16_f17_w5_names_and_tags_are_text_wherever_they_stand(signed_in, person):
    audio_file = make_file(
        person, name=HOSTILE, codec=HOSTILE[:32], title=HOSTILE, container=HOSTILE[:32]
    )
    finish(audio_file, codec=HOSTILE[:32], lost_tags=HOSTILE, detail=HOSTILE, sample_hash=HOSTILE)
    Waveform.objects.create(audio_file=audio_file, peaks=b"\x00\xff")
    for address in ("", "state/"):
        page = signed_in.get(f"{audio_file.get_absolute_url()}{address}").content.decode()
        assert "<svg onload" not in page.lower()
        assert ">49<" not in page
        assert re.search(r"&lt;svg onload=alert", page, re.IGNORECASE)


def test_the_length_below_the_name_comes_with_the_state(signed_in, person):
    audio_file = make_job(make_file(person, duration_ms=None)).audio_file
    address = f"{audio_file.get_absolute_url()}state/"
    assert 'id="file-length"' in signed_in.get(address).text
    assert "<span>1:01</span>" not in signed_in.get(address).text
    audio_file.learn_length(61_000)
    text = signed_in.get(address).text
    assert re.search(r'id="file-length"[^>]* hx-swap-oob="true"><span>1:01</span>', text)


# --- The player -----------------------------------------------------------------------------


def test_many_versions_are_a_list_to_choose_from(signed_in, person):
    audio_file = make_file(person)
    for number in range(3):
        finish(audio_file, variant=f"kbps-{64 + number}")
    assert page_of(signed_in, audio_file).count('type="radio" name="source"') == 4
    finish(audio_file, variant="kbps-320")
    page = page_of(signed_in, audio_file)
    assert '<label for="player-version">Version to hear</label>' in page
    chosen = re.findall(r"<option value=\S+ data-url=\S+[^>]*>([^<]+)", page)
    assert chosen == ["Original", *(f"WAV ({kbps} kbit/s)" for kbps in (64, 65, 66, 320))]
    assert 'name="source" id=' not in page


def test_what_can_be_heard_is_the_original_and_what_is_ready(db):
    audio_file = make_file(container="mov", codec="alac")
    rendition = finish(audio_file)
    make_job(audio_file, ("flac",))
    original, wav = player.sources(read(audio_file))
    assert original.media_type == 'audio/mp4; codecs="alac"'
    assert (wav.label, wav.url, wav.start_ms) == ("WAV", rendition.listen_url, 0)


def test_the_waveform_is_drawn_up_to_the_loudest_point():
    assert player.svg_path(bytes([0, 100, 50])) == "M26.67 49v2M80 0v100M133.33 25v50"
    assert player.svg_path(bytes(2000)).count("M") == player.BARS  # silence is drawn too


def test_the_waveform_comes_once(signed_in, person):
    audio_file = make_job(make_file(person)).audio_file
    address = f"{audio_file.get_absolute_url()}state/"
    assert "data-peaks" not in signed_in.get(address).text
    Waveform.objects.create(audio_file=audio_file, peaks=b"\x10\x20")
    first = signed_in.get(address).text
    assert 'data-peaks="ECA="' in first
    assert f"{address}?drawn" in first
    assert "player-wave" not in signed_in.get(f"{address}?drawn").text


def test_the_waveform_is_sent_again_until_the_length_is_known(signed_in, person):
    audio_file = make_job(make_file(person, duration_ms=None)).audio_file
    Waveform.objects.create(audio_file=audio_file, peaks=b"\x10\x20")
    address = f"{audio_file.get_absolute_url()}state/"
    assert "?drawn" not in signed_in.get(address).text
    audio_file.learn_length(61_000)
    text = signed_in.get(address).text
    assert 'data-length-ms="61000"' in text
    assert "?drawn" in text


def test_an_empty_waveform_is_none(signed_in, person):
    audio_file = make_file(person)
    Waveform.objects.create(audio_file=audio_file, peaks=b"")
    assert "data-peaks" not in page_of(signed_in, audio_file)


def test_styles_of_the_waveform_have_a_nonce_on_this_page_alone(signed_in, person, settings):
    settings.HAS_WAVESURFER = True
    audio_file = make_file(person)
    response = signed_in.get(audio_file.get_absolute_url())
    nonce = re.search(r'wavesurfer\.min[^"]*\.js" nonce="([^"]+)"', response.text)[1]
    assert f"style-src 'self' 'nonce-{nonce}'" in response["Content-Security-Policy"]
    assert "nonce" not in signed_in.get("/audio/")["Content-Security-Policy"]


def test_without_wavesurfer_the_page_has_no_trace_of_it(signed_in, person, settings):
    settings.HAS_WAVESURFER = False
    audio_file = make_file(person)
    Waveform.objects.create(audio_file=audio_file, peaks=b"\x10\x20")
    response = signed_in.get(audio_file.get_absolute_url())
    assert "wavesurfer.min" not in response.text
    assert "nonce" not in response["Content-Security-Policy"]
    assert '<path d="M' in response.text


# --- What happened --------------------------------------------------------------------------


def test_the_history_has_everything_in_order(db):
    now = timezone.now()
    downloaded_at = now + timedelta(minutes=2)
    audio_file = make_file(created_at=now - timedelta(minutes=9), downloaded_at=downloaded_at)
    rendition = finish(audio_file, downloaded_at=now + timedelta(minutes=1))
    TranscodeJob.objects.update(
        placed_at=now - timedelta(minutes=3), started_at=now - timedelta(minutes=2)
    )
    assert [event.text for event in timeline.events(read(audio_file))] == [
        "Uploaded",
        "Queued for conversion",
        "Conversion began",
        "WAV is ready",
        "You were told by a message",
        "WAV was downloaded for the first time",
        "The original was downloaded for the first time",
    ]
    assert rendition.ready_at


def test_a_failure_and_a_cancellation_are_in_the_history(db):
    audio_file = make_file()
    make_job(audio_file, ("wav",)).time_out()
    make_job(audio_file, ("flac",)).cancel()
    texts = [event.text for event in timeline.events(read(audio_file))]
    assert texts.count("Conversion failed") == texts.count("Canceled") == 1
    assert texts.count("You were told by a message") == 1  # nobody is told of what they did


def test_a_long_history_keeps_its_begin_and_its_end(db):
    audio_file = make_file()
    for _ in range(timeline.SHOWN):
        finish(audio_file)
    events = timeline.events(read(audio_file))
    assert len(events) == timeline.SHOWN + 1
    assert events[0].kind == "upload"


# --- The work -------------------------------------------------------------------------------


def test_a_waiting_file_says_its_place_and_one_at_work_how_long(signed_in, person):
    done = finish(make_file(duration_ms=60_000)).job
    TranscodeJob.objects.filter(pk=done.pk).update(
        started_at=done.finished_at - timedelta(seconds=30)
    )
    make_job(make_file(person, duration_ms=60_000))
    job = make_job(make_file(person, duration_ms=60_000), placed=False)
    page = page_of(signed_in, job.audio_file)
    assert "About 1 file is before it." in page
    assert "About 1 minute left." in page
    TranscodeJob.objects.filter(pk=job.pk).update(
        status="Progressing",
        engine_id="1-a",
        started_at=timezone.now() - timedelta(minutes=5),
        progress=50,
    )
    assert "About 5 minutes left" in page_of(signed_in, job.audio_file)


def test_the_job_that_works_is_shown_before_one_that_waits(signed_in, person):
    audio_file = make_file(person)
    working = make_job(audio_file, ("wav",))
    make_job(audio_file, ("flac",))
    TranscodeJob.objects.filter(pk=working.pk).update(status="Progressing", progress=42)
    assert read(audio_file).shown_job == working
    assert "42 %" in page_of(signed_in, audio_file)


@pytest.mark.parametrize("address", ["", "state/"])
def test_a_page_costs_ten_queries_at_most(
    signed_in, person, address, django_assert_max_num_queries
):
    audio_file = make_file(person)
    for _ in range(20):
        finish(make_file(person))
        finish(audio_file, codec="flac")
    make_job(audio_file)
    Waveform.objects.create(audio_file=audio_file, peaks=b"\x10\x20")
    with django_assert_max_num_queries(10):
        signed_in.get(f"{audio_file.get_absolute_url()}{address}")


def test_w14_a_page_costs_as_much_with_many_results(
    signed_in, person, django_assert_max_num_queries
):
    audio_file = make_file(person)
    for name in ("wav", "flac", "mp3", "mp4"):
        job = make_job(audio_file, (name,))
        job.renditions.update(status="Complete", codec=name, duration_ms=61_000, size_bytes=10)
        TranscodeJob.objects.filter(pk=job.pk).update(status="Complete")
    with django_assert_max_num_queries(10):
        page_of(signed_in, audio_file)
