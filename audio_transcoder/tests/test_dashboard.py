"""The operators' dashboard: what it counts, what it says is bad, who sees it, what it costs."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
import time_machine
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audio_transcoder import dashboard
from audio_transcoder.dashboard import SPANS
from audio_transcoder.figures import short_time, speed
from audio_transcoder.models import AudioFile, Deletion, IntakeObject, TranscodeJob, Upload
from audio_transcoder.tests.factories import make_file, make_job, make_person
from audio_transcoder.tests.test_every_page import NONSENSE
from audio_transcoder.tests.test_scale import fill, plans_of
from steps.models import Heartbeat
from transcode_messages.models import Email

pytestmark = pytest.mark.django_db

URL = "/admin/dashboard/"
MOST_QUERIES = 15


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(get_user_model().objects.create_superuser("operator"))
    return client


@pytest.fixture
def workers_live() -> None:
    for number, kind in enumerate(("steps", "transcode", "transcode")):
        Heartbeat.objects.create(kind=kind, process=f"here {number}", at=timezone.now())


def staff(*permissions: str) -> object:
    person = get_user_model().objects.create_user("staff", is_staff=True)
    person.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return person


def ended(
    status: str = "Complete",
    *,
    ago: timedelta = timedelta(minutes=1),
    waited_s: float = 2,
    worked_s: float = 4,
    reason: str = "",
    **of_file: object,
) -> TranscodeJob:
    """A job that ended some time ago."""
    job = make_job(make_file(**of_file))
    finished = timezone.now() - ago
    started = finished - timedelta(seconds=worked_s)
    TranscodeJob.objects.filter(pk=job.pk).update(
        status=status,
        reason=reason,
        created_at=started - timedelta(seconds=waited_s),
        started_at=started,
        finished_at=finished,
    )
    return job


def news(page: object) -> list[str]:
    return [one.text for one in page.context["bad_news"]]


def listed(operator: Client, url: str) -> list[object]:
    """Return the rows of the list that a link of the dashboard leads to, as its first page."""
    return list(changelist(operator, url).result_list)


def listed_count(operator: Client, url: str) -> int:
    return changelist(operator, url).result_count


def changelist(operator: Client, url: str) -> ChangeList:
    page = operator.get(html.unescape(url))
    assert page.status_code == 200, page["Location"]
    return page.context["cl"]


# --- Who sees it ----------------------------------------------------------------------------------


def test_whoever_may_see_jobs_is_led_there_from_the_start_of_the_admin(client):
    client.force_login(staff("view_transcodejob"))
    start = client.get("/admin/").content.decode()
    assert start.index(URL) < start.index('id="content-main"')
    assert client.get(URL).status_code == 200


def test_who_may_not_see_jobs_does_not_see_the_dashboard(client):
    client.force_login(staff("view_upload"))
    assert URL not in client.get("/admin/").content.decode()
    assert client.get(URL).status_code == 403


def test_people_and_visitors_are_sent_to_sign_in(client):
    assert client.get(URL)["Location"].startswith("/admin/login/")
    client.force_login(make_person())
    assert client.get(URL)["Location"].startswith("/admin/login/")


def test_who_keeps_what_is_shown_to_whoever_may_see_that(client):
    person = staff("view_transcodejob")
    client.force_login(person)
    make_file(make_person("ada"))
    assert "Who keeps most" not in client.get(URL).content.decode()
    person.user_permissions.add(Permission.objects.get(codename="view_storageaccount"))
    page = client.get(URL).content.decode()
    assert "Who keeps most" in page
    assert "ada" in page


def test_it_is_for_looking_only(operator):
    assert operator.post(URL).status_code == 405


# --- Now ------------------------------------------------------------------------------------------


def test_the_queue_is_counted_by_engine_with_the_age_of_the_oldest(operator):
    make_job(placed=False)
    old = make_job()
    TranscodeJob.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(hours=3))
    runs = make_job()
    TranscodeJob.objects.filter(pk=runs.pk).update(status="Progressing", engine="mediaconvert")
    ended()
    page = operator.get(URL)
    found = {queue.engine: queue for queue in page.context["queues"]}
    ours, amazons = found["elastic"], found["mediaconvert"]
    assert (ours.not_placed, ours.placed, ours.progressing) == (1, 1, 0)
    assert (amazons.not_placed, amazons.placed, amazons.progressing) == (0, 0, 1)
    assert "3\xa0hours" in page.content.decode()
    link = re.search(r'href="([^"]*engine=elastic[^"]*)"', page.content.decode())[1]
    assert len(listed(operator, link)) == 2


def test_living_processes_are_counted_and_dead_ones_are_not(operator, workers_live):
    dead = timezone.now() - timedelta(minutes=5)
    Heartbeat.objects.create(kind="transcode", process="dead 1", at=dead)
    page = operator.get(URL)
    assert (page.context["workers"].transcode, page.context["workers"].steps) == (2, 1)


def test_without_bad_news_it_says_that_all_is_well(operator, workers_live):
    make_job()
    ended()
    page = operator.get(URL)
    assert news(page) == []
    assert "all is as it should be" in page.content.decode()


def test_it_says_that_nobody_works(operator):
    assert news(operator.get(URL)) == [
        "No worker is alive: nothing is converted.",
        "No process runs the steps: nothing is ordered, told of or deleted.",
    ]


def test_no_worker_of_ours_is_missed_where_another_engine_has_the_jobs(operator, settings):
    settings.TRANSCODER_ENGINE = "mediaconvert"
    assert not any("No worker" in text for text in news(operator.get(URL)))
    job = make_job()
    TranscodeJob.objects.filter(pk=job.pk).update(engine="elastic")
    assert any("No worker" in text for text in news(operator.get(URL)))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"created_at": 11}, "1 job has waited for more than 10 minutes."),
        ({"asked_since": 6}, "1 job whose engine does not answer."),
        ({"next_step_at": 6}, "1 job without news."),
    ],
)
def test_a_job_that_stands_still_is_bad_news_with_a_link_to_it(
    operator, workers_live, values, sentence
):
    fine, stuck = make_job(), make_job()
    ended()
    now = timezone.now()
    past = {name: now - timedelta(minutes=minutes) for name, minutes in values.items()}
    TranscodeJob.objects.filter(pk=stuck.pk).update(**past)
    page = operator.get(URL)
    assert news(page) == [sentence]
    assert listed(operator, page.context["bad_news"][0].url) == [stuck]
    assert fine.status == "Submitted"


def test_steps_that_are_overdue_are_bad_news(operator, workers_live):
    late = timezone.now() - timedelta(minutes=11)
    owner = make_person()
    Deletion.objects.create(prefixes=["uploads/x/"], next_step_at=late)
    Deletion.objects.create(prefixes=["uploads/y/"])
    IntakeObject.objects.create(bucket="b", key="k", size_bytes=1, next_step_at=late)
    IntakeObject.objects.create(bucket="b", key="done", size_bytes=1, next_step_at=None)
    Email.objects.create(user=owner, kind="failed", next_step_at=late)
    Email.objects.create(user=owner, kind="failed", next_step_at=None)
    make_upload(owner, next_step_at=late)
    make_upload(owner, touched_at=timezone.now() - timedelta(days=2))
    make_upload(owner)
    page = operator.get(URL)
    assert news(page) == [
        "1 deletion is overdue: its objects may still be in the store.",
        "2 uploads that nobody goes on with were not cleared away.",
        "1 dropped object was not taken in.",
        "1 e-mail was not handed over to the mail server.",
    ]
    for one in page.context["bad_news"]:
        assert listed(operator, one.url)


def test_every_number_is_the_count_of_the_list_that_it_links_to(operator, workers_live):
    make_jobs_in_all_states()
    owner = make_person()
    for values in STEPS_IN_ALL_STATES:
        Deletion.objects.create(prefixes=["uploads/x/"], **values)
        Email.objects.create(user=owner, kind="failed", **values)
        at = {"received_at": values["created_at"], "next_step_at": values["next_step_at"]}
        IntakeObject.objects.create(bucket="b", key=str(values), size_bytes=1, **at)
        for end in ({}, {"finished_at": FAR_AGO}, {"aborted_at": FAR_AGO}):
            make_upload(owner, **values, touched_at=values["created_at"], **end)

    page = operator.get(URL)

    found = page.context["bad_news"]
    counts = [int(re.match(r"\d+", one.text)[0]) for one in found]
    assert len(found) == 7
    assert counts == [listed_count(operator, one.url) for one in found]
    failures = page.context["failures"]
    assert len(failures) == 2
    assert [one.jobs for one, _url in failures] == [
        listed_count(operator, url) for _one, url in failures
    ]
    engines = re.findall(r'href="([^"]*engine=[^"]*)"', page.content.decode())
    queues = page.context["queues"]
    assert [queue.total for queue in queues] == [listed_count(operator, url) for url in engines]


FAR_AGO = timezone.now() - timedelta(days=3)
STEPS_IN_ALL_STATES = [
    {"created_at": created, "next_step_at": due}
    for created in (FAR_AGO, timezone.now())
    for due in (FAR_AGO, timezone.now() + timedelta(days=1))
]


def make_jobs_in_all_states() -> None:
    """Jobs in every status, told of and not, placed, waiting, and forgotten by their engine."""
    now, times = timezone.now(), (FAR_AGO, timezone.now() + timedelta(days=1))
    audio_file = make_file()
    TranscodeJob.objects.bulk_create(
        TranscodeJob(
            audio_file=audio_file, status=status, engine=engine, engine_id=engine_id,
            placed_at=placed_at, asked_since=asked_since, created_at=created_at,
            next_step_at=due, finished_at=now if status in TranscodeJob.FINAL else None,
            reason="damaged" if status == "Error" and engine_id else "",
        )
        for status in TranscodeJob.Status.values
        for engine in ("elastic", "mediaconvert")
        for engine_id, placed_at in (("", None), ("", FAR_AGO), ("1-a", FAR_AGO))
        for asked_since in (None, *times)
        for created_at in (FAR_AGO, now)
        for due in times
    )  # fmt: skip


def make_upload(owner: object, **values: object) -> Upload:
    values = {"next_step_at": timezone.now() + timedelta(hours=1), **values}
    return Upload.objects.create(
        owner=owner, part_bytes=8, size_bytes=8, file_name="a.mp3", formats=["wav"],
        media_type="audio/mpeg", store_id="1", **values,
    )  # fmt: skip


# --- What was done --------------------------------------------------------------------------------


def test_finished_and_failed_jobs_and_minutes_of_sound_are_counted_by_hour(operator):
    with time_machine.travel(timezone.now(), tick=False):  # no hour ends in between
        ended(duration_ms=90_000)
        clip = ended(duration_ms=90_000)
        TranscodeJob.objects.filter(pk=clip.pk).update(clip_start_ms=10_000, clip_end_ms=40_000)
        ended("Error", reason="damaged", duration_ms=90_000)
        ended("Canceled")
        ended(ago=timedelta(hours=5), duration_ms=60_000)
        ended(ago=timedelta(days=2))
        page = operator.get(URL)
    work = [one for _label, one in page.context["work"]]
    assert len(work) == 24
    assert (work[-6].complete, work[-6].minutes) == (1, 1.0)
    total = page.context["total"]
    assert (total.complete, total.failed, total.minutes) == (3, 1, 3.0)
    text = page.content.decode()
    assert text.count('<rect class="failed" x=') == 1
    assert "3 complete and 1 failed, in columns" in text


def test_days_are_counted_where_they_are_asked_for(operator):
    with time_machine.travel(timezone.now(), tick=False):  # no day ends in between
        ended(ago=timedelta(days=6))
        ended(ago=timedelta(days=20))
        for name, jobs, days in (("7d", 1, 7), ("30d", 2, 30)):
            page = operator.get(URL, {"range": name})
            assert page.context["total"].complete == jobs
            assert len(page.context["work"]) == days


def test_a_day_is_one_of_the_calendar_where_clocks_are_changed(settings):
    settings.TIME_ZONE = "Europe/Warsaw"
    with timezone.override("Europe/Warsaw"):
        now = datetime(2026, 10, 26, 12, 34, tzinfo=UTC)  # the clocks went back the day before
        starts = SPANS["7d"].starts(now)
        assert [timezone.localtime(at).hour for at in starts[:-1]] == [0] * 7
        lengths = [(end - begin) / timedelta(hours=1) for begin, end in pairwise(map(utc, starts))]
        assert lengths[:-1] == [24, 24, 24, 24, 24, 25]
        hours = SPANS["24h"].starts(now)
        assert {utc(end) - utc(begin) for begin, end in pairwise(hours[:-1])} == {
            timedelta(hours=1)
        }


def utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


@pytest.mark.parametrize("value", NONSENSE)
def test_w7_a_time_that_makes_no_sense_is_the_last_24_hours(operator, value):
    page = operator.get(URL, {"range": value})
    assert page.status_code == 200
    assert page.context["span"] == SPANS["24h"]


def test_failures_are_counted_by_reason_with_a_sentence_and_a_link_to_them(operator):
    damaged = [ended("Error", reason="damaged") for _ in range(2)]
    ended("Error", reason="timed_out")
    ended("Error", reason="damaged", ago=timedelta(days=3))
    ended()
    page = operator.get(URL)
    found = [(one.reason, one.jobs, one.share) for one, _url in page.context["failures"]]
    assert found == [("damaged", 2, 100.0), ("timed_out", 1, 50.0)]
    assert "Please export it again" in page.content.decode()
    assert set(listed(operator, page.context["failures"][0][1])) == set(damaged)


def test_waiting_and_speed_are_told_of_half_and_of_most_jobs(operator):
    for number in range(1, 22):
        ended(waited_s=number, worked_s=number, duration_ms=210_000)
    times = operator.get(URL).context["times"]
    assert times.jobs == 21
    assert (times.waited_half_s, times.waited_most_s) == pytest.approx((11, 20))
    assert (times.speed_half, times.speed_most) == pytest.approx((210 / 11, 210 / 20))


def test_the_slowest_jobs_are_those_with_most_work_for_their_sound(operator):
    ended(name="Long and quick", worked_s=60, duration_ms=3_600_000)
    slow = ended(name="<b>Short</b> and slow", worked_s=30, duration_ms=10_000)
    ended(name="No length", worked_s=30, duration_ms=None)
    page = operator.get(URL)
    slowest = page.context["times"].slowest
    assert [job.name for job in slowest] == ["<b>Short</b> and slow", "Long and quick"]
    text = page.content.decode()
    assert f"/admin/audio_transcoder/transcodejob/{slow.pk}/change/" in text
    assert "<b>Short</b>" not in text


def test_clocks_that_are_apart_make_no_negative_time(operator):
    ended(waited_s=-5, worked_s=-5)
    times = operator.get(URL).context["times"]
    assert (times.waited_half_s, times.speed_half, times.slowest) == (0, None, ())


def test_those_who_keep_most_come_first_with_files_bytes_and_cost(operator, settings):
    settings.STORAGE_PRICE_PER_GIB, settings.STORAGE_CURRENCY = 0.5, "EUR"
    ada, grace = make_person("ada"), make_person("grace")
    make_file(ada, size_bytes=1024**3)
    job = make_job(make_file(grace, size_bytes=2 * 1024**3))
    job.renditions.filter(format_name="wav").update(size_bytes=2 * 1024**3)
    page = operator.get(URL)
    found = [(one.username, one.files, one.share) for one in page.context["keepers"]]
    assert found == [("grace", 1, 100.0), ("ada", 1, 25.0)]
    assert "2.00 EUR" in page.content.decode()


def test_an_installation_in_which_nothing_happened_has_its_page(operator):
    text = operator.get(URL).content.decode()
    for sentence in ("No job is open.", "No job failed", "No job was completed", "Nobody keeps"):
        assert sentence in text


@pytest.mark.parametrize(
    ("seconds", "words"), [(None, "—"), (0.44, "0.4 s"), (42.4, "42 s"), (185, "3:05")]
)
def test_times_are_written_as_people_read_them(seconds, words):
    assert short_time(seconds) == words


def test_speeds_are_written_as_people_read_them():
    assert [speed(None), speed(1.28), speed(48.3)] == ["—", "1.3x", "48x"]


# --- What it costs --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SPANS)
def test_w14_it_costs_the_same_with_a_thousand_jobs(client, name):
    person = staff("view_transcodejob", "view_storageaccount", "view_job", "view_pipeline")
    client.force_login(person)
    costs = []
    for count in (1, 1000):
        fill(count)
        now = timezone.now()
        TranscodeJob.objects.update(started_at=now, finished_at=now)
        client.get(URL, {"range": name})
        with CaptureQueriesContext(connection) as captured:
            assert client.get(URL, {"range": name}).status_code == 200
        costs.append(len(captured))
    assert costs[0] == costs[1] <= MOST_QUERIES
    assert AudioFile.objects.count() == 1001


@pytest.mark.skipif(connection.vendor != "sqlite", reason="these are SQLite's words")
@pytest.mark.parametrize("name", SPANS)
def test_it_reads_no_job_that_it_does_not_count(name):
    now = timezone.now()
    starts = SPANS[name].starts(now)

    def look() -> None:
        dashboard.queues(now)
        dashboard.throughput(starts)
        dashboard.failures(starts[0], now)
        dashboard.times(starts[0], now)

    plans = plans_of(look)
    assert any("transcode_job_ended (status=? AND finished_at>?" in plan for _sql, plan in plans)
    assert [plan for _sql, plan in plans if plan.startswith("SCAN")] == []


@pytest.mark.skipif(connection.vendor != "sqlite", reason="these are SQLite's words")
def test_sums_of_results_are_read_from_an_index_alone():
    plans = [plan for _sql, plan in plans_of(dashboard.keepers)]
    assert any("COVERING INDEX rendition_size" in plan for plan in plans)
