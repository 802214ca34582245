"""What pages say of the time that work still takes."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from django.utils import timezone

from audio_transcoder.figures import time_left
from audio_transcoder.file_page.forecast import Forecast, Line, before_in_turn, forecast
from audio_transcoder.models import TranscodeJob
from audio_transcoder.steps import _in_turn
from audio_transcoder.tests.factories import make_file, make_job, make_person

NOW = timezone.now()
MINUTE = 60_000  # milliseconds


def change(job: TranscodeJob, **values: object) -> TranscodeJob:
    TranscodeJob.objects.filter(pk=job.pk).update(**values)
    return TranscodeJob.objects.select_related("audio_file").get(pk=job.pk)


def finished(took_s: float, duration_ms: int = MINUTE) -> TranscodeJob:
    job = make_job(make_file(duration_ms=duration_ms))
    began = NOW - timedelta(seconds=100 + took_s)
    ended = began + timedelta(seconds=took_s)
    return change(job, status="Complete", started_at=began, finished_at=ended)


def begun(since_s: float, **values: object) -> TranscodeJob:
    job = make_job(make_file(duration_ms=MINUTE))
    values = {"status": "Progressing", "started_at": NOW - timedelta(seconds=since_s), **values}
    return change(job, **values)


def test_what_is_over_has_nothing_left(db):
    assert forecast(finished(3), NOW) == Forecast()


def test_a_job_goes_on_at_the_pace_that_it_had_so_far(db):
    job = begun(30, progress=25, reported_at=NOW - timedelta(seconds=10))
    # 25 % took 20 s, so 60 s were left ten seconds ago.
    assert forecast(job, NOW).left_s == pytest.approx(50)


def test_a_job_that_has_just_begun_goes_as_fast_as_those_before_it(db):
    finished(took_s=6)
    finished(took_s=4)
    assert forecast(begun(2, progress=1), NOW).left_s == pytest.approx(3)


def test_a_job_that_takes_longer_than_others_has_nothing_left_and_never_less(db):
    finished(took_s=5)
    assert forecast(begun(60, progress=0), NOW).left_s == 0


def test_without_a_finished_job_or_a_length_no_time_is_made_up(db):
    assert forecast(begun(2, progress=1), NOW) == Forecast()
    waiting = make_job(make_file(duration_ms=None))
    finished(took_s=5)
    assert forecast(waiting, NOW).left_s is None


def test_another_engines_pace_is_not_taken(db):
    change(finished(took_s=5), engine="mediaconvert")
    assert forecast(begun(2, progress=1), NOW).left_s is None


def test_a_part_of_a_sound_is_as_long_as_the_part(db):
    finished(took_s=5, duration_ms=10_000)
    job = change(make_job(make_file(duration_ms=MINUTE)), clip_start_ms=1000, clip_end_ms=5000)
    TranscodeJob.objects.exclude(pk=job.pk).update(status="Complete")
    assert forecast(job, NOW).left_s == pytest.approx(2)


def test_a_placed_job_waits_for_those_placed_before_it(db):
    finished(took_s=30)  # two seconds of sound in one
    first = begun(1)
    second = change(make_job(make_file(duration_ms=MINUTE)), placed_at=NOW)
    change(first, placed_at=NOW - timedelta(seconds=2))
    change(make_job(make_file(duration_ms=MINUTE)), placed_at=NOW + timedelta(seconds=2))
    found = forecast(second, NOW)
    assert found.ahead == 1
    assert found.left_s == pytest.approx(60)


def test_a_forecast_costs_two_queries_whatever_waits(db, django_assert_max_num_queries):
    person = make_person()
    for _ in range(30):
        finished(took_s=1)
        make_job(make_file(person), placed=False)
    job = TranscodeJob.objects.select_related("audio_file").unfinished().first()
    with django_assert_max_num_queries(2):
        assert forecast(job, NOW).ahead == 29


@pytest.mark.parametrize("seed", range(5))
def test_the_place_is_about_that_in_which_jobs_are_really_placed(db, settings, seed):
    settings.TRANSCODER_MAX_PLACED = 1000
    draw = random.Random(seed)
    persons = [make_person() for _ in range(4)]
    for person in persons:
        for _ in range(draw.randrange(4)):
            make_job(make_file(person))
    for _ in range(25):
        make_job(make_file(draw.choice(persons)), placed=False)
    placed = TranscodeJob.objects.placed().count()

    for place, job in enumerate(list(_in_turn())):
        job = TranscodeJob.objects.select_related("audio_file").get(pk=job.pk)
        # Of those who have equally many it may be before or behind each.
        assert abs(forecast(job, NOW).ahead - placed - place) < len(persons)


def test_a_person_with_much_waits_for_those_with_less():
    busy, idle = Line(placed=5, waiting=10), Line(placed=0, waiting=10)
    assert before_in_turn(Line(0, 1), 0, [busy, idle]) == 0
    assert before_in_turn(Line(5, 1), 0, [idle]) == 5
    assert before_in_turn(Line(2, 9), 3, [busy, Line(0, 2)]) == 5


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, ""),
        (0, "A few seconds left"),
        (12, "About 10 seconds left"),
        (59, "About 1 minute left"),
        (200, "About 3 minutes left"),
        (3600, "About 1 hour left"),
        (9e9, "About 2500000 hours left"),
    ],
)
def test_time_is_said_roundly(seconds, words):
    assert time_left(seconds) == words
