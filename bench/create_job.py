"""CreateJob: how many a second from lean clients that sign, transcoding paused."""

from __future__ import annotations

import itertools
import statistics
import threading
import time
from pathlib import Path

from bench.lean_client import LeanClient
from bench.table import Line, milliseconds, processor_s
from tests.system import System

CLIENTS = 4
WARM_UP_S, SECONDS, WINDOW_S = 3, 30, 5
PRESETS = ("1351620000001-300300", "1351620000001-300110", "1351620000001-100110")
ROLE = "arn:aws:iam::000000000000:role/Elastic_Transcoder_Default_Role"


def measure(folder: Path) -> list[Line]:
    system = System(folder).start()
    try:
        used_s = processor_s(system.web_pids)
        ended = _create(system)
        used_s = (processor_s(system.web_pids) - used_s) / len(ended)
    finally:
        system.stop()
    began = ended[0][0] + WARM_UP_S
    ended = [(at, took) for at, took in ended if began <= at < began + SECONDS]
    windows = [0] * (SECONDS // WINDOW_S)
    for at, _ in ended:
        windows[int((at - began) // WINDOW_S)] += 1
    rates = [count / WINDOW_S for count in windows]
    return [
        Line(
            f"CreateJob, 3 outputs, {CLIENTS} connections, paused, {SECONDS} s",
            "≥ 100/s",
            f"{len(ended) / SECONDS:.0f}/s (median of {WINDOW_S} s {statistics.median(rates):.0f}, "
            f"least {min(rates):.0f})",
            len(ended) / SECONDS >= 100,
        ),
        Line("its latency", "", milliseconds([took for _, took in ended]), None),
        Line("its processor time in the web server", "", f"{used_s * 1000:.2f} ms each", None),
    ]


def _create(system: System) -> list[tuple[float, float]]:
    """Return when each answer came, by the monotonic clock, and how long it took; in order."""
    secrets = system.secrets()
    key = secrets["TRANSCODER_ACCESS_KEY_ID"], secrets["TRANSCODER_SECRET_ACCESS_KEY"]
    clients = [LeanClient(system.url, *key) for _ in range(CLIENTS)]
    pipeline_id = paused_pipeline(clients[0])
    numbers = itertools.count()
    until = time.monotonic() + WARM_UP_S + SECONDS + 1
    ended: list[tuple[float, float]] = []
    broken: list[BaseException] = []

    def create(client: LeanClient) -> None:
        try:
            while time.monotonic() < until and not broken:
                number = next(numbers)
                began = time.monotonic()
                client.call("POST", "/jobs", job(pipeline_id, number))
                now = time.monotonic()
                ended.append((now, now - began))
        except Exception as error:
            broken.append(error)

    threads = [threading.Thread(target=create, args=[client]) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if broken:
        raise broken[0]
    return sorted(ended)


def paused_pipeline(client: LeanClient) -> str:
    """Return the id of a new pipeline that starts no job."""
    pipeline = {"Name": "Bench", "InputBucket": "in", "OutputBucket": "out", "Role": ROLE}
    pipeline_id = client.call("POST", "/pipelines", pipeline)["Pipeline"]["Id"]
    client.call("POST", f"/pipelines/{pipeline_id}/status", {"Status": "Paused"})
    return pipeline_id


def job(pipeline_id: str, number: int) -> dict[str, object]:
    """Return a job as the web app orders it."""
    return {
        "PipelineId": pipeline_id,
        "Input": {"Key": f"media/uploads/{number}/source"},
        "OutputKeyPrefix": f"media/renditions/{number}/",
        "Outputs": [
            {"Key": f"result-{index}", "PresetId": preset} for index, preset in enumerate(PRESETS)
        ],
    }
