"""One page of 50 jobs out of a million, as a client gets it."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from bench import finished_jobs
from bench.lean_client import LeanClient
from bench.table import Line, milliseconds, quantile
from tests.system import System

PAGES = 40
PROMISED_S = 0.050


def measure(folder: Path) -> list[Line]:
    system = System(folder)
    system.manage("run", "--set-up-only")
    first, *_ = finished_jobs.fill(folder / "db.sqlite3", pipelines=4, outputs=3)
    system.start()
    try:
        middle = system.rows(
            "SELECT id FROM elastic_transcoder_job ORDER BY id LIMIT 1 OFFSET ?",
            finished_jobs.JOBS // 2,
        )
        return [
            _line(system, name, path, middle[0][0])
            for name, path in (
                ("ListJobsByStatus", "/jobsByStatus/Complete"),
                ("ListJobsByPipeline", f"/jobsByPipeline/{first}"),
            )
        ]
    finally:
        system.stop()


def _line(system: System, name: str, path: str, middle: str) -> Line:
    secrets = system.secrets()
    client = LeanClient(
        system.url, secrets["TRANSCODER_ACCESS_KEY_ID"], secrets["TRANSCODER_SECRET_ACCESS_KEY"]
    )
    took = {
        (order, start): _ask(client, f"{path}?Ascending={order}{start}")
        for order in ("true", "false")
        for start in ("", f"&PageToken={middle}")
    }
    slowest = max(took.values(), key=statistics.median)
    everything = [value for values in took.values() for value in values]
    return Line(
        f"{name}, page of 50 of 1,000,000, first and middle page, both orders",
        "< 50 ms",
        f"{milliseconds(everything)}; slowest of the four: median "
        f"{statistics.median(slowest) * 1000:.1f}, p95 {quantile(slowest, 0.95) * 1000:.1f} ms",
        statistics.median(slowest) < PROMISED_S,
    )


def _ask(client: LeanClient, path: str) -> list[float]:
    """Return how long each page took from the first byte sent to the last one read."""
    took = []
    for _ in range(PAGES):
        began = time.perf_counter()
        jobs = client.call("GET", path)["Jobs"]
        took.append(time.perf_counter() - began)
        if len(jobs) != 50:
            raise RuntimeError(f"{path}: {len(jobs)} jobs")
    return took
