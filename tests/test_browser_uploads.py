"""Uploads in a real browser: several files, parts in parallel, whatever interrupts them."""

from __future__ import annotations

import hashlib
import json
import re
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core import signing
from playwright.sync_api import Browser, CDPSession, Page, Response, Route, expect

from tests.system import ROOT, System, wait_for
from tests.test_browser import sign_up
from tests.test_end_to_end import code_of

pytestmark = pytest.mark.browser

MIB = 1024**2


@pytest.fixture(scope="session")
def uppy() -> None:
    """What npm installs; a machine that cannot have it fails here, with what to do."""
    made = subprocess.run(
        [sys.executable, ".ci/packages.py"], cwd=ROOT, capture_output=True, text=True
    )
    if problem := made.stdout.strip():
        pytest.fail(f"{problem}\n{made.stderr}", pytrace=False)


@pytest.fixture(scope="session")
def site(uppy: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    running = System(tmp_path_factory.mktemp("uploads"), UPLOADS_PER_MINUTE=0).start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wav(tmp_path_factory.mktemp("recordings") / "Sunday service.wav", 40 * MIB)


def wav(path: Path, size: int) -> Path:
    """Write a WAV of so many bytes, the same every time, no two megabytes of it alike."""
    block = bytearray(hashlib.shake_256(path.name.encode()).digest(MIB))
    header = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", size - 8, b"WAVE", b"fmt ", 16, 1, 2,
                         44100, 176400, 4, 16, b"data", size - 44)  # fmt: skip
    with path.open("wb") as file:
        for number in range(-(-size // MIB)):
            block[100:108] = struct.pack("<Q", number)
            if number == 0:
                file.write(header + block[44:])
            else:
                file.write(block)
        file.truncate(size)
    return path


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Uploads:
    """The upload page of somebody new, on a line of ``mib_per_s``."""

    _count = 0

    def __init__(self, page: Page, site: System) -> None:
        type(self)._count += 1
        self.page, self.site = page, site
        self.name = f"uploader{type(self)._count}"
        self.violations: list[str] = []
        self.stored: Counter[str] = Counter()  # how often each part arrived whole
        page.on("response", self._count_part)
        page.on("console", lambda said: self._hear(said.text))
        sign_up(page, site, self.name)
        self._line: CDPSession = page.context.new_cdp_session(page)
        self._line.send("Network.enable")
        self.open()

    def _count_part(self, response: Response) -> None:
        if response.request.method == "PUT" and response.status == 200:
            self.stored[part_of(response.url)] += 1

    def _hear(self, said: str) -> None:
        if "Content Security Policy" in said or "Uncaught" in said:
            self.violations.append(said)

    def open(self) -> None:
        self.page.goto(f"{self.site.url}/audio/upload/")

    def line(self, mib_per_s: float = 0, *, is_up: bool = True) -> None:
        """Make the line to the site as fast as this, or cut it; 0: as fast as it is."""
        self._line.send(
            "Network.emulateNetworkConditions",
            {
                "offline": not is_up,
                "latency": 0,
                "downloadThroughput": -1,
                "uploadThroughput": mib_per_s * MIB or -1,
            },
        )

    def choose(self, *paths: Path, label: str = "Sound file") -> None:
        self.page.get_by_label(label).set_input_files(list(paths))

    def send(self) -> None:
        self.page.get_by_role("button", name="Upload and convert").click()

    def row(self, path: Path):
        return self.page.locator("#upload-rows li").filter(has_text=path.name)

    def press(self, what: str, path: Path) -> None:
        self.page.get_by_role("button", name=f"{what}: {path.name}").click()

    def wait_for_parts(self, count: int) -> None:
        """Wait until so many different parts are stored."""
        for _ in range(600):
            if len(self.stored) >= count:
                return
            self.page.wait_for_event("response", timeout=60_000)
        raise AssertionError(f"{len(self.stored)} parts, not {count}")

    def location(self) -> str:
        """Wait for the page of the file; return its address."""
        self.page.wait_for_url(re.compile(r"/audio/[0-9a-f-]{36}/$"), timeout=120_000)
        return self.page.url

    def files(self) -> list[tuple[str, int]]:
        return self.site.rows(
            "SELECT f.file_name, f.size_bytes FROM audio_transcoder_audiofile f"
            " JOIN auth_user u ON u.id = f.owner_id WHERE u.username = ? ORDER BY f.file_name",
            self.name,
        )

    def sent_twice(self) -> list[str]:
        return [part for part, times in self.stored.items() if times > 1]


def part_of(url: str) -> str:
    """Return upload and number of the part that goes to ``url``, the same for each new address."""
    address = urlsplit(url)
    if number := parse_qs(address.query).get("partNumber"):
        return f"{address.path}/{number[0]}"
    payload = address.path.rstrip("/").rpartition("/")[2].partition(":")[0]
    upload, number, _size = json.loads(signing.b64_decode(payload.encode()))
    return f"{upload}/{number}"


@pytest.fixture
def uploads(page: Page, site: System) -> Iterator[Uploads]:
    opened = Uploads(page, site)
    yield opened
    assert opened.violations == []


def object_of(site: System, url: str) -> Path:
    code = code_of(f"{url}")
    return site.data_dir / "buckets" / "local" / "media" / "uploads" / code / "source"


def test_several_files_go_up_at_once_each_in_parts_at_once(
    uploads: Uploads, site: System, tmp_path: Path
):
    songs = [wav(tmp_path / f"Song {number}.wav", 24 * MIB) for number in (1, 2, 3)]
    on_the_way: set[str] = set()
    at_once: list[set[str]] = []

    def begun(request):
        if request.method == "PUT":
            on_the_way.add(part_of(request.url))
            at_once.append(set(on_the_way))

    uploads.page.on("request", begun)
    uploads.page.on(
        "response",
        lambda answer: answer.request.method == "PUT" and on_the_way.discard(part_of(answer.url)),
    )
    uploads.line(30)
    uploads.choose(*songs)
    expect(uploads.page.get_by_label("Name")).to_be_hidden()
    uploads.send()

    expect(uploads.page.get_by_text("of 3 files ·")).to_be_visible()
    expect(uploads.page.get_by_text("3 of 3 files are uploaded.").last).to_be_visible(
        timeout=60_000
    )
    assert uploads.files() == [(song.name, song.stat().st_size) for song in songs]
    for song in songs:
        link = uploads.row(song).get_by_role("link").get_attribute("href")
        assert sha256(object_of(site, link)) == sha256(song)
    assert max(map(len, at_once)) >= 4
    assert len({part.rpartition("/")[0] for parts in at_once for part in parts}) == 3
    assert uploads.sent_twice() == []
    uploads.page.get_by_role("link", name="To the library").click()
    expect(uploads.page.get_by_role("link", name="Song 2").first).to_be_visible()


def test_an_upload_waits_while_offline_and_goes_on_by_itself(
    uploads: Uploads, site: System, recording: Path
):
    uploads.line(10)
    uploads.choose(recording)
    uploads.send()
    uploads.wait_for_parts(2)
    uploads.line(is_up=False)
    expect(uploads.row(recording)).to_contain_text("No connection. It goes on by itself.")
    uploads.line()

    assert sha256(object_of(site, uploads.location())) == sha256(recording)
    assert uploads.sent_twice() == []


def test_after_a_reload_the_same_file_goes_on_where_it_was(
    uploads: Uploads, site: System, recording: Path, tmp_path: Path
):
    uploads.line(10)
    uploads.choose(recording)
    uploads.page.get_by_label("Name").fill("Evensong")
    uploads.page.get_by_label("MP3").check()
    uploads.send()
    uploads.wait_for_parts(2)
    uploads.page.on("dialog", lambda dialog: dialog.accept())
    uploads.page.reload()

    unfinished = uploads.page.get_by_role("region", name="Unfinished")
    expect(unfinished).to_contain_text(recording.name)
    expect(unfinished).to_contain_text(re.compile(r"[1-9]\d % of 40 MB sent"))
    uploads.line()
    uploads.choose(recording, label="The file to go on with")

    url = uploads.location()
    assert sha256(object_of(site, url)) == sha256(recording)
    assert len(uploads.sent_twice()) < 3
    assert len(uploads.files()) == 1
    expect(uploads.page.get_by_role("heading", name="Evensong")).to_be_visible()
    formats = site.rows(
        "SELECT count(*) FROM audio_transcoder_rendition r JOIN audio_transcoder_audiofile f"
        " ON f.id = r.audio_file_id WHERE f.code = ?",
        code_of(url).replace("-", ""),
    )
    assert formats == [(4,)]


def test_another_file_does_not_continue_an_upload(
    uploads: Uploads, recording: Path, tmp_path: Path
):
    uploads.line(10)
    uploads.choose(recording)
    uploads.send()
    uploads.wait_for_parts(1)
    uploads.page.on("dialog", lambda dialog: dialog.accept())
    uploads.page.reload()
    unfinished = uploads.page.get_by_role("region", name="Unfinished")
    expect(unfinished).to_be_visible()
    stored = dict(uploads.stored)

    uploads.choose(wav(tmp_path / "Wedding.wav", MIB), label="The file to go on with")
    expect(unfinished).to_contain_text(
        "That is another file: Wedding.wav. To go on, choose Sunday service.wav (40 MB)."
    )
    changed = tmp_path / recording.name
    changed.write_bytes(recording.read_bytes()[:-1] + b"!")
    uploads.choose(changed, label="The file to go on with")
    expect(unfinished).to_contain_text("was changed since its upload began")
    assert dict(uploads.stored) == stored

    uploads.page.get_by_role("button", name="Discard").click()
    expect(unfinished).to_be_hidden()
    uploads.page.reload()
    expect(uploads.page.get_by_label("Sound file")).to_be_visible()
    expect(unfinished).to_be_hidden()
    assert uploads.files() == []


def test_pausing_stops_the_bytes_and_going_on_loses_none(
    uploads: Uploads, site: System, recording: Path
):
    uploads.line(10)
    uploads.choose(recording)
    uploads.send()
    uploads.wait_for_parts(2)
    uploads.press("Pause", recording)
    expect(uploads.row(recording)).to_contain_text("Paused")
    stored = dict(uploads.stored)
    uploads.line()
    uploads.page.get_by_label("Sound file").focus()  # anything that takes a turn of the page
    assert dict(uploads.stored) == stored
    uploads.press("Go on", recording)

    assert sha256(object_of(site, uploads.location())) == sha256(recording)
    assert uploads.sent_twice() == []


def test_canceling_leaves_nothing(uploads: Uploads, site: System, recording: Path):
    folder = site.data_dir / "buckets" / "local" / "%parts"
    before = set(folder.glob("*"))
    uploads.line(10)
    uploads.choose(recording)
    uploads.send()
    uploads.wait_for_parts(1)
    assert set(folder.glob("*")) > before
    with uploads.page.expect_response(lambda answer: answer.request.method == "DELETE") as gone:
        uploads.press("Cancel", recording)

    assert gone.value.ok
    expect(uploads.row(recording)).to_have_count(0)
    assert uploads.page.evaluate("fetch('/audio/uploads/open/').then(r => r.json())") == []
    assert uploads.files() == []
    wait_for(lambda: set(folder.glob("*")) <= before, "an empty folder", 30)


def test_what_the_server_refuses_is_said_in_the_row_of_the_file(
    uppy: None, page: Page, tmp_path: Path
):
    full = System(tmp_path, QUOTA_FILES=1).start()
    try:
        uploads = Uploads(page, full)
        songs = [wav(tmp_path / f"Song {number}.wav", MIB) for number in (1, 2)]
        uploads.choose(songs[0])
        uploads.send()
        uploads.location()
        uploads.open()
        uploads.choose(songs[1])
        uploads.send()
        expect(uploads.row(songs[1])).to_contain_text(re.compile("space|room|quota|limit", re.I))
        assert len(uploads.files()) == 1
        # What was refused stays so, whatever is sent after it.
        asked: list[str] = []
        page.on("request", lambda request: request.method == "POST" and asked.append(request.url))
        uploads.choose(wav(tmp_path / "Song 3.wav", MIB))
        uploads.send()
        expect(page.get_by_role("button", name="Remove")).to_have_count(2)
        assert len(asked) == 1
    finally:
        full.stop()


def test_what_need_not_be_sent_is_refused_before(uploads: Uploads, tmp_path: Path):
    empty = tmp_path / "Nothing.mp3"
    empty.touch()
    song = wav(tmp_path / "Song.wav", MIB)

    uploads.send()
    expect(uploads.page.get_by_role("alert").filter(has_text="Choose a file")).to_be_focused()
    uploads.choose(empty, song)
    uploads.choose(song)
    expect(uploads.row(empty)).to_contain_text("The file is empty.")
    expect(uploads.row(song)).to_have_count(2)
    expect(uploads.row(song).last).to_contain_text("in the list already")
    for box in uploads.page.get_by_role("checkbox").all():
        box.uncheck()
    uploads.send()
    expect(uploads.page.get_by_role("alert").filter(has_text="one format")).to_be_focused()
    assert uploads.stored == {}


def test_the_site_may_restart_in_the_middle(
    uppy: None, page: Page, own_system: System, tmp_path: Path
):
    recording = wav(tmp_path / "A long service.wav", 96 * MIB)
    uploads = Uploads(page, own_system)
    uploads.line(5)
    uploads.choose(recording)
    uploads.send()
    uploads.wait_for_parts(1)
    own_system.stop()
    expect(uploads.row(recording)).to_contain_text("Trying again")
    own_system.start()
    uploads.line()

    assert sha256(object_of(own_system, uploads.location())) == sha256(recording)
    assert len(uploads.sent_twice()) < 3


def test_an_upload_can_be_made_by_keyboard_alone(uploads: Uploads, recording: Path, tmp_path: Path):
    page = uploads.page
    uploads.line(10)
    page.get_by_label("Sound file").focus()
    with page.expect_file_chooser() as asked:
        page.keyboard.press("Enter")
    asked.value.set_files([recording, wav(tmp_path / "Wedding.wav", 40 * MIB)])
    page.get_by_role("button", name="Upload and convert").focus()
    page.keyboard.press("Enter")

    expect(page.get_by_role("button", name=f"Pause: {recording.name}")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name=f"Go on: {recording.name}")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name=f"Cancel: {recording.name}")).to_be_focused()
    page.keyboard.press("Enter")
    expect(uploads.row(recording)).to_have_count(0)
    expect(page.get_by_role("button", name="Pause: Wedding.wav")).to_be_focused()
    expect(page.locator("#announcer")).to_contain_text(re.compile("canceled|Uploading"))


def test_w11_a_site_that_asks_to_wait_is_not_asked_before(
    uploads: Uploads, site: System, tmp_path: Path
):
    song = wav(tmp_path / "Song.wav", MIB)
    asked: list[float] = []

    def begin(route: Route) -> None:
        asked.append(time.monotonic())
        if len(asked) == 1:
            route.fulfill(status=429, headers={"Retry-After": "2"}, json={"reason": "flood"})
        else:
            route.continue_()

    uploads.page.route(re.compile("/uploads/s3/multipart$"), begin)
    uploads.choose(song)
    uploads.send()
    expect(uploads.row(song)).to_contain_text("It goes on by itself.")

    assert sha256(object_of(site, uploads.location())) == sha256(song)
    assert len(asked) == 2
    assert asked[1] - asked[0] >= 2


def test_w12_a_sign_in_that_ran_out_is_said_and_nothing_is_lost(
    uploads: Uploads, site: System, recording: Path
):
    uploads.line(10)
    uploads.choose(recording)
    uploads.send()
    uploads.wait_for_parts(1)
    cookies = uploads.page.context.cookies()
    uploads.page.context.clear_cookies()
    expect(uploads.row(recording)).to_contain_text("You are signed out.", timeout=30_000)
    expect(uploads.page.get_by_role("link", name="Sign in again")).to_be_visible()
    uploads.page.context.add_cookies(cookies)
    uploads.line()
    uploads.press("Try again", recording)

    assert sha256(object_of(site, uploads.location())) == sha256(recording)
    assert len(uploads.sent_twice()) < 3


@pytest.mark.parametrize(
    ("name", "lacks"),
    [("old", "AbortSignal.any"), ("halfway", "window.Uppy")],
    ids=["old", "halfway"],
)
def test_what_a_browser_cannot_do_leaves_the_plain_form(
    site: System, page: Page, tmp_path: Path, name: str, lacks: str
):
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.route("**/words.js", lambda route: give_also(route, f"{lacks} = undefined"))
    sign_up(page, site, name)
    page.goto(f"{site.url}/audio/upload/")
    page.get_by_label("Sound file").set_input_files(wav(tmp_path / "Song.wav", MIB))
    page.get_by_role("button", name="Upload and convert").click()
    page.wait_for_url(re.compile(r"/audio/[0-9a-f-]{36}/$"))
    assert said == []


def give_also(route: Route, script: str) -> None:
    answer = route.fetch()
    route.fulfill(response=answer, body=f"{answer.text()};{script};")


def test_w13_without_scripts_the_upload_page_is_a_plain_form(
    browser: Browser, site: System, tmp_path: Path
):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    sign_up(page, site, "plain")
    page.goto(f"{site.url}/audio/upload/")
    page.get_by_label("Sound file").set_input_files(wav(tmp_path / "Song.wav", MIB))
    page.get_by_label("Name").fill("My song")
    page.get_by_role("button", name="Upload and convert").click()
    page.wait_for_url(re.compile(r"/audio/[0-9a-f-]{36}/$"))
    expect(page.get_by_role("heading", name="My song")).to_be_visible()
    context.close()
