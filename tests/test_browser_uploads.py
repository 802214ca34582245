"""Uploads in a real browser: several files, parts in parallel, whatever interrupts them."""

from __future__ import annotations

import hashlib
import json
import os
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
from playwright.sync_api import Browser, CDPSession, Page, Request, Response, Route, expect

from tests import axe
from tests.system import ROOT, System, wait_for
from tests.test_browser import sign_up
from tests.test_end_to_end import code_of

pytestmark = pytest.mark.browser

MIB = 1024**2
WORDS = re.compile(r"/js/uploads/words[^/]*\.js")  # its name has a hash in it


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
    return wav(tmp_path_factory.mktemp("recordings") / "Sunday service.wav", 64 * MIB)


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
        # How often the page learned of each part that it is there.
        self.stored: Counter[str] = Counter()
        self._taken: set[Request] = set()
        page.on("response", self._note_taken)
        page.on("requestfinished", self._count_part)
        page.on("filechooser", lambda _: None)  # from now on none opens a window of the system
        page.on("console", lambda said: self._hear(said.text))
        sign_up(page, site, self.name)
        self._line: CDPSession = page.context.new_cdp_session(page)
        self._line.send("Network.enable")
        self.open()

    def _note_taken(self, response: Response) -> None:
        if response.request.method == "PUT" and response.status == 200:
            self._taken.add(response.request)

    def _count_part(self, request: Request) -> None:
        # A line that is cut within the answer leaves the page not knowing: it sends that part anew.
        if request in self._taken:
            self.stored[part_of(request.url)] += 1

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

    def formats_of(self, path: Path) -> set[str]:
        """Return what was ordered of a file."""
        rows = self.site.rows(
            "SELECT r.format_name FROM audio_transcoder_rendition r JOIN audio_transcoder_audiofile"
            " f ON f.id = r.audio_file_id JOIN auth_user u ON u.id = f.owner_id"
            " WHERE u.username = ? AND f.file_name = ?",
            self.name,
            path.name,
        )
        return {name for (name,) in rows}

    def drag(self, *paths: Path, over: str, drop: bool = True) -> None:
        """Drag files and folders of this machine over an element; let them go there, or out."""
        self.page.locator(over).scroll_into_view_if_needed()
        box = self.page.locator(over).bounding_box()
        data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
        # What is longer than the window has its middle out of sight.
        down = min(box["height"] / 2, 100)
        place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + down, "data": data}
        for kind in ("dragEnter", "dragOver"):
            self._line.send("Input.dispatchDragEvent", {"type": kind, **place})
        expect(self.page.get_by_text("Drop the files or folders here")).to_be_visible()
        if drop:
            self._line.send("Input.dispatchDragEvent", {"type": "drop", **place})
        else:  # what a person's Escape makes of it
            self.page.evaluate(
                "([x, y]) => document.elementFromPoint(x, y)"
                ".dispatchEvent(new DragEvent('dragleave', {bubbles: true}))",
                [place["x"], place["y"]],
            )
        expect(self.page.get_by_text("Drop the files or folders here")).to_be_hidden()

    def wait_for_parts(self, count: int) -> None:
        """Wait until so many different parts are stored."""
        for _ in range(600):
            if len(self.stored) >= count:
                return
            self.page.wait_for_event("requestfinished", timeout=60_000)
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
    uploads.page.get_by_role("checkbox", name="MP3").check()
    uploads.send()
    uploads.wait_for_parts(2)
    uploads.page.on("dialog", lambda dialog: dialog.accept())
    uploads.page.reload()

    unfinished = uploads.page.get_by_role("region", name="Unfinished")
    expect(unfinished).to_contain_text(recording.name)
    expect(unfinished).to_contain_text(re.compile(r"[1-9]\d % of 64 MB sent"))
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


def test_after_a_reload_a_file_that_is_chosen_anew_goes_on_as_well(
    uploads: Uploads, site: System, recording: Path
):
    uploads.line(10)
    uploads.choose(recording)
    uploads.send()
    uploads.wait_for_parts(2)
    uploads.page.on("dialog", lambda dialog: dialog.accept())
    uploads.page.reload()
    uploads.line()
    uploads.choose(recording)
    uploads.send()

    assert sha256(object_of(site, uploads.location())) == sha256(recording)
    assert len({part.rpartition("/")[0] for part in uploads.stored}) == 1
    kept = uploads.page.evaluate("Object.keys(sessionStorage)")
    assert [key for key in kept if key.startswith("uppy-")] == []


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
        "That is another file: Wedding.wav. To go on, choose Sunday service.wav (64 MB)."
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
        other_tab = page.context.new_page()
        other_tab.goto(f"{full.url}/audio/upload/")
        other_tab.get_by_label("Sound file").set_input_files(songs[0])
        other_tab.get_by_role("button", name="Upload and convert").click()
        other_tab.wait_for_url(re.compile(r"/audio/[0-9a-f-]{36}/$"))
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


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """A folder with two songs, one in a folder of its own, and three files that are no sound."""
    folder = tmp_path / "Album"
    (folder / "Side B").mkdir(parents=True)
    wav(folder / "Song 1.wav", MIB)
    wav(folder / "Side B" / "Song 2.WAV", MIB)
    for name in ("cover.jpg", "notes.txt", "list.m3u", ".DS_Store", "._Song 1.wav"):
        (folder / name).write_bytes(b"no sound")
    return folder


def expect_album(page: Page) -> None:
    expect(page.get_by_text("Ready to send")).to_have_count(2)
    expect(page.locator("#upload-note")).to_have_text(
        "Taken from the folder: 2. Left out, because they are no sound: 3."
    )
    expect(page.locator("#upload-rows")).to_contain_text("Song 2.WAV")


def test_of_a_folder_only_what_may_be_sound_is_taken(uploads: Uploads, album: Path):
    with uploads.page.expect_file_chooser() as asked:
        uploads.page.get_by_role("button", name="Choose a folder").press("Enter")
    asked.value.set_files(album)
    expect_album(uploads.page)


def test_a_folder_and_files_may_be_dropped_anywhere(uploads: Uploads, album: Path, recording: Path):
    uploads.drag(album, over="#upload-actions", drop=False)
    expect(uploads.page.locator("#upload-rows li")).to_have_count(0)
    uploads.drag(album, over="#upload-actions")
    expect_album(uploads.page)
    uploads.drag(recording, over="#upload-rows li >> nth=1")
    expect(uploads.row(recording)).to_contain_text("Ready to send")


def test_a_folder_without_sound_says_so(uploads: Uploads, tmp_path: Path):
    folder = tmp_path / "Letters"
    folder.mkdir()
    (folder / "letter.txt").write_text("Dear Sir or Madam")
    uploads.drag(folder, over="main")
    note = uploads.page.locator("#upload-note")
    expect(note).to_have_text("There is no sound file in this folder.")
    expect(note).to_be_visible()


def test_files_may_be_pasted(uploads: Uploads, site: System):
    uploads.page.evaluate(
        """() => {
            const clipboardData = new DataTransfer();
            for (const [name, type] of [["Memo.wav", "audio/wav"], ["image.png", "image/png"]]) {
                clipboardData.items.add(new File(["RIFF".padEnd(5000)], name, {type}));
            }
            const told = {clipboardData, bubbles: true, cancelable: true};
            document.body.dispatchEvent(new ClipboardEvent("paste", told));
        }"""
    )
    expect(uploads.row(Path("Memo.wav"))).to_contain_text("Ready to send")
    expect(uploads.row(Path("image.png"))).to_contain_text("This is not a sound file we know.")


def test_two_files_of_one_name_in_a_folder_are_two(uploads: Uploads, tmp_path: Path):
    folder = tmp_path / "Album"
    for side in ("A", "B"):
        (folder / side).mkdir(parents=True)
        os.utime(wav(folder / side / "Song.wav", MIB), (10**9, 10**9))
    uploads.drag(folder, over="main")
    expect(uploads.page.get_by_text("Ready to send")).to_have_count(2)


def test_what_is_made_is_chosen_in_words_and_for_one_file_by_keyboard(
    uploads: Uploads, tmp_path: Path
):
    page = uploads.page
    songs = [wav(tmp_path / f"Song {number}.wav", 4 * 176_400) for number in (1, 2, 3)]
    small = page.locator(".selection").filter(has_text="Small")
    expect(small).to_contain_text("about 1.9 MB a minute")
    uploads.choose(*songs)
    expect(uploads.row(songs[2])).to_contain_text("4 seconds")
    expect(small).to_contain_text("about 381 kB for your 3 files")  # 12 s of 260 kbit/s
    page.get_by_role("radio", name="Choose formats yourself").focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    expect(page.get_by_role("radio", name="Small")).to_be_checked()
    expect(page.locator("[value=mp3]")).to_be_hidden()

    own = page.get_by_role("button", name="Formats: Song 2.wav")
    own.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Formats for Song 2.wav")
    expect(dialog.get_by_role("radio", name="Small")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(own).to_be_focused()

    page.keyboard.press("Enter")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")  # "Choose formats yourself"
    dialog.get_by_role("checkbox", name="MP4").press("Space")
    dialog.get_by_role("button", name="Use for this file").press("Enter")
    expect(dialog.get_by_role("alert")).to_have_text("Choose at least one format.")
    dialog.get_by_role("checkbox", name="FLAC CD").press("Space")
    dialog.get_by_role("checkbox", name="MP3").press("Space")
    dialog.get_by_role("button", name="Use for this file").press("Enter")
    expect(own).to_be_focused()
    expect(uploads.row(songs[1])).to_contain_text("FLAC, MP3 · about 509 kB")
    expect(small).to_contain_text("for your 2 files")
    uploads.press("Formats", songs[0])
    dialog = page.get_by_role("dialog", name="Formats for Song 1.wav")
    dialog.get_by_role("radio", name="Lossless").check()
    dialog.get_by_role("button", name="Use for this file").click()
    expect(uploads.row(songs[0])).to_contain_text("FLAC 1:1 · about")
    uploads.press("Formats", songs[0])
    dialog.get_by_role("button", name="As for all files").click()
    expect(uploads.row(songs[0])).not_to_contain_text("FLAC 1:1")

    page.get_by_role("button", name="Upload and convert").press("Enter")
    expect(page.get_by_text("3 of 3 files are uploaded.").last).to_be_visible(timeout=60_000)
    assert [uploads.formats_of(song) for song in songs] == [{"mp4"}, {"flac", "mp3"}, {"mp4"}]


def test_bit_rate_and_loudness_are_chosen_for_all_files_and_for_one(
    uploads: Uploads, site: System, tmp_path: Path
):
    page = uploads.page
    songs = [wav(tmp_path / f"Song {number}.wav", 4 * 176_400) for number in (1, 2)]
    uploads.choose(*songs)
    expect(uploads.row(songs[1])).to_contain_text("4 seconds")
    page.get_by_text("More options").click()
    expect(page.get_by_label("Bit rate of MP3", exact=True)).to_be_hidden()  # none is ordered
    old = page.locator(".selection").filter(has_text="For old players")
    page.get_by_role("radio", name="For old players").check()
    expect(page.get_by_label("Bit rate of MP4", exact=True)).to_be_hidden()
    expect(old).to_contain_text("about 187 kB for your 2 files")  # 8 s of 192 kbit/s
    page.get_by_label("Bit rate of MP3", exact=True).select_option("64")
    expect(old).to_contain_text("about 62 kB for your 2 files")

    page.get_by_label("Loudness", exact=True).select_option("other")
    loudness = page.get_by_label("Loudness in LUFS")
    refusal = re.compile("Write a loudness from −70")  # noqa: RUF001
    for nonsense in ("", "-4", "-16.55"):
        loudness.fill(nonsense)
        uploads.send()
        expect(loudness).to_be_focused()
        expect(loudness).to_have_attribute("aria-invalid", "true")
        expect(loudness).to_have_accessible_description(refusal)
        expect(page.get_by_text(refusal)).to_be_visible()
    page.get_by_label("Bit rate of MP3", exact=True).select_option("other")
    page.get_by_label("Bit rate of MP3 in kbit/s").fill("abc")
    loudness.fill("-16,5")
    page.get_by_text("More options").click()
    uploads.send()
    expect(page.get_by_label("Bit rate of MP3 in kbit/s")).to_be_focused()
    expect(page.get_by_text(refusal)).to_have_count(0)
    page.get_by_label("Bit rate of MP3", exact=True).select_option("64")
    page.get_by_label("Loudness", exact=True).select_option("")

    uploads.press("Formats", songs[1])
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Bit rate of MP3", exact=True)).to_have_value("64")
    dialog.get_by_label("Bit rate of MP3", exact=True).select_option("other")
    dialog.get_by_role("button", name="Use for this file").click()
    expect(dialog.get_by_label("Bit rate of MP3 in kbit/s")).to_be_focused()
    expect(dialog.get_by_text("Write a whole number from 64 to 320.")).to_be_visible()
    dialog.get_by_label("Bit rate of MP3", exact=True).select_option("320")
    dialog.get_by_label("Loudness", exact=True).select_option("-16")
    dialog.get_by_role("button", name="Use for this file").click()
    expect(uploads.row(songs[1])).to_contain_text("MP3 320 kbit/s, −16 LUFS · about 156 kB")  # noqa: RUF001
    expect(old).to_contain_text("about 31 kB")

    uploads.send()
    expect(page.get_by_text("2 of 2 files are uploaded.").last).to_be_visible(timeout=60_000)
    made = site.rows(
        "SELECT f.file_name, r.variant FROM audio_transcoder_rendition r"
        " JOIN audio_transcoder_audiofile f ON f.id = r.audio_file_id"
        " JOIN auth_user u ON u.id = f.owner_id WHERE u.username = ? ORDER BY f.file_name",
        uploads.name,
    )
    assert made == [(songs[0].name, "kbps-64"), (songs[1].name, "lufs-16 kbps-320")]


@pytest.fixture(scope="module")
def narrow(uppy: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A site where little may be kept."""
    folder = tmp_path_factory.mktemp("narrow")
    running = System(folder, QUOTA_FILES=3, QUOTA_BYTES=5 * MIB, MAX_DURATION_S=20).start()
    yield running
    running.stop()


def test_u23_what_would_not_fit_is_refused_before_a_byte_is_sent(
    narrow: System, page: Page, tmp_path: Path
):
    uploads = Uploads(page, narrow)
    asked: list[str] = []
    page.on("request", lambda request: request.method != "GET" and asked.append(request.url))
    expect(page.locator("#upload-limits")).to_contain_text("room for 3 more files")
    first, second = wav(tmp_path / "First.wav", 2 * MIB), wav(tmp_path / "Second.wav", 2 * MIB)
    third = wav(tmp_path / "Third.wav", 2 * MIB)
    tiny = [wav(tmp_path / f"Tiny {number}.wav", 5000) for number in (1, 2)]
    uploads.choose(first, second, third, *tiny)
    expect(uploads.row(third)).to_contain_text("only 1 MB of your space are left")
    expect(uploads.row(tiny[0])).to_contain_text("Ready to send")
    expect(uploads.row(tiny[1])).to_contain_text("You cannot keep more files.")
    expect(page.locator("#upload-note")).to_have_text(
        "There is no room for 2 of 5 files. Their rows say why."
    )
    # Whoever makes room has it at once.
    uploads.press("Remove", first)
    expect(uploads.row(third)).to_contain_text("Ready to send")
    expect(uploads.row(tiny[1])).to_contain_text("You cannot keep more files.")
    uploads.choose(tiny[1])  # once more, which changes nothing
    expect(uploads.row(tiny[1])).to_have_count(1)
    assert asked == []
    uploads.send()
    expect(page.get_by_text("3 of 4 files are uploaded.").last).to_be_visible(timeout=60_000)
    assert [name for name, _size in uploads.files()] == ["Second.wav", "Third.wav", "Tiny 1.wav"]
    uploads.open()
    expect(page.locator("#upload-limits")).to_contain_text("room for 0 more files")


def test_a_sound_that_is_too_long_is_refused_before_a_byte_is_sent(
    narrow: System, page: Page, tmp_path: Path
):
    uploads = Uploads(page, narrow)
    long = wav(tmp_path / "Long.wav", 4 * MIB)  # 23 s
    expect(page.locator("#upload-limits")).to_contain_text("up to 20 seconds of sound")
    uploads.choose(long)
    expect(uploads.row(long)).to_contain_text("The sound is too long")
    uploads.send()
    expect(page.get_by_role("alert").filter(has_text="The sound is too long")).to_be_focused()
    assert uploads.files() == []


def test_two_hundred_files_may_be_chosen_at_once(uploads: Uploads, tmp_path: Path):
    songs = [wav(tmp_path / f"Song {number:03}.wav", 5000) for number in range(200)]
    uploads.choose(*songs)
    page = uploads.page
    expect(page.get_by_text("Ready to send")).to_have_count(200)
    small = page.locator(".selection").filter(has_text="Small")
    expect(small).to_contain_text("for your 200 files")
    # What comes after the rows is not a hundred screens away.
    height = page.evaluate("document.documentElement.scrollHeight")
    assert height < 5 * page.viewport_size["height"]
    page.set_viewport_size({"width": 375, "height": 800})
    assert (
        page.evaluate("(rows => rows.scrollWidth - rows.clientWidth)(window['upload-rows'])") == 0
    )
    uploads.press("Remove", songs[199])
    expect(small).to_contain_text("for your 199 files")


def test_each_quarter_is_said_to_who_does_not_see_the_bar(uploads: Uploads, recording: Path):
    page = uploads.page
    page.evaluate(
        """() => {
            const announcer = document.getElementById("announcer");
            const said = [];
            new MutationObserver(() => {
                said.push(announcer.textContent);
                sessionStorage.said = JSON.stringify(said);  // this page ends when all is sent
            }).observe(announcer, {childList: true, characterData: true, subtree: true});
        }"""
    )
    uploads.line(8)
    uploads.choose(recording)
    uploads.send()
    uploads.location()
    said = [text for text in page.evaluate("JSON.parse(sessionStorage.said)") if text]
    assert said == [f"Uploading {recording.name}: {now} %" for now in (0, 25, 50, 75, 100)]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
def test_u12_u13_nothing_sticks_out_whatever_the_names(
    uploads: Uploads, tmp_path: Path, width: int, scheme: str
):
    page = uploads.page
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    names = ["x" * 240, "a long name " * 18, "תוכנית רדיו", "🎵" * 50]
    uploads.choose(*[wav(tmp_path / f"{name}.wav", 5000) for name in names])
    expect(page.get_by_text("Ready to send")).to_have_count(4)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("button", name="Formats: תוכנית").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    overflow = "dialog => dialog.scrollWidth - dialog.clientWidth"
    assert page.get_by_role("dialog").evaluate(overflow) <= 0


def see(page: Page, name: str) -> None:
    """Look at the page as it is now, in both themes and widths."""
    assert axe.look(page, f"upload-{name}") == []


def test_the_page_is_for_everyone_in_every_state(page: Page, site: System, tmp_path: Path):
    uploads = Uploads(page, site)
    songs = [wav(tmp_path / name, 24 * MIB) for name in ("Evensong.wav", "A wedding.wav")]
    picture = tmp_path / "Cover.png"
    picture.write_bytes(b"no sound")
    page.get_by_text("More options").click()
    page.get_by_role("radio", name="Choose formats yourself").check()
    see(page, "empty")
    uploads.choose(*songs, picture)
    uploads.press("Formats", songs[1])
    dialog = page.get_by_role("dialog")
    see(page, "dialog")
    dialog.get_by_role("radio", name="For old players").check()
    dialog.get_by_role("button", name="Use for this file").click()
    expect(uploads.row(songs[1])).to_contain_text("MP3 · about")
    see(page, "chosen")
    uploads.line(0.5)
    uploads.send()
    expect(uploads.row(songs[0])).to_contain_text("left", timeout=60_000)
    uploads.press("Pause", songs[1])
    see(page, "going")
    uploads.line()
    uploads.press("Go on", songs[1])
    expect(page.get_by_text("2 of 3 files are uploaded.").last).to_be_visible(timeout=60_000)
    see(page, "done")


def test_the_form_that_was_refused_is_for_everyone(page: Page, site: System, tmp_path: Path):
    page.route(WORDS, lambda route: give_also(route, "window.Uppy = undefined"))
    sign_up(page, site, "refused")
    page.goto(f"{site.url}/audio/upload/")
    expect(page.get_by_text("Drop files or folders")).to_be_hidden()
    letter = tmp_path / "Letter.mp3"
    letter.write_text("Dear Sir or Madam")
    page.get_by_label("Sound file").set_input_files(letter)
    for box in page.get_by_role("checkbox").all():
        box.uncheck()
    page.get_by_role("button", name="Upload and convert").click()
    expect(page.get_by_text("This is not a sound file we know.")).to_be_visible()
    expect(page.get_by_text("Choose at least one format.")).to_be_visible()
    see(page, "refused")


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
            route.fulfill(status=429, headers={"Retry-After": "5"}, json={"reason": "flood"})
        else:
            route.continue_()

    uploads.page.route(re.compile("/uploads/s3/multipart$"), begin)
    uploads.choose(song)
    uploads.send()
    expect(uploads.row(song)).to_contain_text("It goes on by itself.")

    assert sha256(object_of(site, uploads.location())) == sha256(song)
    assert len(asked) == 2
    assert asked[1] - asked[0] >= 5


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
    page.route(WORDS, lambda route: give_also(route, f"{lacks} = undefined"))
    sign_up(page, site, name)
    page.goto(f"{site.url}/audio/upload/")
    page.get_by_label("Sound file").set_input_files(wav(tmp_path / "Song.wav", MIB))
    posted: list[str] = []
    page.on("request", lambda asked: asked.method == "POST" and posted.append(asked.url))
    page.get_by_role("button", name="Upload and convert").click()
    page.wait_for_url(re.compile(r"/audio/[0-9a-f-]{36}/$"))
    assert posted == [f"{site.url}/audio/upload/"]
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
    page.get_by_role("radio", name="For old players").check()
    expect(page.get_by_label("FLAC CD")).to_be_hidden()
    page.get_by_role("button", name="Upload and convert").click()
    page.wait_for_url(re.compile(r"/audio/[0-9a-f-]{36}/$"))
    expect(page.get_by_role("heading", name="My song")).to_be_visible()
    ordered = site.rows(
        "SELECT r.format_name FROM audio_transcoder_rendition r JOIN audio_transcoder_audiofile f"
        " ON f.id = r.audio_file_id WHERE f.code = ?",
        code_of(page.url).replace("-", ""),
    )
    assert ordered == [("mp3",)]
    context.close()
