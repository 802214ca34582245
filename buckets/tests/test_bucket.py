"""What every kind of bucket promises, tried on each kind."""

import threading
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from hypothesis import HealthCheck, example, given, strategies
from hypothesis import settings as hypothesis_settings

import buckets
from buckets import BucketMissing, KeyRefused, ObjectExists, ObjectMissing
from buckets.tests.s3_server import make_bucket
from tests.at_once import at_once

pytest_plugins = ["buckets.tests.s3_server", "buckets.tests.azure_server"]


@pytest.fixture
def bucket(kind_of_bucket, settings):
    return buckets.bucket(settings.MEDIA_BUCKET)


@pytest.fixture
def store(bucket, tmp_path):
    """Put these bytes under this key."""
    numbers = iter(range(10**6))

    def store(key, data=b"sound"):
        path = tmp_path / f"file-{next(numbers)}"
        path.write_bytes(data)
        bucket.put(key, path, content_type="audio/mpeg")
        path.unlink()

    return store


def read(bucket, key):
    with bucket.open(key) as file:
        return file.read()


def test_what_was_put_comes_back(bucket, store, tmp_path):
    store("media/uploads/1/song.mp3", b"abc" * 1000)

    info = bucket.stat("media/uploads/1/song.mp3")
    bucket.fetch("media/uploads/1/song.mp3", tmp_path / "fetched")

    assert info.size_bytes == 3000
    assert info.content_type == "audio/mpeg"
    assert abs(datetime.now(UTC) - info.modified_at) < timedelta(minutes=1)
    assert read(bucket, "media/uploads/1/song.mp3") == b"abc" * 1000
    assert (tmp_path / "fetched").read_bytes() == b"abc" * 1000


def test_an_empty_object_is_an_object(bucket, store, tmp_path):
    store("empty.wav", b"")
    bucket.fetch("empty.wav", tmp_path / "fetched")
    assert bucket.stat("empty.wav").size_bytes == 0
    assert read(bucket, "empty.wav") == b""
    assert (tmp_path / "fetched").read_bytes() == b""


def test_s6_a_missing_object_is_said_to_be_missing(bucket, store, tmp_path):
    store("another.mp3")
    assert bucket.stat("song.mp3") is None
    with pytest.raises(ObjectMissing):
        bucket.open("song.mp3")
    with pytest.raises(ObjectMissing):
        bucket.fetch("song.mp3", tmp_path / "fetched")
    assert not (tmp_path / "fetched").exists()


def test_a_missing_bucket_is_no_missing_object(kind_of_bucket, tmp_path):
    nowhere = buckets.bucket("no-such-bucket")
    assert nowhere.stat("song.mp3") is None
    for call in (
        lambda: nowhere.open("song.mp3"),
        lambda: nowhere.fetch("song.mp3", tmp_path / "fetched"),
        lambda: list(nowhere.keys("")),
        lambda: nowhere.delete_prefix("media/"),
    ):
        with pytest.raises(BucketMissing):
            call()


def test_s7_an_object_is_never_written_over(bucket, store):
    store("song.wav", b"first")
    with pytest.raises(ObjectExists):
        store("song.wav", b"second")
    assert read(bucket, "song.wav") == b"first"


def test_s7_of_many_who_put_the_same_key_at_once_one_wins(bucket, tmp_path):
    paths = [tmp_path / str(number) for number in range(6)]
    for path in paths:
        path.write_text(path.name)

    def put(path):
        try:
            bucket.put("song.wav", path, content_type="audio/wav")
        except ObjectExists:
            return None
        return path.read_bytes()

    won = at_once(*(partial(put, path) for path in paths))
    assert [content for content in won if content] == [read(bucket, "song.wav")]


def test_fetch_writes_over_no_local_file(bucket, store, tmp_path):
    store("song.wav")
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(FileExistsError):
        bucket.fetch("song.wav", tmp_path / "mine")
    assert (tmp_path / "mine").read_text() == "mine"


def test_put_of_a_file_that_is_not_there_is_a_local_error(bucket, tmp_path):
    with pytest.raises(FileNotFoundError):
        bucket.put("song.wav", tmp_path / "nothing", content_type="audio/wav")
    assert bucket.stat("song.wav") is None


def test_moved_bytes_are_reported_in_the_callers_thread(bucket, tmp_path):
    data = bytes(3 * 1024**2 + 7)
    (tmp_path / "file").write_bytes(data)
    put, fetched, threads = [], [], set()

    def report(to):
        return lambda count: (to.append(count), threads.add(threading.get_ident()))

    bucket.put("a.wav", tmp_path / "file", content_type="audio/wav", moved=report(put))
    bucket.fetch("a.wav", tmp_path / "fetched", moved=report(fetched))

    assert sum(put) == sum(fetched) == len(data)
    assert threads == {threading.get_ident()}


def test_deleting_twice_is_fine(bucket, store):
    store("a/song.wav")
    store("a/other.wav")
    bucket.delete("a/song.wav")
    bucket.delete("a/song.wav")
    bucket.delete("never/was")
    assert list(bucket.keys("")) == ["a/other.wav"]


def test_a_deleted_key_is_free_again(bucket, store):
    store("a/b/song.wav", b"first")
    bucket.delete("a/b/song.wav")
    store("a/b/song.wav", b"second")
    assert read(bucket, "a/b/song.wav") == b"second"


def test_keys_are_found_by_the_beginning_of_their_text(bucket, store):
    keys = {"m/a/1", "m/a/2.mp3", "m/ab/1", "m/a", "n/a"}
    for key in keys:
        store(key)
    for prefix in ("", "m", "m/", "m/a", "m/a/", "m/a/2", "m/ab/", "x", "m/a/1/", "/"):
        assert sorted(bucket.keys(prefix)) == sorted(k for k in keys if k.startswith(prefix))


def test_a_prefix_is_deleted_and_nothing_else(bucket, store):
    for key in ("m/1/a", "m/1/b/c", "m/1/ü +%2F", "m/12/a", "m/2"):
        store(key)
    assert bucket.delete_prefix("m/1/") == 3
    assert bucket.delete_prefix("m/1/") == 0
    assert sorted(bucket.keys("")) == ["m/12/a", "m/2"]


def test_the_empty_prefix_deletes_nothing(bucket, store):
    store("song.wav")
    with pytest.raises(ValueError, match="whole bucket"):
        bucket.delete_prefix("")
    assert bucket.stat("song.wav")


def test_an_object_can_be_called_like_the_folder_of_another(bucket, store):
    keys = ["a", "a/b", "a/b/c.mp3", "a/b/c.mp3/d", "a/b/c.mp3/source", "a/b/c.mp3/source/x"]
    for key in keys:
        store(key, key.encode())
    assert sorted(bucket.keys("")) == keys
    assert [read(bucket, key) for key in keys] == [key.encode() for key in keys]
    bucket.delete("a/b")
    assert sorted(bucket.keys("a/b")) == keys[2:]


LONGEST = "ü" * 512


@pytest.mark.parametrize("key", ["", LONGEST + "x", "\ud800"])
def test_d12_a_key_that_no_bucket_can_hold_is_refused_and_never_found(bucket, store, tmp_path, key):
    with pytest.raises(KeyRefused):
        store(key)
    assert bucket.stat(key) is None
    bucket.delete(key)
    with pytest.raises(ObjectMissing):
        bucket.open(key)
    with pytest.raises(ObjectMissing):
        bucket.fetch(key, tmp_path / "fetched")


# The same letters again and again meet each other; anything else meets the encoding.
_segments = strategies.one_of(
    strategies.sampled_from(
        ["", ".", "..", "a", "A", "a.mp3", "source", "%2E", " ", "%tmp", "a%="]
    ),
    strategies.text(max_size=40),
    strategies.text(alphabet="ab./%+=-\\ü", min_size=150, max_size=330),
)
_keys = (
    strategies.lists(_segments, min_size=1, max_size=5)
    .map("/".join)
    .filter(lambda key: 0 < len(key.encode("utf-8", "ignore")) <= 1024)
    .filter(lambda key: not any("\ud800" <= letter <= "\udfff" for letter in key))
)


def check_keys(bucket, store, keys):
    for key in keys:
        store(key, key.encode())
    try:
        assert sorted(bucket.keys("")) == sorted(keys)
        for key in keys:
            assert read(bucket, key) == key.encode()
            assert bucket.stat(key).size_bytes == len(key.encode())
    finally:
        for key in keys:
            bucket.delete(key)
    assert list(bucket.keys("")) == []


@hypothesis_settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(keys=strategies.sets(_keys, min_size=1, max_size=4))
@example(keys={"/" * 200, "line\r\nbreak.mp3", "nul\0.mp3"})
@example(keys={LONGEST, "a" * 1024, "." * 1024, "x" * 200 + "..", "x" * 200 + "/.."})
def test_u10_any_text_is_a_key_in_a_folder(tmp_path_factory, keys):
    folder = tmp_path_factory.mktemp("keys")
    bucket = buckets.FolderBucket("local", folder / "bucket")

    def store(key, data):
        (folder / "file").write_bytes(data)
        bucket.put(key, folder / "file", content_type="audio/mpeg")
        (folder / "file").unlink()

    check_keys(bucket, store, keys)
    assert [path.name for path in folder.iterdir()] == ["bucket"]


@pytest.mark.parametrize(
    "key",
    [
        LONGEST,
        "a" * 1024,
        "../../etc/x.mp3",
        "a/./b/../c",
        "/abs.mp3",
        "a//b/",
        "%2e%2e%2fx.mp3",
        "..\\..\\x.mp3",
        "http://h/x.mp3?a=b#c",
        "name with spaces + plus & \"quotes\" 'too'.mp3",
        "Mu\u0308ller und M\u00fcller.mp3",
        "\u202egnp.mp3",
        "-y.mp3",
        "$(id).mp3",
        "😀/😀.wav",
    ],
)
def test_u10_a_hostile_name_is_a_key_like_any_other(bucket, store, tmp_path, key):
    before = sorted(path.name for path in tmp_path.iterdir())
    check_keys(bucket, store, {key})
    after = sorted(path.name for path in tmp_path.iterdir())
    assert set(after) - set(before) <= {"buckets"}


def test_a_bucket_that_works_passes_its_check(bucket, store):
    bucket.check()
    store("song.wav")
    bucket.check()
    assert list(bucket.keys("")) == ["song.wav"]


def test_there_is_nothing_to_sweep_after_good_puts(bucket, store):
    store("song.wav")
    assert bucket.sweep() == 0
    assert bucket.stat("song.wav")


def test_a_head_is_the_first_bytes_and_no_more(bucket, store):
    store("long.wav", b"0123456789")
    store("none.wav", b"")
    assert bucket.head("long.wav", 4) == b"0123"
    assert bucket.head("long.wav", 40) == b"0123456789"
    assert bucket.head("none.wav", 4) == b""
    with pytest.raises(ObjectMissing):
        bucket.head("gone.wav", 4)


# --- Copies -----------------------------------------------------------------------------------


def test_a_copy_is_the_same_bytes_and_the_object_stays(bucket, store):
    store("media/intake/alice/Lied 100%+ü.mp3", b"abc" * 1000)
    moved = []
    bucket.copy("media/intake/alice/Lied 100%+ü.mp3", "media/uploads/1/source", moved=moved.append)
    assert read(bucket, "media/uploads/1/source") == b"abc" * 1000
    assert read(bucket, "media/intake/alice/Lied 100%+ü.mp3") == b"abc" * 1000
    assert sum(moved) == 3000


def test_a_copy_is_never_written_over_something(bucket, store):
    store("a.wav", b"new")
    store("b.wav", b"old")
    with pytest.raises(ObjectExists):
        bucket.copy("a.wav", "b.wav")
    assert read(bucket, "b.wav") == b"old"


def test_a_copy_of_nothing_or_of_another_object_is_missing(bucket, store):
    with pytest.raises(ObjectMissing):
        bucket.copy("a.wav", "b.wav")
    store("a.wav", b"first")
    etag = bucket.stat("a.wav").etag
    bucket.delete("a.wav")
    store("a.wav", b"second")
    with pytest.raises(ObjectMissing):
        bucket.copy("a.wav", "b.wav", etag=etag)
    assert list(bucket.keys("b")) == []
    bucket.copy("a.wav", "b.wav", etag=bucket.stat("a.wav").etag)
    assert read(bucket, "b.wav") == b"second"


def test_a_copy_can_come_from_another_bucket(bucket, store, kind_of_bucket, tmp_path):
    other = buckets.bucket(f"{bucket.name}-target")
    make_bucket(kind_of_bucket, other)
    store("a.wav", b"sound")
    other.copy("a.wav", "b.wav", source=bucket)
    assert read(other, "b.wav") == b"sound"


def test_d12_a_copy_to_a_key_that_no_bucket_can_hold_is_refused(bucket, store):
    store("a.wav")
    for key in ("", "x" * 1025):
        with pytest.raises(KeyRefused):
            bucket.copy("a.wav", key)
        with pytest.raises(ObjectMissing):
            bucket.copy(key, "b.wav")


def test_a_delete_of_another_object_removes_nothing(bucket, store):
    store("a.wav", b"first")
    etag = bucket.stat("a.wav").etag
    bucket.delete("a.wav", etag="another")
    assert read(bucket, "a.wav") == b"first"
    bucket.delete("a.wav", etag=etag)
    assert bucket.stat("a.wav") is None
    bucket.delete("a.wav", etag=etag)


def test_a_list_tells_size_time_and_etag(bucket, store):
    store("in/a.wav", b"123")
    store("out/b.wav", b"1")
    [(key, entry)] = bucket.entries("in/")
    info = bucket.stat(key)
    assert (key, entry.size_bytes, entry.etag) == ("in/a.wav", 3, info.etag)
    assert abs(entry.modified_at - info.modified_at) < timedelta(seconds=2)
    assert entry.etag


def test_objects_that_came_through_us_need_no_adopting(bucket, store):
    keys = {"in/alice/Lied ü.mp3", "in/alice/README", "in/a.b/source", "in/alice/100%.wav"}
    for key in keys:
        store(key)
    assert bucket.adopt("in/") == 0
    assert set(bucket.keys("in/")) == keys
