"""Edited tags and covers reach results that are there already: they are ordered again."""

from __future__ import annotations

import pytest
from django.utils import timezone

from audio_transcoder import tags
from audio_transcoder.models import AudioFile, TranscodeJob
from audio_transcoder.tests.factories import make_file, make_job, make_person, store_results
from audio_transcoder.variants import Options

pytestmark = pytest.mark.django_db
WORDS = "These results carry older tags"


@pytest.fixture
def with_results(person) -> AudioFile:
    """A file with a ready FLAC, and a ready MP3 of a part of it."""
    audio_file = make_file(person, title="Old", duration_ms=60_000)
    part = Options(1000, 5000, -16, {"mp3": 128})
    for job in (make_job(audio_file, ("flac",)), audio_file.order(("mp3",), part)):
        store_results(job)
        job.renditions.update(status="Complete", ready_at=timezone.now())
        TranscodeJob.objects.filter(pk=job.pk).update(status="Complete", label_at=timezone.now())
    return audio_file


def edit(client, audio_file: AudioFile, **values: str) -> None:
    now = AudioFile.objects.get(pk=audio_file.pk)
    sent = {field: getattr(now, field) for field in tags.TAGS} | values
    assert client.post(f"/audio/{audio_file.code}/tags/", sent).status_code == 302


def apply(client, audio_file: AudioFile):
    return client.post(f"/audio/{audio_file.code}/label/apply/")


def test_results_with_older_tags_are_named_and_ordered_again_as_they_were(signed_in, with_results):
    assert WORDS not in signed_in.get(with_results.get_absolute_url()).text
    edit(signed_in, with_results, title="New")
    page = signed_in.get(with_results.get_absolute_url()).text
    assert WORDS in page
    assert "<strong>FLAC</strong>" in page
    assert apply(signed_in, with_results).status_code == 302
    part, whole = TranscodeJob.objects.unfinished().order_by("-clip_start_ms")
    assert (part.clip_start_ms, part.clip_end_ms, part.target_lufs) == (1000, 5000, -16)
    again = part.renditions.get()
    assert (again.format_name, again.wanted_bitrate_kbps) == ("mp3", 128)
    assert [one.format_name for one in whole.renditions.all()] == ["flac"]
    assert part.order.tags == whole.order.tags == {"title": "New"}


def test_applied_twice_they_are_made_once_and_the_old_ones_stay_meanwhile(signed_in, with_results):
    edit(signed_in, with_results, title="New")
    for _ in range(2):
        apply(signed_in, with_results)
    assert TranscodeJob.objects.unfinished().count() == 2
    page = signed_in.get(with_results.get_absolute_url()).text
    assert WORDS not in page
    mine = AudioFile.objects.with_work().get()
    assert len(mine.ready_renditions) == 2
    assert signed_in.get(mine.ready_renditions[0].download_url).status_code == 200


def test_saving_the_tags_unchanged_changes_nothing(signed_in, with_results):
    edit(signed_in, with_results)
    with_results.refresh_from_db()
    assert (with_results.edited_tags, with_results.label_changed_at) == ("", None)


def test_only_what_was_changed_by_hand_takes_the_place_of_the_files_own(signed_in, with_results):
    edit(signed_in, with_results, year="1999")
    edit(signed_in, with_results, title="")
    with_results.refresh_from_db()
    assert with_results.tags_given() == {"title": "", "date": "1999"}


def test_an_engine_that_carries_no_tags_makes_nothing_again(signed_in, with_results):
    TranscodeJob.objects.update(engine="mediaconvert")
    edit(signed_in, with_results, title="New")
    assert WORDS not in signed_in.get(with_results.get_absolute_url()).text
    apply(signed_in, with_results)
    assert not TranscodeJob.objects.unfinished().exists()


def test_w1_nobody_else_applies_anything(client, with_results):
    client.force_login(make_person())
    assert apply(client, with_results).status_code == 404
