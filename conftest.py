"""What every test runs under: no network while a transaction is open."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import pytest
from django.conf import settings
from django.db import connections
from django.utils import translation

from tests import radosgw

# How long an example takes is the machine's doing.
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")


def open_transactions() -> list[str]:
    """Return the databases of this thread with a transaction of the code's own.

    The one that a test is wrapped in is marked by Django and does not count.
    """
    return [
        connection.alias
        for connection in connections.all(initialized_only=True)
        if any(not atomic._from_testcase for atomic in connection.atomic_blocks)
    ]


@pytest.fixture(autouse=True)
def no_network_in_a_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail on a connection that is made while the same thread holds a transaction open.

    Whoever waits for the network holds SQLite's one write lock; if the other side is this very
    site, both wait for ever.
    """

    def guarded(connect: Callable[..., Any]) -> Callable[..., Any]:
        def connect_outside(self: socket.socket, address: Any) -> Any:
            held = open_transactions()
            assert not held, f"a connection to {address} inside a transaction on {held}"
            return connect(self, address)

        return connect_outside

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, guarded(getattr(socket.socket, name)))


@pytest.fixture(autouse=True)
def own_language() -> Iterator[None]:
    """Begin in the site's language; a request leaves the thread in the one of its answer."""
    with translation.override(settings.LANGUAGE_CODE):
        yield


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[radosgw.S3Server]:
    """A real S3 server; a machine without one fails here, with what to install."""
    if problem := radosgw.missing():
        pytest.fail(problem, pytrace=False)
    with radosgw.S3Server.create(tmp_path_factory.mktemp("radosgw")) as server:
        yield server


MARKS = {
    "azure": "on a server of Azure's API",
    "browser": "in a real browser",
    "end_to_end": "end to end",
    "faults": "under faults",
    "s3": "on a real S3 server",
}
_ran: dict[str, list[str]] = {mark: [] for mark in MARKS}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" and not report.skipped:
        for mark in MARKS:
            if mark in report.keywords:
                _ran[mark].append(report.nodeid)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Name the tests that take more than Python, so that nobody takes them for run."""
    terminalreporter.section("tests of the real thing")
    for mark, words in MARKS.items():
        terminalreporter.line(f"{len(_ran[mark])} tests ran {words}")
        if mark in ("browser", "faults"):
            for nodeid in _ran[mark]:
                terminalreporter.line(f"    {nodeid}")
