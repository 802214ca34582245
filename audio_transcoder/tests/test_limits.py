"""What one person may still upload, and how it is said."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone

from audio_transcoder import steps
from audio_transcoder.models import AudioFile, DeletedFile, TranscodeJob
from audio_transcoder.quotas import (
    OverQuota,
    Quota,
    quotas_of,
    require_room,
    require_room_for_results,
)
from audio_transcoder.tests.factories import client_of, make_file, make_job, make_person
from audio_transcoder.uploads import limits
from audio_transcoder.variants import Options
from tests.at_once import at_once

pytestmark = pytest.mark.django_db
SCRIPT = {"X-Requested-With": "XMLHttpRequest"}


def left_of(person) -> dict[str, int | None]:
    return {name: quota.left for name, quota in quotas_of(person).items()}


def test_without_quotas_there_is_room_and_nothing_is_counted(person, django_assert_num_queries):
    make_file(person)
    with django_assert_num_queries(0):
        assert quotas_of(person) == {}
        require_room(person, 1 << 40)
        require_room_for_results(person)


def test_u23_files_take_space_for_good_and_the_day_for_a_day(person, settings):
    settings.QUOTA_BYTES, settings.QUOTA_FILES, settings.QUOTA_FILES_PER_DAY = 100, 5, 5
    make_file(person, size_bytes=30)
    make_file(person, size_bytes=20)
    older = timezone.now() - timedelta(days=2)
    AudioFile.objects.filter(size_bytes=20).update(created_at=older)
    assert left_of(person) == {"bytes": 50, "files": 3, "files_today": 4}
    require_room(person, 50)
    with pytest.raises(OverQuota, match="quota"):
        require_room(person, 51)


def test_u23_deleting_a_file_gives_back_its_space_and_not_its_place_of_the_day(
    signed_in, person, settings, monkeypatch
):
    settings.QUOTA_BYTES, settings.QUOTA_FILES, settings.QUOTA_FILES_PER_DAY = 100, 5, 5
    _kept, one, another, older, lost = (make_file(person, size_bytes=10) for _ in range(5))
    long_ago = timezone.now() - timedelta(hours=25)
    AudioFile.objects.filter(pk=older.pk).update(created_at=long_ago)
    AudioFile.objects.filter(pk=make_file(make_person()).pk).remove(by_owner=True)

    signed_in.post(f"/audio/{one.code}/delete/")
    signed_in.post("/audio/several/delete/", {"file": [str(another.code), str(older.code)]})
    AudioFile.objects.filter(pk=lost.pk).remove()  # by the site, or an operator
    assert left_of(person) == {"bytes": 90, "files": 4, "files_today": 2}

    note = DeletedFile.objects.filter(owner=person).first()
    DeletedFile.objects.filter(pk=note.pk).update(uploaded_at=long_ago)
    assert left_of(person)["files_today"] == 3
    monkeypatch.setattr(steps, "_next_sweep", timezone.now())
    steps.sweep()
    assert DeletedFile.objects.filter(owner=person).count() == 1


def test_u23_a_quota_that_was_lowered_leaves_no_room_and_not_less(person, settings):
    settings.QUOTA_BYTES = settings.QUOTA_FILES = 1
    for _ in range(3):
        make_file(person, size_bytes=30)
    assert left_of(person) == {"bytes": 0, "files": 0}


def full_of_results(person, settings) -> AudioFile:
    """A file whose results take all the space that results may, and one that failed."""
    audio_file = make_file(person)
    make_job(audio_file, ("wav",)).renditions.update(size_bytes=70, status="Complete")
    make_job(audio_file, ("mp3",)).renditions.update(status="Error")
    TranscodeJob.objects.update(status="Error")
    audio_file.keep_state()
    settings.QUOTA_RESULT_BYTES = 70
    return audio_file


def test_u23_results_have_a_limit_of_their_own(person, settings):
    full_of_results(person, settings)
    settings.QUOTA_BYTES = 100
    assert left_of(person) == {"bytes": 95, "result_bytes": 0}
    require_room(person, 95)  # what is on its way is finished
    with pytest.raises(OverQuota, match="result_quota"):
        require_room_for_results(person)
    settings.QUOTA_RESULT_BYTES = 71
    require_room_for_results(person)
    require_room_for_results(make_person())


def test_u23_beyond_the_limit_of_results_nothing_is_uploaded(signed_in, person, settings, mp3):
    full_of_results(person, settings)
    page = signed_in.get("/audio/upload/").text
    assert "Your results take up all the space they may have." in page
    with mp3.open("rb") as sound:
        answer = signed_in.post(
            "/audio/upload/", {"mp3_file": sound, "formats": ["mp3"]}, headers=SCRIPT
        )
    assert (answer.status_code, answer.json()["reason"]) == (422, "result_quota")
    assert AudioFile.objects.count() == 1


def test_u23_beyond_the_limit_of_results_nothing_more_is_ordered(signed_in, person, settings):
    audio_file = full_of_results(person, settings)
    further = {"formats": ["flac"], "file": [str(audio_file.code)]}
    for path in (f"/audio/{audio_file.code}/order/", "/audio/several/order/"):
        refused = signed_in.post(path, further)
        assert refused.status_code == 422
        assert "Your results take up all the space they may have." in refused.text
    again = {"file": [str(audio_file.code)]}
    for path in (f"/audio/{audio_file.code}/retry/", "/audio/several/retry/"):
        sent_back = signed_in.post(path, again, follow=True)
        assert "Your results take up all the space they may have." in sent_back.text
    assert TranscodeJob.objects.count() == 2
    settings.QUOTA_RESULT_BYTES = 71
    signed_in.post(f"/audio/{audio_file.code}/retry/")
    assert TranscodeJob.objects.count() == 3


def test_u23_what_is_ordered_counts_until_it_is_there(person, settings):
    settings.QUOTA_RESULT_BYTES = 1_000_000
    minute = make_file(person, duration_ms=60_000)
    minute.order(["mp3"], Options(10_000, 20_000, None, {"mp3": 128}))
    assert left_of(person) == {"result_bytes": 1_000_000 - 160_000}
    minute.order(["mp4"], Options(50_000, None))
    assert left_of(person) == {"result_bytes": 840_000 - 325_000}
    unknown = make_file(make_person(), duration_ms=None, size_bytes=70)
    unknown.order(["wav", "mp3"])
    assert left_of(unknown.owner) == {"result_bytes": 1_000_000 - 140}
    unknown.order(["wav"], Options(80_000_000, None))
    unknown.learn_length(8000)
    assert quotas_of(unknown.owner)["result_bytes"].used == 1_411_000 + 192_000
    for job in TranscodeJob.objects.all():
        job.cancel()
    assert left_of(person) == left_of(unknown.owner) == {"result_bytes": 1_000_000}


@pytest.mark.django_db(transaction=True)
def test_u23_orders_that_come_at_once_see_each_other(settings):
    settings.QUOTA_RESULT_BYTES = 20_000  # a second of MP3 is 24,000
    person = make_person()
    codes = [make_file(person).code for _ in range(4)]
    assert ask_at_once(person, [f"/audio/{code}/order/" for code in codes]) == [302, 422, 422, 422]
    assert TranscodeJob.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_u23_uploads_that_come_at_once_see_what_is_ordered_for_each(settings, mp3):
    settings.QUOTA_RESULT_BYTES = 20_000
    assert ask_at_once(make_person(), ["/audio/upload/"] * 3, mp3) == [302, 422, 422]
    assert TranscodeJob.objects.count() == 1


def ask_at_once(person, paths: list[str], upload: Path | None = None) -> list[int]:
    """Ask for an MP3 at all these addresses at the same moment; return the answers' statuses."""

    def post(client: Client, path: str) -> int:
        sent = {"mp3_file": upload.open("rb")} if upload else {}
        return client.post(path, {"formats": ["mp3"], **sent}).status_code

    return sorted(at_once(*(partial(post, client_of(person), path) for path in paths)))


def test_u23_of_many_files_as_many_are_ordered_as_there_is_room_for(signed_in, person, settings):
    settings.QUOTA_RESULT_BYTES = 40_000
    codes = [str(make_file(person).code) for _ in range(4)]
    answer = signed_in.post(
        "/audio/several/order/", {"formats": ["mp3"], "file": codes}, follow=True
    )
    assert TranscodeJob.objects.count() == 2
    assert "2 files are being converted." in answer.text
    assert answer.text.count("Your results take up all the space they may have.") == 1


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "up to 1 second of sound"),
        (90, "up to 90 seconds of sound"),
        (600, "up to 10 minutes of sound"),
        (86400, "up to 24 hours of sound"),
    ],
)
def test_the_longest_sound_is_said_in_round_words(settings, seconds, words):
    settings.MAX_DURATION_S = seconds
    assert words in limits.told({})


def test_one_file_is_not_said_as_several():
    told = limits.told({"files": Quota("files", 4, 5), "files_today": Quota("files_today", 9, 5)})
    assert "room for 1 more file" in told
    assert "0 more files today" in told
