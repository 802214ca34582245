"""An installation on folders and one on a real S3 server, for what is measured on both."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from buckets.cors import cors_rules
from tests import radosgw
from tests.system import System, SystemOnS3, wait_for


@contextlib.contextmanager
def on_folders(folder: Path, **settings: object) -> Iterator[System]:
    """Yield a running installation whose bucket is a folder."""
    place = folder / "on-folders"
    place.mkdir()
    system = System(place, **settings)
    try:
        yield system.start()
    finally:
        system.stop()


@contextlib.contextmanager
def s3_server(folder: Path) -> Iterator[radosgw.S3Server]:
    """Yield a server that nobody else uses. Raises AssertionError where it is not installed."""
    place = folder / "s3-server"
    place.mkdir()
    with radosgw.S3Server.create(place) as server:
        yield server


@contextlib.contextmanager
def on_s3(
    folder: Path, server: radosgw.S3Server, url: str = "", **settings: object
) -> Iterator[SystemOnS3]:
    """Yield one whose bucket takes uploads from its pages; ``url``: of a proxy before it."""
    place = folder / "on-s3"
    place.mkdir()
    system = SystemOnS3(place, server, url, **settings)
    rules = cors_rules(system.url)
    system.s3.put_bucket_cors(Bucket=system.bucket, CORSConfiguration=rules)
    try:
        yield system.start()
    finally:
        system.stop()


def wait_until_empty(system: System) -> None:
    """Wait until a file that was deleted is away, so that its removal slows nothing else."""
    wait_for(lambda: not system.objects(), "the removal of a file", 120)
