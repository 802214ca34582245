"""What the tests of the whole system share."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Playwright, expect

from tests import chromium, screenshots, sounds
from tests.radosgw import S3Server
from tests.system import Person, System, SystemOnS3

# A page may be slow on a machine with other work; what is wrong stays wrong.
expect.set_options(timeout=20_000)

_numbers = itertools.count(1)
# How long the shared installations wait where nothing can be seen of it.
IMPATIENT = {"DELETION_GRACE_S": 2}


@pytest.fixture(scope="session")
def system_on_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    running = System(tmp_path_factory.mktemp("system"), **IMPATIENT).start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def system_on_s3(
    tmp_path_factory: pytest.TempPathFactory, s3_server: S3Server
) -> Iterator[SystemOnS3]:
    running = SystemOnS3(tmp_path_factory.mktemp("system-on-s3"), s3_server, **IMPATIENT).start()
    yield running
    running.stop()


@pytest.fixture
def system(request: pytest.FixtureRequest) -> System:
    """One running installation for all tests that do not harm it; see on_both_kinds."""
    return request.getfixturevalue(f"system_on_{getattr(request, 'param', 'folders')}")


@pytest.fixture
def own_system(tmp_path: Path) -> Iterator[System]:
    """A running installation of this test's own, with short leases and back-off."""
    running = System(
        tmp_path,
        TRANSCODER_WORKERS=2,
        TRANSCODER_LEASE_S=3,
        TRANSCODER_RENEW_S=0.5,
        NOTICE_RETRY_S=0.5,
        RECONCILE_S=2,
    ).start()
    yield running
    running.stop()


@pytest.fixture
def person(system: System) -> Person:
    return Person(system, f"person{next(_numbers)}").sign_up()


@pytest.fixture(scope="session")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five seconds of MP3 with tags."""
    path = tmp_path_factory.mktemp("music") / "Five seconds.mp3"
    return sounds.make(path, 5, "-metadata", "title=Five", "-metadata", "artist=Nobody")


@pytest.fixture(scope="session")
def long_music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven minutes of MP3: long enough to be met in the middle of the work."""
    return sounds.make(tmp_path_factory.mktemp("music") / "Seven minutes.mp3", 420, "-q:a", "4")


@pytest.fixture
def look() -> dict[str, Any]:
    """What the browser of a test is opened with; see screenshots.in_both_looks."""
    return {}


@pytest.fixture
def browser_context_args(browser_context_args: dict, look: dict[str, Any]) -> dict[str, Any]:
    return {**browser_context_args, **look}


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict, playwright: Playwright) -> dict:
    """The Chromium of this machine; a machine without one fails here, with what to install."""
    try:
        return {**browser_type_launch_args, **chromium.launch_arguments(playwright)}
    except FileNotFoundError as error:
        sys.stderr.write(f"{error}\n")
        pytest.fail(str(error), pytrace=False)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say where the pictures are that a person should look at."""
    if pictures := screenshots.kept():
        terminalreporter.line(f"{len(pictures)} pictures of pages: {screenshots.FOLDER}")
