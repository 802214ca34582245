"""Limits on pipelines, presets and waiting jobs: Amazon's when set, none by default."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from elastic_transcoder.api import limits
from elastic_transcoder.models import Job, JobOutput, Pipeline, Preset
from elastic_transcoder.tests.api.conftest import PIPELINE, order
from elastic_transcoder.tests.api.plans import plan_of, reads_of
from elastic_transcoder.tests.api.test_custom_presets import PRESET


@pytest.fixture
def amazons(db, settings):
    Pipeline.objects.all().delete()  # the site's own
    settings.TRANSCODER_MAX_PIPELINES = 4
    settings.TRANSCODER_MAX_PRESETS = 50


@pytest.fixture
def every_count_is_fresh(monkeypatch):
    monkeypatch.setattr(limits, "_SHARE_OF_TIME", float("inf"))


def assert_exceeded(response, message):
    assert (response.status_code, response.error) == (429, "LimitExceededException")
    assert response.members["message"] == message


def test_a_fifth_pipeline_is_refused_until_one_is_deleted(amazons, call):
    for _ in range(4):
        pipeline_id = call("POST", "/pipelines", PIPELINE).members["Pipeline"]["Id"]
    assert_exceeded(
        call("POST", "/pipelines", PIPELINE),
        "The account already has the maximum number of pipelines allowed:"
        " account=000000000000, maximum number of pipelines=4",
    )
    assert Pipeline.objects.count() == 4
    call("DELETE", f"/pipelines/{pipeline_id}")
    assert call("POST", "/pipelines", PIPELINE).status_code == 201


def test_a_fifty_first_preset_is_refused_until_one_is_deleted(call, amazons):
    for _ in range(50):
        preset_id = call("POST", "/presets", PRESET).members["Preset"]["Id"]
    assert_exceeded(
        call("POST", "/presets", PRESET),
        "The account already has the maximum number of presets allowed:"
        " account=000000000000, maximum number of presets=50",
    )
    assert Preset.objects.count() == 50
    call("DELETE", f"/presets/{preset_id}")
    assert call("POST", "/presets", PRESET).status_code == 201


def test_boto3s_repeats_of_a_429_leave_nothing_half_made(boto, settings, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    settings.TRANSCODER_MAX_PIPELINES = 1  # the site's own
    settings.TRANSCODER_MAX_PRESETS = 1
    boto.create_preset(**PRESET)
    with pytest.raises(boto.exceptions.LimitExceededException):
        boto.create_pipeline(**PIPELINE)
    with pytest.raises(boto.exceptions.LimitExceededException):
        boto.create_preset(**PRESET)
    assert (Pipeline.objects.count(), Preset.objects.count()) == (1, 1)


def test_nothing_is_limited_by_default(call, settings):
    assert (settings.TRANSCODER_MAX_PIPELINES, settings.TRANSCODER_MAX_PRESETS) == (0, 0)
    for _ in range(6):
        assert call("POST", "/pipelines", PIPELINE).status_code == 201


def test_a_full_queue_takes_no_job_until_one_is_done(
    call, pipeline_id, settings, every_count_is_fresh
):
    settings.TRANSCODER_MAX_QUEUED_JOBS = 3
    for _ in range(3):
        job_id = call("POST", "/jobs", order(pipeline_id)).members["Job"]["Id"]
    assert_exceeded(
        call("POST", "/jobs", order(pipeline_id)),
        "The account already has the maximum number of jobs per pipeline in the backlog:"
        " account=000000000000, maximum number of jobs in backlog for pipeline=3",
    )
    assert (Job.objects.count(), JobOutput.objects.count()) == (3, 3)
    other = call("POST", "/pipelines", PIPELINE).members["Pipeline"]["Id"]
    assert call("POST", "/jobs", order(other)).status_code == 201
    Job.objects.filter(pk=job_id).update(status=Job.Status.PROGRESSING)
    assert call("POST", "/jobs", order(pipeline_id)).status_code == 201


def test_a_queue_is_not_counted_for_each_job_and_is_still_full_in_time(
    call, pipeline_id, settings, monkeypatch, django_assert_num_queries
):
    """As when counting takes long: what this process adds is known without."""
    settings.TRANSCODER_MAX_QUEUED_JOBS = 3
    monkeypatch.setattr(limits, "_SHARE_OF_TIME", 1e-9)
    limits.take_place_in_queue(pipeline_id)
    with django_assert_num_queries(0):
        limits.take_place_in_queue(pipeline_id)
        limits.take_place_in_queue(pipeline_id)
        with pytest.raises(limits.ApiError, match="backlog"):
            limits.take_place_in_queue(pipeline_id)


def test_a_queue_is_counted_from_an_index_alone_and_no_further_than_the_limit(
    pipeline_id, settings
):
    settings.TRANSCODER_MAX_QUEUED_JOBS = 3
    with CaptureQueriesContext(connection) as asked:
        limits.take_place_in_queue(pipeline_id)
    [sql] = reads_of("elastic_transcoder_job", asked)
    assert "COVERING INDEX job_claim" in plan_of(sql)
    assert "LIMIT 3" in sql


def test_a_refused_order_takes_no_place(call, pipeline_id, settings, every_count_is_fresh):
    settings.TRANSCODER_MAX_QUEUED_JOBS = 1
    refused = order(pipeline_id, Outputs=[{"Key": "x", "PresetId": "1351620000001-999999"}])
    assert call("POST", "/jobs", refused).status_code == 404
    assert call("POST", "/jobs", order("1600000000000-def456")).status_code == 404
    assert call("POST", "/jobs", order(pipeline_id)).status_code == 201
