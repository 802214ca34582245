"""The closing call of a direct upload: as long for two gibibytes as for ten mebibytes.

On folders and on a real S3 server, the two sizes in turns.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

from bench import stores
from bench.table import Line, unmeasured
from tests import radosgw
from tests.direct import DirectUpload
from tests.system import Person, System

SMALL_BYTES, LARGE_BYTES = 10 * 1024**2, 2 * 1024**3
TURNS = 5
SMALL_ONES = 3  # in each turn: they cost nothing
SETTINGS = {"TRANSCODER_WORKERS": 1, "UPLOAD_MAX_BYTES": LARGE_BYTES, "UPLOADS_PER_MINUTE": 0}
PROMISED = 1.5


def measure(folder: Path) -> list[Line]:
    with stores.on_folders(folder, **SETTINGS) as system:
        lines = [_measured(system, "folders", lambda: None)]
    if problem := radosgw.missing():
        return [*lines, unmeasured(_what("S3"), _promise(), problem)]
    with (
        stores.s3_server(folder) as server,
        stores.on_s3(folder, server, **SETTINGS) as system,
    ):
        return [*lines, _measured(system, "S3", server.make_room)]


def _measured(system: System, kind: str, make_room: Callable[[], None]) -> Line:
    person = Person(system, "bench").sign_up()
    small, large = [], []
    _closing_s(person, SMALL_BYTES)  # whatever is done once in each process
    for _ in range(TURNS):
        small += [_closing_s(person, SMALL_BYTES) for _ in range(SMALL_ONES)]
        large.append(_closing_s(person, LARGE_BYTES))
        stores.wait_until_empty(system)
        make_room()
    ratio = statistics.median(large) / statistics.median(small)
    return Line(
        _what(kind),
        _promise(),
        f"median beside median {ratio:.2f} times ({_spread(large)} and {_spread(small)})",
        ratio <= PROMISED,
    )


def _what(kind: str) -> str:
    return f"closing call of a direct upload, 2 GiB beside 10 MiB, {kind}"


def _promise() -> str:
    return f"≤ {PROMISED} times"


def _spread(seconds: list[float]) -> str:
    least, middle, most = min(seconds), statistics.median(seconds), max(seconds)
    return f"{middle * 1000:.0f} ms of {least * 1000:.0f} to {most * 1000:.0f}"


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
