"""What only a bucket on this machine's own disk has to stand."""

import errno
import os
import resource
import socket
import time
from functools import partial
from pathlib import Path

import pytest

from buckets import (
    BucketDenied,
    BucketMissing,
    BucketUnavailable,
    FolderBucket,
    Kept,
    ObjectExists,
    ObjectMissing,
    folder,
)
from tests.at_once import at_once


@pytest.fixture
def bucket(tmp_path):
    return FolderBucket("local", tmp_path / "bucket")


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source file"
    path.write_bytes(b"sound" * 1000)
    return path


@pytest.fixture
def two_file_systems(monkeypatch):
    """Let a link from outside the bucket, or out of it, fail as between two disks."""
    link = os.link

    def refuse(source, target, **where):
        if "%tmp" not in str(source):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        link(source, target, **where)

    monkeypatch.setattr(folder.os, "link", refuse)


def put(bucket, key, path, **more):
    bucket.put(key, path, content_type="audio/mpeg", **more)


def files(root):
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir())


def test_put_and_fetch_copy_no_byte_on_one_file_system(bucket, source, tmp_path):
    put(bucket, "a/song.mp3", source)
    bucket.fetch("a/song.mp3", tmp_path / "fetched")
    stored = tmp_path / "bucket/a/song.mp3"
    assert stored.samefile(source)
    assert stored.samefile(tmp_path / "fetched")
    assert stored.stat().st_mode & 0o777 == 0o440


def test_a_folder_knows_nothing_of_grants_and_keeps_the_object_private(bucket, source, tmp_path):
    everybody = 'uri="http://acs.amazonaws.com/groups/global/AllUsers"'
    kept = Kept("REDUCED_REDUNDANCY", "aws:kms", "a key", (("GrantRead", everybody),))
    put(bucket, "a/song.mp3", source, kept=kept)
    with bucket.open("a/song.mp3") as stored:
        assert stored.read() == b"sound" * 1000
    assert (tmp_path / "bucket/a/song.mp3").stat().st_mode & 0o007 == 0


def test_whoever_fetched_a_file_laid_in_by_hand_cannot_change_it(bucket, tmp_path):
    (tmp_path / "bucket").mkdir()
    laid_in = tmp_path / "bucket/By hand (1).mp3"
    laid_in.write_bytes(b"writable")
    bucket.fetch("By hand (1).mp3", tmp_path / "fetched")
    assert not laid_in.samefile(tmp_path / "fetched")
    assert (tmp_path / "fetched").read_bytes() == b"writable"


def test_a_file_given_by_a_link_is_stored_itself(bucket, source, tmp_path):
    (tmp_path / "link").symlink_to(source)
    put(bucket, "song.mp3", tmp_path / "link")
    with bucket.open("song.mp3") as stored:
        assert stored.read() == source.read_bytes()


def test_between_two_file_systems_bytes_are_copied(bucket, source, tmp_path, two_file_systems):
    moved = []
    put(bucket, "a/song.mp3", source, moved=moved.append)
    bucket.fetch("a/song.mp3", tmp_path / "fetched", moved=moved.append)
    assert (tmp_path / "fetched").read_bytes() == source.read_bytes()
    assert sum(moved) == 2 * 5000
    assert source.stat().st_nlink == 1
    assert files(tmp_path / "bucket") == ["a/song.mp3"]
    assert (tmp_path / "bucket/a/song.mp3").stat().st_mode & 0o777 == 0o440
    with pytest.raises(ObjectExists):
        put(bucket, "a/song.mp3", source)


def test_a_copy_that_is_stopped_leaves_nothing(bucket, source, tmp_path, two_file_systems):
    def stop(count):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        put(bucket, "a/song.mp3", source, moved=stop)
    assert files(tmp_path / "bucket") == []
    assert not (tmp_path / "bucket/a").exists()

    put(bucket, "a/song.mp3", source)
    with pytest.raises(KeyboardInterrupt):
        bucket.fetch("a/song.mp3", tmp_path / "fetched", moved=stop)
    assert not (tmp_path / "fetched").exists()


def test_s13_a_full_disk_is_an_unavailable_bucket_with_nothing_half_written(
    bucket, source, tmp_path, two_file_systems
):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(BucketUnavailable):
            put(bucket, "a/song.mp3", source)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert files(tmp_path / "bucket") == []
    assert not (tmp_path / "bucket/a").exists()


def test_s13_a_full_local_disk_is_a_local_error_and_leaves_nothing(
    bucket, source, tmp_path, two_file_systems
):
    put(bucket, "a/song.mp3", source)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            bucket.fetch("a/song.mp3", tmp_path / "fetched")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not (tmp_path / "fetched").exists()


@pytest.fixture
def lay_in(tmp_path):
    """Make something that is no regular file in the place of an object."""
    secret = tmp_path / "secret.mp3"
    secret.write_text("secret")
    place = tmp_path / "bucket/a.mp3"
    place.parent.mkdir()
    sockets = []

    def lay_in(what):
        if what == "link":
            place.symlink_to(secret)
        elif what == "broken link":
            place.symlink_to(tmp_path / "nothing")
        elif what == "device":
            place.symlink_to("/dev/zero")
        elif what == "pipe":
            os.mkfifo(place)
        elif what == "socket":
            sockets.append(socket.socket(socket.AF_UNIX))
            here = os.getcwd()  # noqa: PTH109 - the address of a socket is short
            os.chdir(place.parent)
            sockets[0].bind(place.name)
            os.chdir(here)
        elif what == "folder":
            place.mkdir()

    yield lay_in
    for opened in sockets:
        opened.close()


@pytest.mark.parametrize("what", ["link", "broken link", "device", "pipe", "socket", "folder"])
def test_s14_what_is_no_regular_file_is_no_object(bucket, lay_in, source, tmp_path, what):
    lay_in(what)
    assert bucket.stat("a.mp3") is None
    with pytest.raises(ObjectMissing):
        bucket.open("a.mp3")
    with pytest.raises(ObjectMissing):
        bucket.fetch("a.mp3", tmp_path / "fetched")
    assert list(bucket.keys("")) == []
    with pytest.raises(ObjectExists):
        put(bucket, "a.mp3", source)
    bucket.delete("a.mp3")
    assert os.path.lexists(tmp_path / "bucket/a.mp3")
    assert (tmp_path / "secret.mp3").read_text() == "secret"


def test_s14_a_device_file_is_no_object(monkeypatch, tmp_path):
    # Only root makes device files; /dev has them for everybody, but under no key's name.
    monkeypatch.setattr(folder.names, "path", lambda key: [key])
    devices = FolderBucket("devices", Path("/dev"))
    assert devices.stat("zero") is None
    with pytest.raises(ObjectMissing):
        devices.open("zero")
    with pytest.raises(ObjectMissing):
        devices.fetch("zero", tmp_path / "fetched")


def test_s14_a_linked_folder_is_not_entered(bucket, source, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "song.mp3").write_text("secret")
    (tmp_path / "bucket").mkdir()
    (tmp_path / "bucket/way").symlink_to(outside)

    assert bucket.stat("way/song.mp3") is None
    with pytest.raises(ObjectMissing):
        bucket.open("way/song.mp3")
    assert list(bucket.keys("")) == list(bucket.keys("way/")) == []
    with pytest.raises(BucketDenied):
        put(bucket, "way/new.mp3", source)
    assert bucket.delete_prefix("way/") == 0
    bucket.delete("way/song.mp3")
    assert files(outside) == ["song.mp3"]


def test_s14_a_link_that_comes_between_looking_and_opening_is_not_followed(
    bucket, lay_in, tmp_path, monkeypatch
):
    lay_in("link")
    looked_like_a_file = (tmp_path / "secret.mp3").stat()
    monkeypatch.setattr(folder.os, "stat", lambda *_, **__: looked_like_a_file)
    with pytest.raises(ObjectMissing):
        bucket.open("a.mp3")


def test_the_bucket_itself_may_live_on_another_disk(bucket, source, tmp_path):
    (tmp_path / "disk").mkdir()
    bucket.root.symlink_to(tmp_path / "disk")
    put(bucket, "song.mp3", source)
    assert files(tmp_path / "disk") == ["song.mp3"]


def test_a_file_in_the_place_of_the_bucket_is_no_bucket(bucket, source):
    bucket.root.write_text("not a folder")
    for call in (bucket.check, lambda: bucket.open("a"), lambda: put(bucket, "song.mp3", source)):
        with pytest.raises(BucketMissing):
            call()


def test_s5_a_bucket_that_cannot_be_written_fails_its_check(bucket, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "no")

    monkeypatch.setattr(folder.tempfile, "mkstemp", refuse)
    with pytest.raises(BucketDenied):
        bucket.check()


def test_deleting_leaves_no_empty_folders(bucket, source, tmp_path):
    put(bucket, "a/b/c/song.mp3", source)
    put(bucket, "a/other.mp3", source)
    bucket.delete("a/b/c/song.mp3")
    assert [path.name for path in (tmp_path / "bucket/a").iterdir()] == ["other.mp3"]
    bucket.delete("a/other.mp3")
    assert list((tmp_path / "bucket").iterdir()) == []


def test_puts_and_deletes_next_to_each_other_do_not_disturb(bucket, tmp_path):
    def work(number):
        path = tmp_path / f"mine-{number}"
        path.write_bytes(b"%d" % number)
        for _ in range(60):
            put(bucket, f"a/b/{number}.mp3", path)
            bucket.delete(f"a/b/{number}.mp3")
        put(bucket, f"a/b/{number}.mp3", path)

    at_once(*(partial(work, number) for number in range(4)))
    assert sorted(bucket.keys("")) == [f"a/b/{number}.mp3" for number in range(4)]


def test_s8_what_a_dead_put_left_aside_is_swept_after_a_day(bucket, source, tmp_path):
    bucket.check()
    aside = tmp_path / "bucket/%tmp"
    (aside / "old").write_text("half")
    (aside / "new").write_text("half")
    os.utime(aside / "old", (time.time() - 25 * 3600,) * 2)
    assert list(bucket.keys("")) == []
    assert bucket.sweep() == 1
    assert files(aside) == ["new"]


def test_waiting_for_a_slow_disk_counts_as_movement(bucket, source, monkeypatch):
    pauses = iter([1.2])
    monkeypatch.setattr(folder.os, "fsync", lambda _: time.sleep(next(pauses, 0)))
    moved = []
    put(bucket, "song.mp3", source, moved=moved.append)
    assert moved == [0, 5000]


def test_the_folder_of_a_bucket_never_lies_outside(settings, tmp_path):
    import buckets

    settings.BUCKETS_DIR = tmp_path
    for name in ("..", ".", "/etc", "a/../../b", ""):
        assert buckets.bucket(name).root.parent == tmp_path
        assert buckets.bucket(name).root.name not in ("", ".", "..")


# --- Laid in by hand, and copied --------------------------------------------------------------


def lay(bucket, path: str, data: bytes = b"sound") -> Path:
    """Write a file as a person does, past the bucket."""
    file = bucket.root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return file


@pytest.mark.parametrize(
    "path",
    [
        "in/alice/Lied ü.mp3",
        "in/alice/100% sure.wav",
        "in/alice/%41.wav",
        "in/alice/README",
        "in/alice.b/song.wav",
        "in/alice.b/Lied ü.mp3",
        f"in/alice/{'l' * 240}.wav",
        "in/alice/source",
        "in/alice/song.wav",
    ],
)
def test_a_file_laid_in_by_hand_is_an_object_once_adopted(bucket, path):
    lay(bucket, path, b"by hand")
    bucket.adopt("in/")
    assert list(bucket.keys("")) == [path]
    with bucket.open(path) as file:
        assert file.read() == b"by hand"
    assert bucket.adopt("in/") == 0


def test_hidden_files_and_what_lies_elsewhere_are_not_adopted(bucket):
    hidden = lay(bucket, "in/alice/.song ü.wav.part")
    elsewhere = lay(bucket, "out/Lied ü.mp3")
    assert bucket.adopt("in/") == 0
    assert hidden.exists() and elsewhere.exists()


def test_a_file_whose_key_is_taken_is_left_alone(bucket):
    lay(bucket, "in/Lied %C3%BC.mp3", b"first")
    second = lay(bucket, "in/Lied ü.mp3", b"second")
    assert bucket.adopt("in/") == 0
    assert second.read_bytes() == b"second"


def test_a_copy_of_our_own_file_moves_no_byte(bucket):
    laid = lay(bucket, "in/alice/song.wav")
    bucket.copy("in/alice/song.wav", "media/uploads/1/source")
    assert laid.stat().st_nlink == 2
    assert laid.stat().st_mode & 0o222 == 0


def test_what_may_be_another_file_by_now_has_another_etag(bucket):
    laid = lay(bucket, "in/song.wav", b"12345")
    before = bucket.stat("in/song.wav").etag
    laid.write_bytes(b"123456")
    grown = bucket.stat("in/song.wav").etag
    bucket.copy("in/song.wav", "b.wav")
    assert bucket.stat("in/song.wav").etag == grown != before


def test_s14_a_link_is_not_copied(bucket, tmp_path):
    (tmp_path / "secret").write_bytes(b"secret")
    (bucket.root / "in").mkdir(parents=True)
    (bucket.root / "in" / "song.wav").symlink_to(tmp_path / "secret")
    bucket.adopt("in/")
    with pytest.raises(ObjectMissing):
        bucket.copy("in/song.wav", "b.wav")
