"""The operators' console, through Django's admin as a person uses it."""

from __future__ import annotations

import html
import re
import time
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from elastic_transcoder import keys, presets
from elastic_transcoder.admin import rows, words
from elastic_transcoder.admin.pipelines import PipelineForm
from elastic_transcoder.api.errors import ApiError
from elastic_transcoder.models import AccessKey, Job, JobOutput, Notice, Pipeline, Preset
from elastic_transcoder.tests.conftest import FLAC, MP3, TOPIC, WAV

pytestmark = pytest.mark.django_db

ADMIN = "/admin/elastic_transcoder"
ROLE = "arn:aws:iam::000000000000:role/Elastic_Transcoder_Default_Role"
VIDEO = "1351620000001-000010"
HLS_KEY = "c2VjcmV0LWtleS1vZi0xNi1i"


def sign_in(client: Client, *permissions: str) -> Client:
    """A member of staff with these permissions; without any, somebody who may do everything."""
    name = f"operator{get_user_model().objects.count()}"
    if not permissions:
        client.force_login(get_user_model().objects.create_superuser(name))
        return client
    person = get_user_model().objects.create_user(name, is_staff=True)
    codenames = Permission.objects.filter(content_type__app_label="elastic_transcoder")
    person.user_permissions.set(codenames.filter(codename__in=permissions))
    assert person.user_permissions.count() == len(permissions)
    client.force_login(person)
    return client


@pytest.fixture
def operator(client: Client) -> Client:
    return sign_in(client)


@pytest.fixture
def queue(db) -> Pipeline:
    topics = {"Progressing": "", "Completed": TOPIC, "Warning": "", "Error": ""}
    return Pipeline.objects.create(
        name="Podcasts", input_bucket="in", output_bucket="out", role=ROLE, notifications=topics
    )


def make_job(
    pipeline: Pipeline, status: str = "Submitted", *, ago_s: float = 60, **fields: Any
) -> Job:
    submit_ms = int((time.time() - ago_s) * 1000)
    times = {"submit_time_ms": submit_ms}
    if status in ("Progressing", "Complete", "Error"):
        times["start_time_ms"] = submit_ms + 2000
    if status in Job.FINAL:
        times["finish_time_ms"] = submit_ms + 14_300
    count = Job.objects.count()
    values = {
        "id": f"{submit_ms}-{count:06d}",
        "pipeline_id": pipeline.pk,
        "status": status,
        "inputs": [{"Key": f"uploads/{count}/interview.wav"}],
        "output_key_prefix": f"results/{count}/",
        **times,
        **fields,
    }
    return Job.objects.create(**values)


def make_output(job: Job, preset_id: str = MP3, **fields: Any) -> JobOutput:
    number = job.outputs.count() + 1
    values = {
        "number": number,
        "key": f"result-{number}",
        "preset_id": preset_id,
        "preset": {"Container": "mp3", "Audio": {"Codec": "mp3", "SampleRate": "44100"}},
        "status": job.status,
        **fields,
    }
    return JobOutput.objects.create(job=job, **values)


def make_notice(job: Job, **fields: Any) -> Notice:
    values = {"state": "COMPLETED", "topic_arn": TOPIC, "subject": "s", "message": "{}", **fields}
    return Notice.objects.create(job=job, **values)


def text_of(response: Any) -> str:
    """The words of a page, without its markup."""
    page = re.sub(r"<(script|style).*?</\1>", " ", response.content.decode(), flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def errors_of(response: Any) -> str:
    lists = re.findall(
        r'<ul class="errorlist[^"]*"[^>]*>(.*?)</ul>', response.content.decode(), re.DOTALL
    )
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", one)) for one in lists)


def act(client: Client, model: str, action: str, *rows: Any, **more: str) -> Any:
    data = {"action": action, "_selected_action": [row.pk for row in rows], **more}
    return client.post(f"{ADMIN}/{model}/", data, follow=True)


def listed(response: Any) -> list[Any]:
    return list(response.context["cl"].result_list)


# --- Access keys ----------------------------------------------------------------------------


def test_a_new_key_is_shown_once_and_works(operator):
    assert 'name="name"' in operator.get(f"{ADMIN}/accesskey/add/").content.decode()

    made = operator.post(f"{ADMIN}/accesskey/add/", {"name": "Importer"})

    key = AccessKey.objects.get(name="Importer")
    secret = keys.caller(key.access_key_id).secret
    assert made.status_code == 200
    assert key.access_key_id in text_of(made)
    assert secret in text_of(made)
    assert "no-store" in made["Cache-Control"]
    for address in ("", f"{key.pk}/change/", f"{key.pk}/history/"):
        assert secret not in operator.get(f"{ADMIN}/accesskey/{address}").content.decode()


def test_the_secret_of_a_new_key_is_kept_nowhere_but_encrypted(operator, caplog):
    made = operator.post(f"{ADMIN}/accesskey/add/", {"name": "Importer"})

    key = AccessKey.objects.get(name="Importer")
    secret = keys.caller(key.access_key_id).secret
    assert secret in text_of(made)
    assert secret not in caplog.text
    assert secret not in made.headers.get("Set-Cookie", "") + str(made.cookies)
    for session in Session.objects.all():
        assert secret not in str(session.get_decoded())
    for entry in LogEntry.objects.all():
        assert secret not in f"{entry.object_repr}{entry.change_message}"
    assert secret not in key.encrypted_secret


def test_sending_the_page_of_a_new_key_again_makes_no_second_key(operator):
    first = operator.post(f"{ADMIN}/accesskey/add/", {"name": "Importer"})
    again = operator.post(f"{ADMIN}/accesskey/add/", {"name": "Importer"})

    key = AccessKey.objects.get(name="Importer")
    assert key.access_key_id in text_of(first)
    assert again.status_code == 422
    assert "There is an access key with this name already" in errors_of(again)
    assert keys.caller(key.access_key_id).secret not in again.content.decode()


@pytest.mark.parametrize("name", ["", "   ", "x" * 101, "a\tb", "a\u00a0b", "a\u200bb", "a\x07b"])
def test_a_key_without_a_fitting_name_is_not_made(operator, name):
    before = AccessKey.objects.count()
    assert operator.post(f"{ADMIN}/accesskey/add/", {"name": name}).status_code == 422
    assert AccessKey.objects.count() == before


def test_a_key_is_disabled_and_enabled_and_the_log_says_by_whom(operator):
    key, secret = keys.create("Importer")

    assert "1 access key disabled" in text_of(act(operator, "accesskey", "disable", key))
    assert keys.caller(key.access_key_id).secret is None
    assert "1 access key enabled" in text_of(act(operator, "accesskey", "enable", key))
    assert keys.caller(key.access_key_id).secret == secret
    said = LogEntry.objects.order_by("pk").values_list("change_message", flat=True)
    assert list(said) == ["Disabled.", "Enabled."]


# --- Pipelines ------------------------------------------------------------------------------


def test_the_pipelines_show_what_waits_what_runs_and_how_long(operator, queue):
    make_job(queue, "Submitted", ago_s=125)
    make_job(queue, "Submitted", ago_s=10)
    make_job(queue, "Progressing")
    for _number in range(3):
        make_job(queue, "Complete")

    page = operator.get(f"{ADMIN}/pipeline/", {"q": queue.pk})

    (row,) = listed(page)
    assert (row.jobs_waiting, row.jobs_running) == (2, 1)
    assert re.search(r"Podcasts .* Active 2 1 2 min [5-9] s in → out", text_of(page))


def test_a_pipeline_is_paused_and_resumed(operator, queue):
    assert "1 pipeline paused" in text_of(act(operator, "pipeline", "pause", queue))
    queue.refresh_from_db()
    assert queue.status == "Paused"

    assert "1 pipeline resumed" in text_of(act(operator, "pipeline", "resume", queue))
    queue.refresh_from_db()
    assert queue.status == "Active"


def test_the_page_of_a_pipeline_shows_its_queue_and_topics(operator, queue, settings, time_machine):
    time_machine.move_to(timezone.now(), tick=False)
    settings.TRANSCODER_TOPICS = {TOPIC: ["https://user:hush@example.com/hook?token=hush"]}
    waiting, running = make_job(queue), make_job(queue, "Progressing", progress=42)
    done = make_job(queue, "Complete")

    page = operator.get(f"{ADMIN}/pipeline/{queue.pk}/change/")

    shown = text_of(page)
    assert "Jobs waiting 1 Jobs running 1 Oldest waits for 1 min 0 s" in shown
    assert shown.index(running.pk) < shown.index(waiting.pk)
    assert "42 %" in shown
    assert done.pk not in shown
    assert f"Completed {TOPIC} https://•••@example.com/hook?•••" in shown
    assert "Error — nobody is told" in shown
    assert "hush" not in page.content.decode()


def test_an_action_on_a_pipelines_own_page_ends_there(operator, queue):
    page = operator.get(f"{ADMIN}/pipeline/{queue.pk}/change/").content.decode()
    assert 'name="action" value="pause"' in page

    answer = act(operator, "pipeline", "pause", queue, from_page=queue.pk, index="0")

    assert answer.redirect_chain == [(f"{ADMIN}/pipeline/{queue.pk}/change/", 302)]
    assert 'name="action" value="resume"' in answer.content.decode()


def test_an_action_that_names_no_page_of_its_own_ends_at_the_list(operator, queue):
    answer = act(operator, "pipeline", "pause", queue, from_page="a\nb", index="0")
    assert answer.redirect_chain == [(f"{ADMIN}/pipeline/", 302)]


PIPELINE = {"name": "By hand", "input_bucket": "in", "output_bucket": "out", "role": ROLE}


def test_a_pipeline_is_made_by_hand(operator):
    form = operator.get(f"{ADMIN}/pipeline/add/")
    assert ROLE in form.content.decode()

    answer = operator.post(f"{ADMIN}/pipeline/add/", {**PIPELINE, "completed": TOPIC}, follow=True)

    pipeline = Pipeline.objects.get(name="By hand")
    assert answer.redirect_chain == [(f"{ADMIN}/pipeline/{pipeline.pk}/change/", 302)]
    assert "The pipeline “By hand” takes jobs now." in text_of(answer)
    assert (pipeline.input_bucket, pipeline.output_bucket) == ("in", "out")
    assert pipeline.notifications == {
        "Progressing": "", "Completed": TOPIC, "Warning": "", "Error": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("name", "", "This field is required."),
        ("name", "x" * 41, "at most 40 characters"),
        ("input_bucket", "my bucket", "Letters, digits, dots, hyphens and underscores only."),
        ("output_bucket", "../etc", "Letters, digits, dots, hyphens and underscores only."),
        ("role", "me", "Role ARN is invalid: me"),
        ("completed", "somebody", "A topic looks like arn:aws:sns:eu-west-1:000000000000:name."),
        ("error", f"arn:aws:sns:x:000000000000:{'x' * 300}", "The Error topic ARN is longer than"),
    ],
)
def test_a_pipeline_that_the_api_would_refuse_is_not_made(operator, field, value, sentence):
    before = Pipeline.objects.count()

    answer = operator.post(f"{ADMIN}/pipeline/add/", {**PIPELINE, field: value})

    assert answer.status_code == 422
    assert sentence in errors_of(answer)
    assert Pipeline.objects.count() == before


def test_a_violation_of_the_api_stands_beside_its_field():
    form = PipelineForm(PIPELINE)
    assert form.is_valid()
    sentence = "Value 'a; b' at 'inputBucket' failed to satisfy constraint: Member must not be x"
    form.take(
        ApiError(
            "ValidationException",
            f"2 validation errors detected: {sentence}; Value null at 'name' failed to satisfy "
            "constraint: Member must not be null",
        )
    )
    assert form.errors["input_bucket"] == [sentence]
    assert form.errors["name"] == [
        "Value null at 'name' failed to satisfy constraint: Member must not be null"
    ]


# --- Presets --------------------------------------------------------------------------------


def make_preset(**fields: Any) -> Preset:
    audio = {"Codec": "AAC", "SampleRate": "48000", "BitRate": "96", "Channels": "1"}
    values = {"name": "Speech", "container": "mp4", "audio": audio, **fields}
    return Preset.objects.create(**values)


def test_all_presets_stand_on_one_page_in_words(operator):
    make_preset()

    shown = text_of(operator.get(f"{ADMIN}/preset/"))

    assert re.search(r"Speech \d{13}-\w{6} mp4 AAC 48 kHz mono 96 kbit/s — —", shown)
    for preset in presets.system_presets():
        assert preset.id in shown
    assert "Audio MP3 - 192k 1351620000001-300020 mp3 MP3 44.1 kHz stereo 192 kbit/s — —" in shown
    assert "Audio FLAC - CD 1351620000001-300110 flac FLAC 44.1 kHz stereo — 16 bit —" in shown
    assert "Generic 1080p 1351620000001-000001 mp4 AAC-LC" in shown
    assert re.search("H.264, 1920 . 1080", shown)


def test_a_custom_preset_is_deleted_and_its_jobs_stay(operator, queue):
    preset = make_preset()
    job = make_job(queue, "Complete")
    make_output(job, preset.pk)
    assert "Speech" in text_of(operator.get(f"{ADMIN}/job/{job.pk}/change/"))

    operator.post(f"{ADMIN}/preset/{preset.pk}/delete/", {"post": "yes"})

    assert not Preset.objects.exists()
    assert f"{preset.pk} (deleted)" in text_of(operator.get(f"{ADMIN}/job/{job.pk}/change/"))


# --- The list of jobs -----------------------------------------------------------------------


def test_a_row_of_the_jobs_says_what_an_operator_asks(operator, queue):
    job = make_job(queue, "Complete", progress=100, attempts=2)
    running = make_job(queue, "Progressing", progress=57)

    page = operator.get(f"{ADMIN}/job/")

    shown = text_of(page)
    when = words.at_ms(job.submit_time_ms)
    assert f"{job.pk} uploads/0/interview.wav Complete " in shown
    assert running.pk in shown
    assert "Progressing 57 %" in shown
    assert f'title="{when}"' in page.content.decode()
    assert "12 s Podcasts" in shown
    assert f'href="{ADMIN}/pipeline/{queue.pk}/change/"' in page.content.decode()


def test_jobs_are_filtered_by_status_pipeline_time_and_error(operator, queue):
    gone = Pipeline(pk="1500000000000-goneab")
    bad = make_job(queue, "Error", ago_s=2 * 3600)
    make_output(bad, error_code=3002)
    make_output(bad, error_code=3002)
    late = make_job(gone, "Complete", ago_s=40 * 24 * 3600)
    new = make_job(queue, "Submitted", ago_s=5)

    def found(**filters: str) -> set[str]:
        return {job.pk for job in listed(operator.get(f"{ADMIN}/job/", filters))}

    assert found() == {bad.pk, late.pk, new.pk}
    assert found(status__exact="Error") == {bad.pk}
    assert found(pipeline=gone.pk) == {late.pk}
    assert found(submitted="hour") == {new.pk}
    assert found(submitted="week") == {bad.pk, new.pk}
    assert found(submitted="older") == {late.pk}
    assert found(error_code="3002") == {bad.pk}
    assert found(error_code="3002", pipeline=gone.pk) == set()
    offered = text_of(operator.get(f"{ADMIN}/job/"))
    assert f"{gone.pk} (deleted)" in offered
    assert "3002: the output is there already" in offered


@pytest.mark.parametrize("value", ["'", "%_\\", "1e9", "²", "99999999999999999999", "-1", "\x00"])
@pytest.mark.parametrize("name", ["error_code", "pipeline", "submitted", "q", "p", "o", "x"])
def test_a_nonsensical_question_gets_an_answer(operator, queue, name, value):
    make_output(make_job(queue))
    for model in ("job", "joboutput", "notice", "pipeline"):
        answer = operator.get(f"{ADMIN}/{model}/", {name: value}, follow=True)
        assert answer.status_code == 200


def test_jobs_are_found_by_id_pipeline_and_part_of_a_key(operator, queue):
    one = make_job(queue, "Complete", output_key_prefix="a%b/")
    make_output(one, key="Émile_1.mp3")
    other = make_job(queue, "Complete", output_key_prefix="axb/")

    def found(term: str) -> set[str]:
        return {job.pk for job in listed(operator.get(f"{ADMIN}/job/", {"q": term}))}

    assert found(one.pk) == {one.pk}
    assert found(f" {one.pk} ") == {one.pk}
    assert found(queue.pk) == {one.pk, other.pk}
    assert found("uploads/1/inter") == {other.pk}
    assert found("a%b/Émile_1") == {one.pk}
    assert found("nothing like it") == set()


def test_a_long_list_is_neither_counted_nor_searched_to_its_end(operator, queue, monkeypatch):
    monkeypatch.setattr(rows, "MOST_LISTED", 120)
    for number in range(150):
        job = make_job(queue, "Complete", ago_s=10_000 - number)
        make_output(job)
    first, last = Job.objects.order_by("id").first(), Job.objects.order_by("id").last()

    page = operator.get(f"{ADMIN}/job/")

    assert "More than 120 jobs; these are the newest." in text_of(page)
    assert page.context["cl"].paginator.num_pages == 3
    assert operator.get(f"{ADMIN}/job/?p=3").status_code == 200
    assert operator.get(f"{ADMIN}/job/", {"p": 4}, follow=True).redirect_chain
    assert listed(operator.get(f"{ADMIN}/job/", {"q": last.inputs[0]["Key"]})) == [last]
    assert listed(operator.get(f"{ADMIN}/job/", {"q": first.inputs[0]["Key"]})) == []
    assert listed(operator.get(f"{ADMIN}/job/", {"q": first.pk})) == [first]


@pytest.mark.parametrize(
    "address",
    [
        "job/",
        "job/?status__exact=Complete&submitted=week",
        "job/?error_code=3001",
        "job/?q=interview",
        "pipeline/",
        "joboutput/",
        "joboutput/?q=result",
        "notice/?status__exact=Refused",
        "preset/",
        "job/add/",
    ],
)
def test_a_page_asks_the_database_as_often_with_many_jobs(operator, queue, address):
    def ask() -> int:
        operator.get(f"{ADMIN}/{address}")
        with CaptureQueriesContext(connection) as asked:
            assert operator.get(f"{ADMIN}/{address}").status_code == 200
        for query in asked.captured_queries:
            # Every count ends: at the rows of the open jobs, or at a limit.
            if "COUNT(" in query["sql"]:
                assert "LIMIT" in query["sql"] or '"status" = ' in query["sql"], query["sql"]
        return len(asked)

    def fill(count: int) -> None:
        for number in range(count):
            job = make_job(queue, "Error" if number % 2 else "Complete", ago_s=1000 - number)
            make_output(job, error_code=3001 if number % 2 else None)
            make_notice(job, status="Refused" if number % 2 else "Delivered")

    fill(4)
    few = ask()
    fill(60)
    assert ask() == few <= 14


def test_the_page_of_one_job_asks_the_database_as_often_with_many_outputs(operator, queue):
    counts = []
    for outputs in (1, 30):
        job = make_job(queue, "Complete")
        for number in range(outputs):
            make_output(job, key=f"{number}.mp3")
            make_notice(job)
        operator.get(f"{ADMIN}/job/{job.pk}/change/")
        with CaptureQueriesContext(connection) as asked:
            assert operator.get(f"{ADMIN}/job/{job.pk}/change/").status_code == 200
        counts.append(len(asked))
    assert counts[0] == counts[1] <= 14


# --- The page of one job --------------------------------------------------------------------


def test_the_page_of_a_job_tells_everything_in_words(operator, queue):
    job = make_job(
        queue,
        "Error",
        attempts=2,
        inputs=[
            {
                "Key": "uploads/a <b>.wav",
                "TimeSpan": {"StartTime": "5", "Duration": "30"},
                "DetectedProperties": {"DurationMillis": 61_000, "FileSize": 12_345_678},
            }
        ],
        user_metadata={"order": "42"},
        log="Error while decoding <stream> #0:0",
    )
    make_output(job, key="a.mp3", status="Complete", duration_ms=30_000, size_bytes=1_400_000)
    make_output(job, FLAC, key="a.flac", error_code=3002, status_detail="3002 x: It is there.")
    make_notice(
        job, url="https://example.com/hook", status="Refused", last_answer="410", attempts=3
    )

    page = operator.get(f"{ADMIN}/job/{job.pk}/change/")

    shown = text_of(page)
    assert "Status Error Progress 0 % Pipeline Podcasts" in shown
    assert "Attempts 2 of 5 at most order 42" in shown
    assert f"{words.at_ms(job.submit_time_ms)} Submitted." in shown
    assert "A worker began; the job had waited 2.0 s. It was begun 2 times." in shown
    assert "Ended with an error after 12 s." in shown
    assert "uploads/a <b>.wav 1 min 1 s 11.8 MB clip from 5, length 30" in shown
    assert "results/0/a.mp3 Audio MP3 - 192k MP3 in mp3, 44.1 kHz Complete 30 s 1.3 MB" in shown
    assert "results/0/a.flac Audio FLAC - CD" in shown
    assert "3002 x: It is there." in shown
    assert f"COMPLETED https://example.com/hook {TOPIC} Refused 410 3" in shown
    assert "Error while decoding <stream> #0:0" in shown


def test_the_page_of_a_job_tells_what_the_source_is(operator, queue):
    found = {
        "Status": "Complete",
        "CoverKey": "results/0/cover",
        "Container": "mp3",
        "Codec": "mp3",
        "SampleRateHz": 44100,
        "Channels": 2,
        "BitRateKbps": 192,
        "Tags": {"title": "A <b>"},
        "LoudnessLufs": -14.2,
        "Waveform": "AAEC",
    }
    job = make_job(queue, "Complete", analysis_asked={}, analysis=found)
    sound = {"IsFaithful": False, "Correlation": 0.9981, "LostTags": ["mood", "title"]}
    make_output(job, key="a.mp3", status="Complete", sound=sound)
    make_output(job, WAV, key="a.wav", status="Complete", sound={"IsFaithful": True})

    shown = text_of(operator.get(f"{ADMIN}/job/{job.pk}/change/"))

    assert "What the source is Status Complete" in shown
    assert "Sound mp3 mp3, 2 channels, 44100 Hz, 192 kbit/s Loudness -14.2 LUFS" in shown
    assert "Cover results/0/cover title A <b>" in shown
    assert "correlation with the source 0.9981; tags lost: mood, title" in shown
    assert "every sample is the source's" in shown
    assert "AAEC" not in shown


def test_the_page_of_a_job_says_that_its_analysis_goes_on(operator, queue):
    job = make_job(queue, "Complete", analysis_asked={})
    assert "Not over yet" in text_of(operator.get(f"{ADMIN}/job/{job.pk}/change/"))
    other = make_job(queue, "Complete")
    page = text_of(operator.get(f"{ADMIN}/job/{other.pk}/change/"))
    assert "What the source is" not in page


def test_times_are_those_of_the_site(operator, queue, settings):
    settings.TIME_ZONE = "Asia/Tokyo"
    job = make_job(queue, submit_time_ms=1_700_000_000_000)

    shown = text_of(operator.get(f"{ADMIN}/job/{job.pk}/change/"))

    assert "Time (Asia/Tokyo)" in shown
    assert "15 Nov 2023, 07:13:20 Submitted." in shown


def test_the_page_of_a_waiting_job_says_what_it_waits_for(operator, queue):
    first, second = make_job(queue, ago_s=20), make_job(queue, ago_s=10)

    def waits(job: Job) -> str:
        return text_of(operator.get(f"{ADMIN}/job/{job.pk}/change/"))

    assert "Waits for a free worker; it is the next of its pipeline." in waits(first)
    assert "Waits; 1 job is before it." in waits(second)
    Pipeline.objects.filter(pk=queue.pk).update(status="Paused")
    assert "Waits: its pipeline is paused." in waits(second)
    Pipeline.objects.filter(pk=queue.pk).delete()
    assert f"{queue.pk} (deleted)" in waits(second)


def test_no_page_shows_the_key_of_an_encryption(operator, queue):
    lock = {"Method": "aes-128", "Key": HLS_KEY, "KeyStoragePolicy": "WithVariantPlaylists"}
    sealed = {"Mode": "aes-cbc-pkcs7", "Key": HLS_KEY, "KeyMd5": HLS_KEY}
    job = make_job(
        queue,
        "Complete",
        inputs=[{"Key": "a.wav", "Encryption": sealed}],
        playlists=[
            {
                "Name": "main",
                "Format": "HLSv3",
                "OutputKeys": ["a"],
                "HlsContentProtection": lock,
                "Status": "Error",
                "StatusDetail": "1001 x: An output failed.",
            }
        ],
    )
    output = make_output(job, key="a", options={"Encryption": sealed, "SegmentDuration": "10.0"})
    addresses = [
        "job/",
        f"job/{job.pk}/change/",
        f"job/{job.pk}/repeat/",
        "joboutput/",
        f"joboutput/{output.pk}/change/",
    ]
    for address in addresses:
        page = operator.get(f"{ADMIN}/{address}")
        assert page.status_code == 200
        assert HLS_KEY not in page.content.decode()
    shown = text_of(operator.get(f"{ADMIN}/job/{job.pk}/change/"))
    assert "results/0/main HLSv3 a aes-128, key ••• (hidden) Error 1001 x: An output" in shown
    assert "encrypted: aes-cbc-pkcs7, key ••• (hidden)" in shown
    assert "segments of 10.0 s" in shown


# --- Actions on jobs ------------------------------------------------------------------------


def test_only_jobs_that_wait_are_canceled(operator, queue):
    waiting, running = make_job(queue), make_job(queue, "Progressing")

    assert "1 job canceled" in text_of(act(operator, "job", "cancel", waiting, running))

    waiting.refresh_from_db()
    running.refresh_from_db()
    assert (waiting.status, running.status) == ("Canceled", "Progressing")
    assert LogEntry.objects.get().object_id == waiting.pk


def test_notices_of_jobs_are_sent_again(operator, queue):
    job = make_job(queue, "Complete")
    notices = [make_notice(job, status="Refused"), make_notice(job, status="Delivered")]

    assert "2 notices are sent again" in text_of(act(operator, "job", "send_again", job))

    for notice in notices:
        notice.refresh_from_db()
        assert notice.status == "Waiting"


def test_the_pipeline_of_a_job_is_paused_from_its_page(operator, queue):
    job = make_job(queue)

    answer = act(operator, "job", "pause_pipeline", job, from_page=job.pk, index="0")

    assert answer.redirect_chain[-1][0] == f"{ADMIN}/job/{job.pk}/change/"
    assert "Waits: its pipeline is paused." in text_of(answer)
    assert "1 pipeline resumed" in text_of(act(operator, "job", "resume_pipeline", job))


def test_pausing_the_deleted_pipeline_of_a_job_says_that_it_is_gone(operator, queue):
    job = make_job(Pipeline(pk="1500000000000-goneab"), "Complete")
    shown = text_of(act(operator, "job", "pause_pipeline", job))
    assert "The specified pipeline was not found" in shown


# --- Repeating a job ------------------------------------------------------------------------


def test_a_job_is_repeated_under_another_prefix(operator, queue):
    first = make_job(
        queue,
        "Complete",
        inputs=[{"Key": "a.wav", "Container": "wav", "DetectedProperties": {"FileSize": 5}}],
        user_metadata={"order": "42"},
        tags={"title": "Song"},
        analysis_asked={"CoverKey": "cover"},
        analysis={"Status": "Complete", "CoverKey": "results/0/cover"},
    )
    make_output(first, WAV, key="a.wav", options={"Rotate": "0"})
    make_output(first, key="a.mp3")

    asked = act(operator, "job", "repeat", first)
    assert asked.redirect_chain == [(f"{ADMIN}/job/{first.pk}/repeat/", 302)]
    offered = re.search(r'name="prefix" value="([^"]*)"', asked.content.decode())[1]
    assert re.fullmatch(r"results/0/repeat-\d{8}-\d{6}/", offered)
    answer = operator.post(asked.request["PATH_INFO"], {"prefix": offered}, follow=True)

    second = Job.objects.exclude(pk=first.pk).get()
    assert answer.redirect_chain == [(f"{ADMIN}/job/{second.pk}/change/", 302)]
    assert second.output_key_prefix == offered
    assert second.inputs == [{"Key": "a.wav", "Container": "wav"}]
    assert second.user_metadata == {"order": "42"}
    assert second.tags == {"title": "Song"}
    assert (second.analysis_asked, second.analysis) == ({"CoverKey": "cover"}, None)
    assert (second.pipeline_id, second.status) == (queue.pk, "Submitted")
    values = second.outputs.values_list("key", "preset_id", "options")
    assert list(values) == [("a.wav", WAV, {"Rotate": "0"}), ("a.mp3", MP3, {})]


def test_a_repeat_does_not_go_where_results_stand(operator, queue):
    job = make_job(queue, "Error")
    make_output(job, status="Complete")
    make_output(job)

    answer = operator.post(f"{ADMIN}/job/{job.pk}/repeat/", {"prefix": job.output_key_prefix})

    assert answer.status_code == 422
    assert "Give another prefix" in errors_of(answer)
    assert Job.objects.count() == 1


def test_a_job_that_made_nothing_may_be_repeated_where_it_was(operator, queue):
    job = make_job(queue, "Error")
    make_output(job, error_code=3001)
    page = operator.get(f"{ADMIN}/job/{job.pk}/repeat/")
    assert f'name="prefix" value="{job.output_key_prefix}"' in page.content.decode()

    operator.post(f"{ADMIN}/job/{job.pk}/repeat/", {"prefix": job.output_key_prefix})

    prefixes = Job.objects.values_list("output_key_prefix", flat=True)
    assert list(prefixes) == [job.output_key_prefix] * 2


def test_a_repeat_of_a_repeat_is_offered_no_longer_prefix(operator, queue):
    job = make_job(queue, "Complete", output_key_prefix="a/repeat-20261120-101112/")
    make_output(job)
    page = operator.get(f"{ADMIN}/job/{job.pk}/repeat/").content.decode()
    assert re.search(r'value="a/repeat-\d{8}-\d{6}/"', page)
    assert 'value="a/repeat-20261120-101112/"' not in page


def test_the_prefix_that_is_offered_is_never_too_long(operator, queue):
    job = make_job(queue, "Complete", output_key_prefix="x" * 255)
    make_output(job)
    page = operator.get(f"{ADMIN}/job/{job.pk}/repeat/").content.decode()
    offered = re.search(r'name="prefix" value="(x+repeat-[^"]*)"', page)[1]
    assert operator.post(f"{ADMIN}/job/{job.pk}/repeat/", {"prefix": offered}).status_code == 302


def test_a_repeat_that_the_api_refuses_says_why(operator, queue):
    job = make_job(Pipeline(pk="1500000000000-goneab"), "Error")
    make_output(job)
    answer = operator.post(f"{ADMIN}/job/{job.pk}/repeat/", {"prefix": "b/"})
    assert answer.status_code == 422
    assert "The specified pipeline was not found" in errors_of(answer)

    long = operator.post(f"{ADMIN}/job/{job.pk}/repeat/", {"prefix": "x" * 256})
    assert "at most 255 characters" in errors_of(long)
    assert Job.objects.count() == 1


def test_only_one_job_is_repeated_at_a_time_and_only_one_that_there_is(operator, queue):
    jobs = [make_job(queue), make_job(queue)]
    assert "Choose one job" in text_of(act(operator, "job", "repeat", *jobs))
    assert operator.get(f"{ADMIN}/job/1500000000000-nobody/repeat/").status_code == 404


# --- A job by hand --------------------------------------------------------------------------


def by_hand(pipeline: Pipeline, /, *outputs: tuple[str, str], **changed: str) -> dict[str, str]:
    data = {"pipeline": pipeline.pk, "input_key": "uploads/a.wav", "prefix": "hand/", "rows": "3"}
    for number, (key, preset) in enumerate(outputs, start=1):
        data |= {f"output-{number}-key": key, f"output-{number}-preset": preset}
    return data | changed


def test_a_job_is_made_by_hand(operator, queue):
    form = operator.get(f"{ADMIN}/job/add/")
    assert "Audio MP3 - 192k — MP3 in mp3, 192 kbit/s, 44.1 kHz, stereo" in text_of(form)
    assert VIDEO not in form.content.decode()

    answer = operator.post(
        f"{ADMIN}/job/add/",
        by_hand(queue, ("a.mp3", MP3), ("", ""), ("a.flac", FLAC)),
        follow=True,
    )

    job = Job.objects.get()
    assert answer.redirect_chain == [(f"{ADMIN}/job/{job.pk}/change/", 302)]
    assert f"The job {job.pk} was submitted." in text_of(answer)
    assert (job.pipeline_id, job.output_key_prefix) == (queue.pk, "hand/")
    assert job.inputs == [{"Key": "uploads/a.wav"}]
    values = job.outputs.values_list("number", "key", "preset_id")
    assert list(values) == [(1, "a.mp3", MP3), (2, "a.flac", FLAC)]


@pytest.mark.parametrize(
    ("outputs", "changed", "sentence"),
    [
        ([], {}, "Give at least one result"),
        ([("a.mp3", "")], {}, "A result needs both a key and a preset."),
        ([("", MP3)], {}, "A result needs both a key and a preset."),
        ([("a.mp3", VIDEO)], {}, "Select a valid choice"),
        ([("a", MP3), ("a", FLAC)], {}, "Output keys must be unique within a job; 'a' is given 2"),
        ([("a.mp3", MP3)], {"input_key": ""}, "This field is required."),
        ([("a.mp3", MP3)], {"input_key": "x" * 1025}, "at most 1024 characters"),
        ([("a.mp3", MP3)], {"clip_start": "soon"}, "Give seconds such as 90"),
        ([("a.mp3", MP3)], {"clip_duration": "1:2:3:4"}, "Give seconds such as 90"),
        ([("é" * 255, MP3)], {"prefix": "é" * 255 + "/"}, "at most 255 characters"),
        ([("é" * 255, MP3)], {"prefix": "𝄞" * 255}, "exceeds 1024 bytes"),
        ([("a.mp3", MP3)], {"pipeline": "1500000000000-goneab"}, "Select a valid choice"),
    ],
)
def test_a_job_that_the_api_would_refuse_is_not_made(operator, queue, outputs, changed, sentence):
    answer = operator.post(f"{ADMIN}/job/add/", by_hand(queue, *outputs, **changed))

    assert answer.status_code == 422
    assert sentence in errors_of(answer)
    assert "uploads/a.wav" in answer.content.decode() or "input_key" in changed
    assert not Job.objects.exists()


def test_more_rows_keep_what_was_typed(operator, queue):
    data = by_hand(queue, ("a.mp3", MP3), ("", ""), ("half", ""), more="1", input_key="")

    page = operator.post(f"{ADMIN}/job/add/", data)

    form = page.content.decode()
    assert page.status_code == 200
    assert not errors_of(page)
    assert 'name="output-6-key"' in form
    assert 'name="output-7-key"' not in form
    assert re.search(r'name="output-1-key" value="a.mp3"', form)
    assert re.search(r'name="output-3-key" value="half"', form)
    assert re.search(rf'<option value="{MP3}" selected>', form)
    assert f'<option value="{queue.pk}" selected>' in form

    many = operator.post(f"{ADMIN}/job/add/", {**data, "rows": "1000000000"}).content.decode()
    assert 'name="output-30-key"' in many
    assert 'name="output-31-key"' not in many
    assert 'name="more"' not in many


@pytest.mark.parametrize("rows", ["9" * 5000, "-1", "", "x"])
def test_a_number_of_rows_that_is_none_is_answered(operator, queue, rows):
    page = operator.post(f"{ADMIN}/job/add/", by_hand(queue, more="1", rows=rows))
    assert page.status_code == 200


def test_more_than_three_results_are_made_from_more_rows(operator, queue):
    outputs = [(f"{number}.mp3", MP3) for number in range(6)]
    operator.post(f"{ADMIN}/job/add/", by_hand(queue, *outputs, rows="6"))
    assert Job.objects.get().outputs.count() == 6


# --- Who may --------------------------------------------------------------------------------


def test_whoever_may_only_look_can_change_nothing(client, queue):
    sign_in(client, "view_job", "view_pipeline", "view_accesskey", "view_notice", "view_preset")
    job = make_job(queue)
    key, _secret = keys.create("Importer")
    notice = make_notice(job, status="Refused")
    preset = make_preset()

    for model in ("job", "pipeline", "accesskey"):
        assert client.get(f"{ADMIN}/{model}/").status_code == 200
        assert client.get(f"{ADMIN}/{model}/add/").status_code == 403
        assert client.post(f"{ADMIN}/{model}/add/", {"name": "x"}).status_code == 403
    assert client.get(f"{ADMIN}/job/{job.pk}/repeat/").status_code == 403
    assert client.post(f"{ADMIN}/job/{job.pk}/repeat/", {"prefix": "b/"}).status_code == 403
    for action in ("cancel", "repeat", "send_again", "pause_pipeline"):
        act(client, "job", action, job)
    act(client, "pipeline", "pause", queue)
    act(client, "accesskey", "disable", key)
    act(client, "notice", "send_again", notice)
    assert client.post(f"{ADMIN}/preset/{preset.pk}/delete/", {"post": "y"}).status_code == 403

    for row in (job, queue, key, notice):
        row.refresh_from_db()
    assert (job.status, queue.status, notice.status) == ("Submitted", "Active", "Refused")
    assert key.is_enabled
    assert Job.objects.count() == Preset.objects.count() == 1
    page = client.get(f"{ADMIN}/job/{job.pk}/change/").content.decode()
    assert "page-actions" not in page


def test_whoever_may_change_jobs_cancels_and_makes_none(client, queue):
    sign_in(client, "change_job")
    job = make_job(queue)

    assert client.get(f"{ADMIN}/job/add/").status_code == 403
    assert "1 job canceled" in text_of(act(client, "job", "cancel", job))
    act(client, "job", "pause_pipeline", job)
    queue.refresh_from_db()
    assert queue.status == "Active"


def test_whoever_may_add_jobs_makes_them_by_hand(client, queue):
    sign_in(client, "add_job", "view_job")
    answer = client.post(f"{ADMIN}/job/add/", by_hand(queue, ("a.mp3", MP3)))
    assert answer.status_code == 302
    assert Job.objects.count() == 1


def test_whoever_may_not_see_notices_finds_none_on_the_page_of_a_job(client, queue):
    job = make_job(queue, "Complete")
    make_notice(job, url="https://example.com/hook", status="Delivered", finished_at=timezone.now())
    page = f"{ADMIN}/job/{job.pk}/change/"

    sign_in(client, "view_job")
    assert "example.com" not in text_of(client.get(page))
    assert "notice" not in text_of(client.get(page)).lower()

    sign_in(client, "view_job", "view_notice")
    assert "https://example.com/hook" in text_of(client.get(page))
    assert "The notice COMPLETED was delivered." in text_of(client.get(page))


def test_whoever_may_not_see_jobs_repeats_none(client, queue):
    sign_in(client, "add_job")
    job = make_job(queue, "Complete", output_key_prefix="confidential/")
    make_output(job)

    page = client.get(f"{ADMIN}/job/{job.pk}/repeat/")

    assert page.status_code == 403
    assert "confidential" not in page.content.decode()
    assert client.post(f"{ADMIN}/job/{job.pk}/repeat/", {"prefix": "b/"}).status_code == 403
    assert Job.objects.count() == 1


def test_a_visitor_is_sent_to_sign_in(client, queue):
    job = make_job(queue)
    for address in ("job/add/", f"job/{job.pk}/repeat/", "accesskey/add/", "pipeline/add/"):
        assert client.get(f"{ADMIN}/{address}").status_code == 302
        assert client.post(f"{ADMIN}/{address}", {"name": "x", "prefix": "b/"}).status_code == 302
    assert Job.objects.count() == 1


# --- Words ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("length_ms", "shown"),
    [
        (None, "—"),
        (-5, "0.0 s"),
        (840, "0.8 s"),
        (9_999, "10.0 s"),
        (59_499, "59 s"),
        (59_999, "1 min 0 s"),
        (3_599_999, "1 h 0 min"),
        (7_261_000, "2 h 1 min"),
        (90_000_000, "1 d 1 h"),
    ],
)
def test_a_length_of_time_is_said_in_its_two_largest_units(length_ms, shown):
    assert words.span(length_ms) == shown
