"""Another result of a file: a part of it, another loudness or bit rate, ordered once."""

from __future__ import annotations

import pytest
from django.test import Client
from django.utils import translation

from audio_transcoder import figures, variants
from audio_transcoder.engines.base import Clip
from audio_transcoder.file_page import facts, player
from audio_transcoder.models import AudioFile, Rendition, TranscodeJob
from audio_transcoder.tests.factories import make_file, make_person, store_results
from audio_transcoder.variants import Options

pytestmark = pytest.mark.django_db
FORM = {"formats": ["mp3"], "clip_start": "0:10", "clip_end": "0:45.5"}


@pytest.fixture
def audio_file(person) -> AudioFile:
    return make_file(person, duration_ms=60_000)


def order(client: Client, audio_file: AudioFile, **values: object):
    return client.post(f"/audio/{audio_file.code}/order/", {"formats": ["mp3"], **values})


def test_a_part_with_a_loudness_and_a_bit_rate_is_one_order(signed_in, audio_file):
    sent = order(signed_in, audio_file, **FORM, loudness="-16", bitrate_mp3="128")
    assert sent.status_code == 302
    job = TranscodeJob.objects.get()
    assert (job.clip_start_ms, job.clip_end_ms, job.target_lufs) == (10_000, 45_500, -16)
    placed = job.order
    assert (placed.clip, placed.target_lufs) == (Clip(10_000, 35_500), -16)
    assert [wanted.bitrate_kbps for wanted in placed.outputs] == [128]
    rendition = Rendition.objects.get()
    assert rendition.variant == "clip-10000-45500 lufs-16 kbps-128"
    assert rendition.label == "MP3 (0:10–0:45.5, −16 LUFS, 128 kbit/s)"  # noqa: RUF001
    assert rendition.download_name == "Interview (0.10-0.45.5 -16 LUFS 128k).mp3"


def test_two_formats_with_one_extension_are_downloaded_under_two_names(signed_in, audio_file):
    order(signed_in, audio_file, formats=["flac", "flac-exact"])
    names = {rendition.download_name for rendition in Rendition.objects.all()}
    assert names == {"Interview.flac", "Interview (1_1).flac"}


def test_the_same_variant_is_ordered_once_and_another_one_again(signed_in, audio_file):
    for values in (FORM, FORM, {}, {}, {**FORM, "clip_end": "0:46"}, {"bitrate_mp3": "64"}):
        assert order(signed_in, audio_file, **values).status_code == 302
    assert TranscodeJob.objects.count() == 4
    page = signed_in.get(audio_file.get_absolute_url()).text
    for words in ("MP3 (0:10–0:45.5)", "MP3 (0:10–0:46)", "MP3 (64 kbit/s)"):  # noqa: RUF001
        assert words in page
    ids = [one.html_id for one in Rendition.objects.all()]
    assert len(set(ids)) == len(ids)
    for one in ids:
        assert page.count(f'id="rendition-{one}"') == 1


def test_one_file_has_no_endless_results(signed_in, audio_file, monkeypatch):
    monkeypatch.setattr(AudioFile, "MOST_RESULTS", 2)
    for end in ("0:01", "0:02"):
        assert order(signed_in, audio_file, clip_end=end).status_code == 302
    refused = order(signed_in, audio_file, clip_end="0:03")
    assert refused.status_code == 422
    assert "as many results as one file may have" in refused.text
    # What is there can be made again, and the whole sound in each format always.
    Rendition.objects.update(status="Error")
    assert order(signed_in, audio_file, clip_end="0:01").status_code == 302
    assert order(signed_in, audio_file).status_code == 302
    assert TranscodeJob.objects.count() == 4


def test_canceled_orders_leave_room_and_are_not_shown_without_end(
    signed_in, audio_file, monkeypatch
):
    monkeypatch.setattr(AudioFile, "MOST_RESULTS", 3)
    assert order(signed_in, audio_file, clip_end="0:09").status_code == 302
    for end in range(1, 6):
        assert order(signed_in, audio_file, clip_end=f"0:0{end}").status_code == 302
        TranscodeJob.objects.first().cancel()
    mine = AudioFile.objects.with_work().get()
    assert [one.variant for one in mine.latest_renditions] == [
        "clip-0-9000",
        "clip-0-4000",
        "clip-0-5000",
    ]
    # Ordered again they count again.
    for end in ("0:04", "0:05"):
        assert order(signed_in, audio_file, clip_end=end).status_code == 302
    assert order(signed_in, audio_file, clip_end="0:06").status_code == 422


def test_any_loudness_and_bit_rate_within_the_range_can_be_written(signed_in, audio_file):
    for loudness, words in (("-18,5", "18.5"), ("−31.0", "31"), ("-70", "70")):  # noqa: RUF001
        other = {"loudness": "other", "loudness_other": loudness}
        assert order(signed_in, audio_file, formats=["flac"], **other).status_code == 302
        assert Rendition.objects.last().label == f"FLAC ({figures.MINUS}{words} LUFS)"
        assert "." not in Rendition.objects.last().html_id
    assert TranscodeJob.objects.last().order.target_lufs == -18.5
    rates = {f"bitrate_{name}": "other" for name in ("mp3", "mp4")}
    rates |= {"bitrate_mp3_other": "130", "bitrate_mp4_other": "130"}
    assert order(signed_in, audio_file, formats=["mp3", "mp4"], **rates).status_code == 302
    wanted = TranscodeJob.objects.first().renditions.values_list("format_name", "variant")
    # MP3 has no 130 kbit/s.
    assert dict(wanted) == {"mp3": "kbps-128", "mp4": "kbps-130"}


def test_what_is_written_behind_another_choice_counts_for_nothing(signed_in, audio_file):
    left = {"loudness": "-16", "loudness_other": "x", "bitrate_mp3_other": "9999"}
    assert order(signed_in, audio_file, **left).status_code == 302
    assert Rendition.objects.get().variant == "lufs-16"


def test_a_loudness_is_written_as_the_language_has_it():
    with translation.override("pl"):
        assert variants.label("MP3", "lufs-16.5") == f"MP3 ({figures.MINUS}16,5 LUFS)"


def test_a_bit_rate_is_only_of_the_format_that_was_chosen(signed_in, audio_file):
    order(signed_in, audio_file, formats=["flac"], bitrate_mp3="128")
    assert Rendition.objects.get().variant == ""


def test_the_whole_sound_is_no_part(signed_in, audio_file):
    for start, end in (("", ""), ("0", ""), ("0:00.000", "1:00"), ("", "60")):
        order(signed_in, audio_file, clip_start=start, clip_end=end)
    assert TranscodeJob.objects.get().clip is None


@pytest.mark.parametrize(
    "sent",
    [
        {"clip_start": "nan"},
        {"clip_start": "1e9"},
        {"clip_start": "-1"},
        {"clip_start": "٣"},
        {"clip_start": "0:10\0"},
        {"clip_start": "9" * 6},
        {"clip_start": "9" * 4000},
        {"clip_start": "1:00"},
        {"clip_start": "0:59.901"},
        {"clip_start": "0:20", "clip_end": "0:10"},
        {"clip_start": "0:20", "clip_end": "0:20"},
        {"clip_end": "0:00.05"},
        {"clip_end": "1:00.001"},
        {"clip_end": "inf"},
        {"loudness": "-15"},
        {"loudness": "nan"},
        {"bitrate_mp3": "129"},
        {"bitrate_mp3": "1e9"},
        {"bitrate_mp4": "-96"},
        {"loudness": "other", "loudness_other": ""},
        {"loudness": "other", "loudness_other": "-70.1"},
        {"loudness": "other", "loudness_other": "-4,9"},
        {"loudness": "other", "loudness_other": "16"},
        {"loudness": "other", "loudness_other": "-1e1"},
        {"loudness": "other", "loudness_other": "-16.55"},
        {"loudness": "other", "loudness_other": "-٣"},
        {"bitrate_mp3": "other", "bitrate_mp3_other": ""},
        {"bitrate_mp3": "other", "bitrate_mp3_other": "63"},
        {"bitrate_mp3": "other", "bitrate_mp3_other": "128,5"},
        {"bitrate_mp3": "other", "bitrate_mp3_other": "9" * 5000},
        {"formats": ["mp4"], "bitrate_mp4": "other", "bitrate_mp4_other": "nan"},
        {"formats": []},
        {"formats": ["ogg"]},
    ],
)
def test_numbers_that_mean_nothing_are_told_beside_their_field(signed_in, audio_file, sent):
    answer = order(signed_in, audio_file, **sent)
    assert answer.status_code == 422
    field = list(sent)[-1]
    assert answer.context["order_form"].errors.keys() == {field}
    assert not TranscodeJob.objects.exists()
    page = answer.text
    if field != "formats":
        assert f'aria-describedby="id_{field}_' in page
        assert '<details class="order-options" open>' in page
    assert f'id="id_{field}_error"' in page


def test_of_a_sound_of_no_known_length_a_part_ends_within_a_day(signed_in, person):
    audio_file = make_file(person, duration_ms=None)
    assert order(signed_in, audio_file, clip_start="23:59:59").status_code == 302
    assert order(signed_in, audio_file, clip_start="24:00:00").status_code == 422


def test_the_shortest_part_may_be_the_last_one(signed_in, audio_file):
    assert order(signed_in, audio_file, clip_start="0:59.9").status_code == 302
    blip = make_file(audio_file.owner, duration_ms=50)
    assert order(signed_in, blip).status_code == 302


def test_failed_variants_are_tried_again_as_they_were_ordered(signed_in, audio_file):
    order(signed_in, audio_file, **FORM, loudness="-23", bitrate_mp3="96")
    order(signed_in, audio_file)
    for job in TranscodeJob.objects.all():
        job.cancel()
    signed_in.post(f"/audio/{audio_file.code}/retry/")
    again = TranscodeJob.objects.unfinished().order_by("target_lufs")
    assert {(job.clip, job.target_lufs, job.renditions.get().variant) for job in again} == {
        (Clip(10_000, 35_500), -23, "clip-10000-45500 lufs-23 kbps-96"),
        (None, None, ""),
    }


def test_variants_are_told_apart_wherever_results_are(audio_file):
    jobs = [audio_file.order(["mp3"], Options(1000, None)), audio_file.order(["mp3"])]
    for job in jobs:
        store_results(job)
        job.renditions.update(status="Complete")
    mine = AudioFile.objects.with_work().get()
    assert [one.label for one in player.sources(mine)][1:] == ["MP3 (from 0:01)", "MP3"]
    assert facts.table(mine).columns == ["Original", "MP3 (from 0:01)", "MP3"]
    assert mine._file_in("mp3").name == jobs[1].renditions.get().file.name


def test_places_are_written_to_the_millisecond():
    assert variants.position(0) == "0:00"
    assert variants.position(3_723_050) == "1:02:03.05"


def test_an_unknown_code_of_a_variant_has_no_words():
    assert variants.label("MP3", "from a later version") == "MP3"
    assert variants.in_file_name("from a later version") == ""


def test_w1_nobody_else_orders_a_part(client, audio_file):
    client.force_login(make_person())
    assert order(client, audio_file, **FORM).status_code == 404
