"""What one person may still upload, and how it is said."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from audio_transcoder.models import AudioFile
from audio_transcoder.tests.factories import make_file
from audio_transcoder.uploads import limits

pytestmark = pytest.mark.django_db


def test_without_quotas_there_is_room_and_nothing_is_counted(person, django_assert_num_queries):
    make_file(person)
    with django_assert_num_queries(0):
        room = limits.room_of(person)
    assert room == limits.Room(None, None, None)
    assert room.has(1 << 40)


def test_u23_files_take_space_for_good_and_the_day_for_a_day(person, settings):
    settings.QUOTA_BYTES, settings.QUOTA_FILES, settings.QUOTA_FILES_PER_DAY = 100, 5, 5
    make_file(person, size_bytes=30)
    make_file(person, size_bytes=20)
    older = timezone.now() - timedelta(days=2)
    AudioFile.objects.filter(size_bytes=20).update(created_at=older)
    room = limits.room_of(person)
    assert room == limits.Room(bytes=50, files=3, files_today=4)
    assert room.has(50)
    assert not room.has(51)


def test_u23_a_quota_that_was_lowered_leaves_no_room_and_not_less(person, settings):
    settings.QUOTA_BYTES = settings.QUOTA_FILES = 1
    for _ in range(3):
        make_file(person, size_bytes=30)
    assert limits.room_of(person) == limits.Room(bytes=0, files=0, files_today=None)


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
    assert words in limits.told(limits.Room(None, None, None))


def test_one_file_is_not_said_as_several():
    told = limits.told(limits.Room(bytes=None, files=1, files_today=0))
    assert "room for 1 more file" in told
    assert "0 more files today" in told
