"""A gibibyte from a real browser straight into the bucket, in turns with boto3's own upload.

The browser uses the upload page as people do: the time runs from the press of the button to the
page of the file. boto3 sends the same file to the same server with ``upload_fileobj`` as it comes.
Meanwhile the web processes must not grow. On folders the bytes go through our own server; what
that takes is told and not compared: the disk decides.
"""

from __future__ import annotations

import contextlib
import os
import re
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, sync_playwright

from bench import stores
from bench.table import Line, unmeasured
from tests import chromium, radosgw
from tests.system import Growth, Person, System, SystemOnS3

MIB = 1024**2
FILE_BYTES, WARM_UP_BYTES = 1024 * MIB, 20 * MIB
TURNS, FOLDER_TURNS = 3, 1
SETTINGS = {"TRANSCODER_WORKERS": 1, "UPLOADS_PER_MINUTE": 0}
SPEED = "1 GiB from a browser into S3, beside boto3's upload_fileobj"
GROWTH = "growth of the web process that grew most meanwhile"
PROMISED_SPEED, PROMISED_GROWTH_BYTES = 0.8, 64 * MIB
PROMISES = {
    SPEED: f"≥ {PROMISED_SPEED} of its speed",
    GROWTH: f"≤ {PROMISED_GROWTH_BYTES // MIB} MiB",
}


def measure(folder: Path) -> list[Line]:
    large, small = noise(folder / "Night.wav", FILE_BYTES), noise(folder / "A.wav", WARM_UP_BYTES)
    with _browser() as browser:
        lines = _on_s3(folder, browser, large, small)
        with stores.on_folders(folder, **SETTINGS) as system:
            page = UploadPage(browser, system)
            page.upload_s(small)
            grown = Growth(system.web_pids)
            took = [page.upload_s(large) for _ in range(FOLDER_TURNS)]
            into_folders = "1 GiB from a browser into a folder"
            return [
                *lines,
                Line(into_folders, "", _speeds(took), None),
                growth_line(grown, ", into a folder"),
            ]


def _on_s3(folder: Path, browser: Browser, large: Path, small: Path) -> list[Line]:
    if problem := radosgw.missing():
        return [unmeasured(what, promise, problem) for what, promise in PROMISES.items()]
    with (
        stores.s3_server(folder) as server,
        stores.on_s3(folder, server, **SETTINGS) as system,
    ):
        page = UploadPage(browser, system)
        for upload_s in (page.upload_s, lambda path: boto3_s(system, path)):
            upload_s(small)  # whatever is done once in each process
        grown = Growth(system.web_pids)
        ours, theirs = [], []
        for turn in range(TURNS):
            both = [(ours, page.upload_s), (theirs, lambda path: boto3_s(system, path))]
            for took, upload_s in both if turn % 2 else reversed(both):
                took.append(upload_s(large))
                server.make_room()
        growth = growth_line(grown)
    speed = statistics.median(theirs) / statistics.median(ours)
    return [
        Line(
            SPEED,
            PROMISES[SPEED],
            f"{speed:.2f} (browser {_speeds(ours)}; boto3 {_speeds(theirs)})",
            speed >= PROMISED_SPEED,
        ),
        growth,
    ]


@contextlib.contextmanager
def _browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**chromium.launch_arguments(playwright))
        try:
            yield browser
        finally:
            browser.close()


class UploadPage:
    """The upload page of somebody who is signed in at ``system``."""

    def __init__(self, browser: Browser, system: System) -> None:
        self.system = system
        self.person = Person(system, "bench").sign_up()
        self.context: BrowserContext = browser.new_context()
        cookies = self.person.session.cookies.get_dict().items()
        self.context.add_cookies(
            [{"name": name, "value": value, "url": system.url} for name, value in cookies]
        )

    def upload_s(self, path: Path) -> float:
        """Return the seconds from the button to the page of the file, which is removed then."""
        page = self.context.new_page()
        page.goto(f"{self.system.url}/audio/upload/")
        if not page.evaluate("Boolean(window.Uppy)"):
            raise RuntimeError(
                "the page is a plain form: .ci/packages.py has not made node_modules"
            )
        page.get_by_label("Sound file").set_input_files(path)
        button = page.get_by_role("button", name="Upload and convert")
        began = time.perf_counter()
        button.click()
        page.wait_for_url(
            re.compile(r"/audio/[0-9a-f-]{36}/$"), timeout=300_000, wait_until="commit"
        )
        took = time.perf_counter() - began
        page.wait_for_load_state()  # to close a page at its commit may hang: crbug.com/536385539
        location = page.url.removeprefix(self.system.url)
        page.close()
        self.person.post(f"{location}delete/", {})
        stores.wait_until_empty(self.system)
        return took


def boto3_s(system: SystemOnS3, path: Path) -> float:
    """Return the seconds of boto3's upload as it comes, parts of 8 MiB in ten threads."""
    began = time.perf_counter()
    with path.open("rb") as file:
        system.s3.upload_fileobj(file, system.bucket, "boto3")
    took = time.perf_counter() - began
    system.s3.delete_object(Bucket=system.bucket, Key="boto3")
    return took


def growth_line(growth: Growth, where: str = "") -> Line:
    grown = growth.most_bytes()
    return Line(
        GROWTH + where,
        PROMISES[GROWTH],
        f"{grown / MIB:.0f} MiB (from {max(growth.before.values()) / MIB:.0f} MiB)",
        grown <= PROMISED_GROWTH_BYTES,
    )


def _speeds(seconds: list[float]) -> str:
    rates = sorted(FILE_BYTES / MIB / one for one in seconds)
    return f"{statistics.median(rates):.0f} MiB/s of {rates[0]:.0f} to {rates[-1]:.0f}"


def noise(path: Path, size_bytes: int) -> Path:
    """Write what is no sound: it is refused after it came, and nothing is converted beside us."""
    block = os.urandom(MIB)
    with path.open("wb") as file:
        for _ in range(size_bytes // MIB):
            file.write(block)
    return path
