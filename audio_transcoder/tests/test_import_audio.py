"""``manage.py import_audio``: folders and buckets into a library, again and again."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import shutil
import subprocess
import sys
import termios
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from django.conf import settings as site
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command
from django.utils import timezone

import buckets
from audio_transcoder import removal, steps, uploads
from audio_transcoder.models import AudioFile, Deletion, IntakeObject
from audio_transcoder.tests.factories import make_file, make_person
from audio_transcoder.uploads import imports, intake
from buckets import BucketUnavailable
from buckets.tests.s3_server import make_bucket
from tests import sounds
from tests.at_once import at_once

pytest_plugins = ["buckets.tests.s3_server", "buckets.tests.azure_server"]
pytestmark = pytest.mark.django_db


@pytest.fixture
def alice(db):
    return make_person("alice")


@pytest.fixture
def recordings(tmp_path: Path, mp3: Path) -> Path:
    """A folder with two sounds and much that is none of its business."""
    folder = tmp_path / "recordings"
    (folder / "2026 März").mkdir(parents=True)
    shutil.copy(mp3, folder / "song.mp3")
    sounds.make(folder / "2026 März" / "Lied 100%.wav", 1)
    (folder / ".hidden.mp3").write_bytes(b"x")
    (folder / ".git").mkdir()
    (folder / ".git" / "a.wav").write_bytes(b"x")
    (folder / "link.mp3").symlink_to(folder / "song.mp3")
    return folder


def run(*arguments: object) -> str:
    output = io.StringIO()
    call_command("import_audio", *map(str, arguments), stdout=output, stderr=output)
    return output.getvalue()


def refused(*arguments: object) -> tuple[str, CommandError]:
    output = io.StringIO()
    with pytest.raises(CommandError) as caught:
        call_command("import_audio", *map(str, arguments), stdout=output, stderr=output)
    return output.getvalue(), caught.value


def stored(settings) -> list[str]:
    return sorted(buckets.bucket(settings.MEDIA_BUCKET).keys(""))


# --- Folders ------------------------------------------------------------------------------------


def test_a_folder_is_brought_in_with_all_below_it(kind_of_bucket, alice, recordings, settings):
    output = run(recordings, "--owner", "alice")
    assert "2 taken." in output
    files = {file.file_name: file for file in AudioFile.objects.filter(owner=alice)}
    assert set(files) == {"song.mp3", "Lied 100%.wav"}
    song = files["song.mp3"]
    assert song.container == "mp3"
    assert song.duration_ms > 900
    with song.mp3_file.open() as file:
        assert file.read() == (recordings / "song.mp3").read_bytes()
    assert sorted(r.format_name for r in song.renditions.all()) == ["flac", "mp4", "wav"]
    assert not Deletion.objects.exists()
    assert not list(settings.FILE_UPLOAD_TEMP_DIR.iterdir())


def test_the_persons_own_file_is_left_as_it_was(alice, recordings):
    song = recordings / "song.mp3"
    song.chmod(0o640)
    before = song.read_bytes()
    run(recordings, "--owner", "alice")
    assert (song.stat().st_mode & 0o777, song.stat().st_nlink) == (0o640, 1)
    song.write_bytes(b"changed later")
    with AudioFile.objects.get(file_name="song.mp3").mp3_file.open() as file:
        assert file.read() == before


def test_the_second_time_everything_is_already_here(kind_of_bucket, alice, recordings, settings):
    run(recordings, "--owner", "alice")
    before = stored(settings)
    output = run(recordings, "--owner", "alice")
    assert "already here: " in output
    assert "2 already here." in output
    assert AudioFile.objects.count() == 2
    assert stored(settings) == before


def test_the_same_bytes_from_the_form_are_already_here_too(alice, recordings):
    run(recordings / "song.mp3", "--owner", "alice")
    AudioFile.objects.update(upload_token="11111111-1111-4111-8111-111111111111")
    assert "1 already here." in run(recordings / "song.mp3", "--owner", "alice")


def test_the_same_bytes_of_another_person_are_another_file(alice, recordings):
    make_person("bob")
    run(recordings / "song.mp3", "--owner", "alice")
    assert "1 taken." in run(recordings / "song.mp3", "--owner", "bob")


def test_the_same_file_under_two_names_is_taken_once(alice, recordings):
    shutil.copy(recordings / "song.mp3", recordings / "song (1).mp3")
    assert "1 already here, 2 taken." in run(recordings, "--owner", "alice")


def test_what_was_deleted_since_comes_again(alice, recordings):
    run(recordings / "song.mp3", "--owner", "alice")
    AudioFile.objects.all().remove()
    assert "1 taken." in run(recordings / "song.mp3", "--owner", "alice")


def test_what_is_no_sound_is_listed_with_a_sentence_and_an_exit_code(alice, recordings):
    (recordings / "notes.txt").write_text("not a sound " * 20)
    (recordings / "empty.wav").touch()
    output, error = refused(recordings, "--owner", "alice")
    lines = [line for line in output.splitlines() if line.startswith("refused")]
    assert len(lines) == 2
    assert "notes.txt: This is not a sound file we know." in output
    assert "empty.wav: The file is empty." in output
    assert str(error) == "Refused: 2 of 4 files."
    assert error.returncode == 1
    assert AudioFile.objects.count() == 2


@pytest.mark.parametrize("options", [[], ["--dry-run"]])
def test_what_the_engine_of_the_site_does_not_read_is_not_brought_in(
    alice, recordings, settings, options
):
    settings.TRANSCODER_ENGINE = "mediaconvert"
    sounds.make(recordings / "take.aiff")
    output, _error = refused(recordings, "--owner", "alice", *options)
    assert "take.aiff: What converts here does not take this kind of sound." in output
    assert "1 refused, 2 taken." in output


def test_u23_a_quota_holds_for_imports_too(alice, recordings, settings):
    settings.QUOTA_FILES = 1
    output, _error = refused(recordings, "--owner", "alice")
    assert "Your space or today's number of uploads is used up." in output
    assert AudioFile.objects.count() == 1


def test_u3_a_file_over_the_limit_is_refused_unread(alice, recordings, settings, monkeypatch):
    settings.UPLOAD_MAX_BYTES = 10
    monkeypatch.setattr(imports, "_hash", None)
    output, _error = refused(recordings, "--owner", "alice")
    assert "larger than" in output


def test_formats_can_be_chosen(alice, recordings):
    run(recordings / "song.mp3", "--owner", "alice", "--formats", "MP3, wav")
    file = AudioFile.objects.get()
    assert sorted(r.format_name for r in file.renditions.all()) == ["mp3", "wav"]


def test_moving_removes_what_is_in_the_store(alice, recordings):
    run(recordings / "song.mp3", "--owner", "alice")  # and was stopped before it removed it
    (recordings / "notes.txt").write_text("not a sound " * 20)
    refused(recordings, "--owner", "alice", "--move")
    left = sorted(path.name for path in recordings.rglob("*.*") if not path.name.startswith("."))
    assert left == ["a.wav", "link.mp3", "notes.txt"]


def test_moving_keeps_a_file_whose_bytes_the_store_has_lost(alice, recordings):
    run(recordings / "song.mp3", "--owner", "alice")
    file = AudioFile.objects.get()
    file.mp3_file.storage.delete(file.mp3_file.name)
    AudioFile.objects.update(upload_token="11111111-1111-4111-8111-111111111111")
    assert "1 taken." in run(recordings / "song.mp3", "--owner", "alice", "--move")
    newest = AudioFile.objects.order_by("pk").last()
    assert newest.mp3_file.storage.exists(newest.mp3_file.name)


def test_a_dry_run_says_the_same_and_changes_nothing(alice, recordings, settings):
    (recordings / "notes.txt").write_text("not a sound " * 20)
    output, _error = refused(recordings, "--owner", "alice", "--move", "--dry-run")
    assert "1 refused, 2 taken. Nothing was changed." in output
    assert not AudioFile.objects.exists()
    assert (recordings / "song.mp3").exists()
    assert not (settings.BUCKETS_DIR / "local").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{folder}"], "--owner"),
        (["{folder}", "--owner", "nobody"], "nobody"),
        (["{folder}", "--owner", "alice", "--formats", "wav,midi"], "midi"),
        (["{folder}/nothing", "--owner", "alice"], "There is no"),
        (["x" * 300, "--owner", "alice"], "name too long"),
        (["{folder}/song.mp3/more", "--owner", "alice"], "Not a directory"),
        (["/dev/zero", "--owner", "alice"], "neither a file nor a folder"),
        (["s3://somewhere/x"], "--owner"),
        (["s3://no-such-bucket/x", "--owner", "alice"], "no such folder"),
        (["s3://local/media/uploads/", "--owner", "alice"], "media/intake/"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(alice, recordings, arguments, words):
    _output, error = refused(*(text.format(folder=recordings) for text in arguments))
    assert words in str(error)
    assert not AudioFile.objects.exists()


def test_a_name_that_is_no_text_is_taken_and_shown(alice, recordings, mp3):
    name = os.fsdecode(b"s\xe4nger\n.mp3")
    shutil.copy(mp3, recordings / name)
    (recordings / "song.mp3").unlink()
    output = run(recordings, "--owner", "alice")
    assert "2 taken." in output
    assert "s\N{REPLACEMENT CHARACTER}nger\N{REPLACEMENT CHARACTER}.mp3" in output
    assert AudioFile.objects.filter(file_name="snger.mp3").exists()


def test_a_file_that_somebody_writes_to_is_refused(alice, recordings, monkeypatch):
    real = imports._is_here

    def is_here_beside_a_writer(*arguments):
        with (recordings / "song.mp3").open("ab") as file:
            file.write(b"more")
        return real(*arguments)

    monkeypatch.setattr(imports, "_is_here", is_here_beside_a_writer)
    output, _error = refused(recordings / "song.mp3", "--owner", "alice", "--move")
    assert "Somebody is writing to it." in output
    assert (recordings / "song.mp3").exists()
    assert not AudioFile.objects.exists()


def test_a_folder_that_may_not_be_read_is_a_sentence(alice, recordings, monkeypatch):
    real_open = Path.open

    def open_denied(self, *arguments, **values):
        if self.name == "song.mp3":
            raise PermissionError(13, "Permission denied")
        return real_open(self, *arguments, **values)

    monkeypatch.setattr(Path, "open", open_denied)
    output, _error = refused(recordings, "--owner", "alice")
    assert "song.mp3: Permission denied" in output
    assert AudioFile.objects.count() == 1


def test_a_folder_within_that_may_not_be_listed_is_no_silence(alice, recordings, monkeypatch):
    shut = recordings / "shut"
    shut.mkdir()
    real_scandir = os.scandir

    def scan_denied(path):
        if Path(path) == shut:
            raise PermissionError(13, "Permission denied", str(path))
        return real_scandir(path)

    monkeypatch.setattr(os, "scandir", scan_denied)
    output, _error = refused(recordings, "--owner", "alice")
    assert "shut: Permission denied" in output
    assert AudioFile.objects.count() == 2


@pytest.mark.parametrize("becomes", ["gone", "a pipe", "a link to a device", "a folder"])
def test_a_file_that_is_another_thing_by_its_turn_is_refused(
    alice, recordings, monkeypatch, becomes
):
    paths = imports.files_below(recordings)
    song = recordings / "song.mp3"
    song.unlink()
    if becomes == "a pipe":
        os.mkfifo(song)
    elif becomes == "a link to a device":
        song.symlink_to("/dev/zero")
    elif becomes == "a folder":
        song.mkdir()
    monkeypatch.setattr(imports, "files_below", lambda source: paths)
    output, _error = refused(recordings, "--owner", "alice", "--move")
    words = "No such file" if becomes == "gone" else "It is not a file."
    assert f"song.mp3: {words}" in output
    assert AudioFile.objects.count() == 1


def test_s1_a_store_that_is_down_ends_it_with_a_sentence(alice, recordings, monkeypatch, settings):
    def down(*_arguments, **_values):
        raise BucketUnavailable("no answer", bucket="local")

    monkeypatch.setattr(buckets.FolderBucket, "put", down)
    _output, error = refused(recordings, "--owner", "alice")
    assert str(error).startswith("The store: local: no answer")
    assert not AudioFile.objects.exists()
    assert not list(settings.FILE_UPLOAD_TEMP_DIR.iterdir())


@pytest.mark.parametrize("place", ["storing", "writing rows"])
def test_ctrl_c_leaves_nothing_half(alice, recordings, monkeypatch, settings, place):
    def interrupt(*_arguments, **_values):
        raise KeyboardInterrupt

    targets = {"storing": (buckets.FolderBucket, "put"), "writing rows": (uploads, "keep")}
    with monkeypatch.context() as patch:
        patch.setattr(*targets[place], interrupt)
        with pytest.raises(SystemExit) as ended:
            run(recordings, "--owner", "alice", "--move")
    assert ended.value.code == 130
    removal.remove_due()
    assert not AudioFile.objects.exists()
    assert not (settings.BUCKETS_DIR / "local").exists() or stored(settings) == []
    assert not list(settings.FILE_UPLOAD_TEMP_DIR.iterdir())
    assert (recordings / "song.mp3").exists()
    assert "2 taken." in run(recordings, "--owner", "alice")


@pytest.mark.django_db(transaction=True)
def test_d4_two_commands_at_once_make_one_file(alice, recordings):
    at_once(*[partial(run, recordings / "song.mp3", "--owner", "alice")] * 3)
    assert AudioFile.objects.count() == 1


def test_on_a_terminal_there_is_a_bar_and_in_a_log_there_are_plain_lines(tmp_path, recordings):
    """The real command in a process of its own, with a database of its own."""
    environment = {**os.environ, "DATA_DIR": str(tmp_path / "var"), "ENV_FILE": ""}
    environment["DJANGO_SETTINGS_MODULE"] = "audio_transcoder.settings"
    manage = [sys.executable, str(site.BASE_DIR / "manage.py")]
    make_owner = "from django.contrib.auth.models import User; User.objects.create_user('alice')"
    for words in (["migrate", "-v0"], ["shell", "-v0", "-c", make_owner]):
        subprocess.run([*manage, *words], env=environment, check=True, capture_output=True)
    command = [*manage, "import_audio", str(recordings), "--owner", "alice", "--dry-run"]

    logged = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 100))
    with ThreadPoolExecutor(1) as reader:
        reading = reader.submit(_read, master)  # all the time: a terminal holds few bytes
        try:
            subprocess.run(
                command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=slave
            )
        finally:
            os.close(slave)
        shown = reading.result()
    os.close(master)

    assert "2 taken. Nothing was changed." in logged.stdout
    assert "B/s" not in logged.stderr
    assert b"B/s" in shown


def _read(terminal: int) -> bytes:
    read = b""
    with contextlib.suppress(OSError):  # the other end is closed
        while chunk := os.read(terminal, 65536):
            read += chunk
    return read


# --- Buckets ------------------------------------------------------------------------------------


@pytest.fixture
def archive(kind_of_bucket, settings, tmp_path, mp3):
    """Another bucket with two objects."""
    archive = buckets.bucket(f"{settings.MEDIA_BUCKET}-archive")
    make_bucket(kind_of_bucket, archive)
    for number, key in enumerate(("old/a.mp3", "old/2/Lied ü.mp3", "else/c.mp3")):
        copy = tmp_path / f"object-{number}"
        copy.write_bytes(mp3.read_bytes())
        archive.put(key, copy, content_type="audio/mpeg")
    return archive


@pytest.fixture(autouse=True)
def no_look_yet(monkeypatch) -> None:
    """Only what a command has recorded is taken in."""
    monkeypatch.setattr(intake, "_next_look", timezone.now() + timedelta(days=1))


def test_objects_of_another_bucket_are_copied_by_the_step(alice, archive):
    output = run(f"s3://{archive.name}/old/", "--owner", "alice", "--formats", "mp3")
    assert "2 recorded." in output
    steps.take_in()
    names = AudioFile.objects.filter(owner=alice).values_list("file_name", flat=True)
    assert sorted(names) == ["Lied ü.mp3", "a.mp3"]
    assert {r.format_name for file in AudioFile.objects.all() for r in file.renditions.all()} == {
        "mp3"
    }
    assert sorted(archive.keys("")) == ["else/c.mp3", "old/2/Lied ü.mp3", "old/a.mp3"]


def test_the_second_time_objects_are_already_here(alice, archive):
    for _ in range(2):
        run(f"s3://{archive.name}/old/", "--owner", "alice")
        steps.take_in()
    IntakeObject.objects.all().delete()  # swept after a month
    assert "2 already here." in run(f"s3://{archive.name}/old/", "--owner", "alice")
    steps.take_in()
    assert AudioFile.objects.count() == 2


def test_objects_that_wait_are_not_recorded_twice(alice, archive):
    for _ in range(2):
        run(f"s3://{archive.name}/old/", "--owner", "alice")
    assert IntakeObject.objects.count() == 2


def test_moved_objects_leave_the_other_bucket(alice, archive):
    run(f"s3://{archive.name}/old/", "--owner", "alice", "--move")
    steps.take_in()
    assert list(archive.keys("")) == ["else/c.mp3"]


def test_refused_objects_are_tried_again(alice, archive, settings):
    settings.QUOTA_FILES = 1
    run(f"s3://{archive.name}/old/", "--owner", "alice")
    steps.take_in()
    settings.QUOTA_FILES = 0
    assert "1 already here, 1 recorded." in run(f"s3://{archive.name}/old/", "--owner", "alice")
    steps.take_in()
    assert AudioFile.objects.count() == 2


def test_a_dry_run_of_a_bucket_records_nothing(alice, archive):
    output = run(f"s3://{archive.name}/old/", "--owner", "alice", "--dry-run")
    assert "2 recorded. Nothing was changed." in output
    assert not IntakeObject.objects.exists()


def test_our_own_intake_needs_no_owner(alice, kind_of_bucket, settings):
    media = buckets.bucket(settings.MEDIA_BUCKET)
    file = make_file()
    file.mp3_file.storage.save("intake/alice/song.mp3", ContentFile(b"sound"))
    run(f"s3://{media.name}/media/intake/")
    steps.take_in()
    assert AudioFile.objects.get(owner=alice).file_name == "song.mp3"
    assert list(media.keys("media/intake/")) == []


def test_what_we_have_made_ourselves_is_never_imported(alice, kind_of_bucket, settings):
    file = make_file()
    assert "There is nothing to import." in run(
        f"s3://{settings.MEDIA_BUCKET}/", "--owner", "alice"
    )
    assert list(AudioFile.objects.all()) == [file]
