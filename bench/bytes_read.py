"""What a job of a direct upload reads from the store: every byte that an S3 server answers us.

A proxy before the server counts whole answers, heads and listings too, from the first word of the
upload to the message that the results are ready.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from bench import stores
from bench.table import Line, unmeasured
from tests import radosgw, sounds
from tests.direct import DirectUpload
from tests.faulty_proxy import ALWAYS, Exchange, FaultyProxy
from tests.system import Person

MIB = 1024**2
# What is in them, and how long: a large file, and one that the look at its head reads whole.
SOURCES = {
    "WAV": ("wav", 120, ()),
    "MP3": ("mp3", 120, ("-b:a", "192k")),
    "short MP3": ("mp3", 20, ()),
}
ALLOWED_BYTES = MIB  # beside the source


def measure(folder: Path) -> list[Line]:
    promise = "≤ 1.0 of the source + 1 MiB"
    if problem := radosgw.missing():
        return [unmeasured("bytes read for a job", promise, problem)]
    files = {
        what: sounds.make(folder / f"{what}.{extension}", seconds, *options)
        for what, (extension, seconds, options) in SOURCES.items()
    }
    with (
        stores.s3_server(folder) as server,
        FaultyProxy(server.url) as proxy,
        stores.on_s3(folder, server, proxy.url) as system,
    ):
        answered = Answered()
        proxy.meet(answered.count, times=ALWAYS)
        person = Person(system, "bench").sign_up()
        lines = []
        for what, path in files.items():
            answered.bytes.clear()
            _convert(person, path, len(lines) + 1)
            source, size = answered.bytes["source"], path.stat().st_size
            total = answered.bytes.total()
            lines.append(
                Line(
                    f"bytes read for a job, {what} of {size / MIB:.1f} MiB → WAV, FLAC, MP4",
                    promise,
                    f"{total / size:.3f} of the source, or it + {(total - size) / MIB:.3f} MiB "
                    f"(answers to GETs of the source {source / MIB:.3f} MiB)",
                    total <= size + ALLOWED_BYTES,
                )
            )
        return lines


class Answered:
    """Bytes of answers: to GETs of a source, and to everything else."""

    def __init__(self) -> None:
        self.bytes: Counter[str] = Counter()

    def count(self, exchange: Exchange) -> bool:
        """Pass on and count, as a fault of the proxy that is none."""
        asked = exchange.request
        is_source = asked.method == "GET" and re.search(r"/source$", asked.path)
        kind = "source" if is_source else "else"

        def tell(piece: bytes) -> None:
            self.bytes[kind] += len(piece)
            exchange.client.sendall(piece)

        return exchange.relay(answer_to=tell)


def _convert(person: Person, path: Path, messages: int) -> None:
    data = path.read_bytes()
    upload = DirectUpload(
        person, len(data), lambda start, size: data[start : start + size], path.name
    )
    upload.complete(upload.send_all()).raise_for_status()
    person.wait_until_ready(messages, timeout_s=300)
    told = person.messages()[-1]
    if not told.endswith("is ready."):
        raise RuntimeError(told)
