"""The library page of a person with 100,000 files, in turns with that of a person with 10."""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Any

from bench.table import Line, milliseconds, quantile

FEW, MANY, PAGES = 10, 100_000, 100


def measure(folder: Path) -> list[Line]:
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)
    with_few, with_many = _person("few", FEW), _person("many", MANY)
    queries = _queries(with_many)
    of_few, of_many = [], []
    for _ in range(PAGES):
        of_few.append(_open(with_few))
        of_many.append(_open(with_many))
    ratio = quantile(of_many, 0.95) / quantile(of_few, 0.95)
    return [
        Line(
            f"library page, {MANY:,} files, beside that of {FEW}",
            "≤ 10 queries, p95 ≤ 1.5 times",
            f"{queries} queries, p95 {ratio:.2f} times ({milliseconds(of_many)})",
            queries <= 10 and ratio <= 1.5,
        )
    ]


def _person(name: str, count: int) -> Any:
    """Return the browser of a new person with so many finished files, two results each."""
    from django.contrib.auth import get_user_model
    from django.test import Client

    from audio_transcoder.models import AudioFile, Rendition, TranscodeJob

    owner = get_user_model().objects.create_user(name)
    for start in range(0, count, 2000):
        numbers = range(start, min(start + 2000, count))
        files = AudioFile.objects.bulk_create(
            AudioFile(
                owner=owner,
                name=f"File {number}",
                file_name="a.mp3",
                size_bytes=4_000_000,
                mp3_file=f"uploads/{name}-{number}/source",
                kept_state="ready",
            )
            for number in numbers
        )
        jobs = TranscodeJob.objects.bulk_create(
            TranscodeJob(
                audio_file=file, engine="elastic", status="Complete", engine_id=uuid.uuid4().hex
            )
            for file in files
        )
        renditions = [Rendition.of(job, kind) for job in jobs for kind in ("wav", "flac")]
        for rendition in renditions:
            rendition.status = "Complete"
        Rendition.objects.bulk_create(renditions)
    browser = Client(SERVER_NAME="localhost")
    browser.force_login(owner, "django.contrib.auth.backends.ModelBackend")
    return browser


def _queries(browser: Any) -> int:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as queries:
        _open(browser)
    return len(queries)


def _open(browser: Any) -> float:
    began = time.perf_counter()
    answer = browser.get("/audio/")
    if answer.status_code != 200 or b"File " not in answer.content:
        raise RuntimeError(f"the library was answered {answer.status_code}")
    return time.perf_counter() - began
