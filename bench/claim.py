"""Claiming a waiting job beside a million finished ones, as a worker does when it is woken."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from bench import finished_jobs
from bench.table import Line, milliseconds

CLAIMS = 300
PIPELINES = 4
TOPIC = "arn:aws:sns:eu-west-1:000000000000:transcode-complete"  # our own: notices are written
PROMISED_S = 0.010


def measure(folder: Path) -> list[Line]:
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connections

    call_command("migrate", verbosity=0)
    connections.close_all()
    pipelines = finished_jobs.fill(
        folder / "db.sqlite3", pipelines=PIPELINES, outputs=1, topic_arn=TOPIC
    )
    _submit(pipelines)
    connections.close_all()
    used_s = time.process_time()
    took = _claim()
    used_s = (time.process_time() - used_s) / CLAIMS
    return [
        Line(
            f"claim, {PIPELINES} pipelines with jobs waiting, 1,000,000 jobs finished",
            "≤ 10 ms",
            milliseconds(took),
            statistics.median(took) <= PROMISED_S,
        ),
        Line("its processor time", "", f"{used_s * 1000:.2f} ms each", None),
    ]


def _submit(pipelines: list[str]) -> None:
    from elastic_transcoder import presets
    from elastic_transcoder.models import Job, JobOutput
    from elastic_transcoder.worker.claims import now_ms

    preset_ids = ("1351620000001-300300", "1351620000001-300110", "1351620000001-100110")
    for number in range(2 * CLAIMS):
        job = Job.objects.create(
            pipeline_id=pipelines[number % len(pipelines)],
            inputs=[{"Key": f"media/uploads/{number}/source"}],
            submit_time_ms=now_ms(),
        )
        JobOutput.objects.bulk_create(
            JobOutput(
                job=job,
                number=index,
                key=f"result-{index}",
                preset_id=preset_id,
                preset=presets.system_preset(preset_id).settings,
            )
            for index, preset_id in enumerate(preset_ids, start=1)
        )


def _claim() -> list[float]:
    from django.db import close_old_connections

    from elastic_transcoder.worker import claims

    took = []
    for _ in range(CLAIMS):
        began = time.perf_counter()
        close_old_connections()  # as before every step
        claim = claims.claim()
        took.append(time.perf_counter() - began)
        if claim is None:
            raise RuntimeError("there was nothing to claim")
        close_old_connections()
    return took
