"""The closing call of a direct upload: as long for two gibibytes as for ten mebibytes.

On folders, and on the S3 server of ``BENCH_S3_…`` where one is named (``bench.alone`` lets no
``AWS_…`` through).
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from bench.table import Line
from tests.direct import DirectUpload
from tests.system import Person, System

SMALL_BYTES, LARGE_BYTES = 10 * 1024**2, 2 * 1024**3
SMALL_TURNS, LARGE_TURNS = 6, 2  # small ones around each large one
_ON_S3 = {
    "BENCH_S3_BUCKET": "AWS_STORAGE_BUCKET_NAME",
    "BENCH_S3_ENDPOINT_URL": "AWS_S3_ENDPOINT_URL",
    "BENCH_S3_ADDRESSING_STYLE": "AWS_S3_ADDRESSING_STYLE",
    "BENCH_S3_REGION_NAME": "AWS_S3_REGION_NAME",
    "BENCH_S3_ACCESS_KEY_ID": "AWS_ACCESS_KEY_ID",
    "BENCH_S3_SECRET_ACCESS_KEY": "AWS_SECRET_ACCESS_KEY",
}


def measure(folder: Path) -> list[Line]:
    (folder / "folders").mkdir()
    lines = [_measure(folder / "folders", "folders", {})]
    if os.environ.get("BENCH_S3_BUCKET"):
        (folder / "s3").mkdir()
        named = {ours: os.environ[name] for name, ours in _ON_S3.items() if name in os.environ}
        lines.append(_measure(folder / "s3", "S3", named))
    return lines


def _measure(folder: Path, where: str, settings: dict[str, str]) -> Line:
    system = System(folder, TRANSCODER_WORKERS=1, UPLOAD_MAX_BYTES=LARGE_BYTES, **settings).start()
    try:
        person = Person(system, "bench").sign_up()
        _closing_s(person, SMALL_BYTES)  # whatever is done once in each process
        small, large = [], []
        for _ in range(LARGE_TURNS):
            small += [_closing_s(person, SMALL_BYTES) for _ in range(SMALL_TURNS // LARGE_TURNS)]
            large.append(_closing_s(person, LARGE_BYTES))
    finally:
        system.stop()
    ratio = min(large) / min(small)
    return Line(
        f"closing call of a direct upload, 2 GiB beside 10 MiB, {where}",
        "≤ 1.5 times",
        f"least beside least {ratio:.2f} times ({_range(large)} and {_range(small)})",
        ratio <= 1.5,
    )


def _range(seconds: list[float]) -> str:
    return f"{min(seconds) * 1000:.0f} to {max(seconds) * 1000:.0f} ms"


def _closing_s(person: Person, size_bytes: int) -> float:
    """Send a file, its every byte zero, and return the seconds that its closing call takes."""
    upload = DirectUpload(person, size_bytes, lambda _start, size: bytes(size), "Zeros.wav")
    parts = upload.send_all()
    begun = time.perf_counter()
    done = upload.complete(parts)
    seconds = time.perf_counter() - begun
    done.raise_for_status()
    person.post(f"{done.json()['location']}delete/", {})
    return seconds
