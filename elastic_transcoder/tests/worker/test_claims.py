import time
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from elastic_transcoder.ids import new_id
from elastic_transcoder.models import Job, Pipeline
from elastic_transcoder.worker import claims
from tests.at_once import at_once


@pytest.fixture
def jobs(pipeline):
    """Return a maker of waiting jobs without a source."""

    def make(**fields) -> Job:
        fields = {"pipeline_id": pipeline.pk, "inputs": [{"Key": "x"}]} | fields
        job = Job.objects.create(submit_time_ms=claims.now_ms(), **fields)
        job.outputs.create(number=1, key="r", preset_id="p", preset={})
        return job

    claims._served.clear()
    return make


def test_a_claim_starts_the_job_and_tells_it_in_one_go(jobs):
    job = jobs()
    claim = claims.claim()
    job.refresh_from_db()
    assert (job.status, job.lease_owner, job.attempts) == ("Progressing", claim.owner, 1)
    assert job.lease_until > timezone.now()
    assert abs(job.start_time_ms - claims.now_ms()) < 5000
    assert job.outputs.get().status == "Progressing"
    assert [notice.state for notice in job.notices.all()] == ["PROGRESSING"]
    assert claims.claim() is None


def test_jobs_of_a_pipeline_are_taken_in_the_order_of_submission(jobs):
    ids = [jobs().pk for _ in range(3)]
    assert [claims.claim().job.pk for _ in ids] == sorted(ids)


def test_pipelines_take_turns(jobs, pipeline):
    other = Pipeline.objects.create(name="b", input_bucket="in", output_bucket="out", role="r")
    for _ in range(3):
        jobs()
    last = [jobs(pipeline_id=other.pk) for _ in range(2)]
    order = [claims.claim().job.pipeline_id for _ in range(5)]
    assert set(order[:2]) == set(order[2:4]) == {pipeline.pk, other.pk}
    assert {job.pipeline_id for job in last} == {other.pk}


def test_jobs_of_a_paused_pipeline_wait(jobs, pipeline):
    jobs()
    pipeline.status = Pipeline.Status.PAUSED
    pipeline.save()
    assert claims.claim() is None


def test_a_canceled_job_is_not_taken(jobs):
    jobs(status=Job.Status.CANCELED)
    assert claims.claim() is None


def test_k3_of_many_workers_one_gets_the_job(jobs):
    jobs()
    assert [bool(claim) for claim in at_once(*[claims.claim] * 4)].count(True) == 1


def test_k1_a_job_whose_lease_ran_out_is_taken_over_and_its_owner_refused(jobs, settings):
    settings.TRANSCODER_LEASE_S = -1.0
    job = jobs()
    dead = claims.claim()
    settings.TRANSCODER_LEASE_S = 60.0
    successor = claims.claim()
    job.refresh_from_db()
    assert (job.lease_owner, job.attempts) == (successor.owner, 2)
    for write in (dead.renew, lambda: dead.update(progress=50)):
        with pytest.raises(claims.LeaseLost):
            write()
    with pytest.raises(claims.LeaseLost):
        dead.update_output(job.outputs.get(), status="Complete")
    assert job.outputs.get().status == "Progressing"
    claims.hand_back(dead)
    claims.give_up(dead, after_s=0)
    successor.renew()
    assert job.notices.count() == 1


def test_a_job_handed_back_costs_no_attempt(jobs):
    job = jobs()
    for _ in range(Job.MAX_ATTEMPTS + 2):
        claims.hand_back(claims.claim())
    job.refresh_from_db()
    assert (job.status, job.attempts) == ("Progressing", 1)


def test_k5_the_attempt_limit_ends_a_job_in_error(jobs, settings):
    settings.TRANSCODER_LEASE_S = -1.0
    job = jobs()
    assert [claims.claim() is not None for _ in range(Job.MAX_ATTEMPTS)] == [True] * 5
    job.outputs.update(size_bytes=1, duration_ms=1)  # of a result that was proven, and no more
    assert claims.claim() is None
    job.refresh_from_db()
    assert (job.status, job.attempts) == ("Error", 5)
    output = job.outputs.get()
    assert (output.error_code, output.size_bytes, output.duration_ms) == (9999, None, None)
    assert [notice.state for notice in job.notices.all()] == ["PROGRESSING", "ERROR"]


def test_the_next_run_is_due_when_the_first_lease_ends(jobs):
    assert claims.next_due() is None
    jobs()
    claim = claims.claim()
    claim.job.refresh_from_db()
    assert claims.next_due() == claim.job.lease_until


def test_k16_leases_are_found_by_their_own_index(jobs):
    jobs()
    with CaptureQueriesContext(connection) as queries:
        claims.end_left_analyses()
        claims.next_due()
    assert len(queries) == 2
    for query in queries:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {query['sql']}")
            plan = " / ".join(row[-1] for row in cursor.fetchall())
        assert "INDEX job_lease" in plan, (query["sql"], plan)


def test_k16_claiming_looks_only_at_waiting_and_running_jobs(jobs):
    """Every query on the table of jobs searches an index; none walks over finished ones."""
    jobs()
    with CaptureQueriesContext(
        connection,
    ) as queries:
        claims.claim()
    reads = [one["sql"] for one in queries if one["sql"].startswith("SELECT")]
    assert reads
    for sql in reads:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
            plan = " / ".join(row[-1] for row in cursor.fetchall())
        assert "SCAN elastic_transcoder_job" not in plan, (sql, plan)


def test_k16_claiming_stays_quick_with_many_finished_jobs(jobs, pipeline):
    finished = [
        Job(
            id=f"{1_000_000_000_000 + number}-{new_id()[-6:]}",
            pipeline_id=pipeline.pk,
            status=Job.Status.COMPLETE,
            inputs=[{"Key": "x"}],
            submit_time_ms=0,
        )
        for number in range(20_000)
    ]
    Job.objects.bulk_create(finished, batch_size=2000)
    waiting = [jobs() for _ in range(9)]
    times = []
    for _ in waiting:
        started = time.process_time()  # a walk over all rows costs the processor
        assert claims.claim() is not None
        times.append(time.process_time() - started)
    assert sorted(times)[len(times) // 2] < 0.02


def test_a_job_given_up_is_taken_again_later_and_counted(jobs):
    job = jobs()
    claims.give_up(claims.claim(), after_s=30)
    assert claims.claim() is None
    Job.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert claims.claim().job.pk == job.pk
    job.refresh_from_db()
    assert job.attempts == 2
