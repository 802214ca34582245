"""Files that come into the bucket without a browser."""

from __future__ import annotations

import uuid
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from django.contrib.auth import get_user_model
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

import buckets
from audio_transcoder import removal, steps
from audio_transcoder.models import AudioFile, Deletion, IntakeObject, ReceivedNotice
from audio_transcoder.tests.factories import make_person
from audio_transcoder.uploads import intake
from buckets import BucketUnavailable
from buckets.s3 import ATTEMPTS
from tests.faulty_proxy import slow_down
from tests.s3_events import TEST_EVENT, event_of, record_of
from transcode_messages.models import Message

pytest_plugins = ["buckets.tests.s3_server", "buckets.tests.azure_server"]
pytestmark = pytest.mark.django_db

State = IntakeObject.State


@pytest.fixture(autouse=True)
def no_look_yet(monkeypatch) -> None:
    """The step looks at the intake by a clock of the process; each test says when."""
    monkeypatch.setattr(intake, "_next_look", timezone.now() + timedelta(days=1))


@pytest.fixture
def alice(db):
    return make_person("alice")


@pytest.fixture
def media(kind_of_bucket, settings):
    return buckets.bucket(settings.MEDIA_BUCKET)


@pytest.fixture
def drop(media, tmp_path):
    """Put bytes into the bucket as somebody outside does; return the event that tells of them."""

    def drop(key: str, data: bytes = b"RIFF sound", **metadata: str) -> dict:
        media.delete(key)
        if hasattr(media, "s3"):
            outside = media.s3
            outside.put_object(Bucket=media.name, Key=key, Body=data, Metadata=metadata)
        else:
            path = tmp_path / uuid.uuid4().hex
            path.write_bytes(data)
            media.put(key, path, content_type="audio/wav")
            path.unlink()
        info = media.stat(key)
        return event_of(key, bucket=media.name, size=info.size_bytes, etag=info.etag)

    return drop


def told(event: dict) -> None:
    """Have the step know of an event, as the webhook does."""
    intake.record(intake.parse_notice(event))


def keys_of(media, prefix: str) -> list[str]:
    return sorted(media.keys(prefix))


# --- The webhook --------------------------------------------------------------------------------


def test_s12_a_notice_of_s3_is_a_row_with_the_key_decoded_once(deliver, settings):
    event = event_of("media/intake/alice/100%25 more+ü.wav", bucket=settings.MEDIA_BUCKET)
    assert deliver(event).status_code == 200
    [row] = IntakeObject.objects.all()
    assert row.key == "media/intake/alice/100%25 more+ü.wav"
    assert row.owner_name == "alice"
    assert (row.state, row.size_bytes) == (State.WAITING, 48_211_034)
    assert ReceivedNotice.objects.get().outcome == "recorded: new objects"


def test_n17_the_same_event_twice_is_one_row(deliver, settings):
    event = event_of("media/intake/alice/song.wav", bucket=settings.MEDIA_BUCKET)
    for _ in range(2):  # with a MessageId of its own, as Lambda's repeat has
        assert deliver(event).status_code == 200
    assert IntakeObject.objects.count() == 1
    assert ReceivedNotice.objects.count() == 2


def test_a_notice_of_many_records_is_as_many_rows(deliver, settings):
    names = [f"media/intake/alice/{'ü' * 80}{number}.wav" for number in range(150)]
    assert deliver(event_of(*names, bucket=settings.MEDIA_BUCKET)).status_code == 200
    assert IntakeObject.objects.count() == 150


def test_no_store_is_called_while_the_webhook_answers(deliver, settings):
    settings.AWS_STORAGE_BUCKET_NAME = settings.MEDIA_BUCKET = "no-such-bucket"
    settings.AWS_S3_ENDPOINT_URL = "http://127.0.0.1:1"
    event = event_of("media/intake/alice/song.wav", bucket="no-such-bucket")
    assert deliver(event).status_code == 200
    assert IntakeObject.objects.count() == 1


def test_n22_records_that_are_not_for_us_are_left_out(deliver, settings, caplog):
    name = settings.MEDIA_BUCKET
    ours = record_of("media/intake/alice/song.wav", bucket=name)
    others = [
        record_of("media/intake/alice/a.wav", bucket="somebody-elses"),
        record_of("media/uploads/1/source", bucket=name),
        record_of("media/0b6f4f8e-6d3c-4b0e-9a55-0d8f3a0a7f10", bucket=name, eventVersion="2.0"),
        record_of("media/intake/alice/", bucket=name, size=0),
        record_of("media/intake/alice/nul\0.wav", bucket=name),
        record_of("media/intake/" + "x" * 2000, bucket=name),
        record_of("media/intake/alice/" + "\N{MUSICAL SYMBOL G CLEF}" * 300, bucket=name),
        record_of("media/intake/alice/b.wav", bucket=name, eventVersion="3.0"),
        record_of("media/intake/alice/c.wav", bucket=name, eventName="ObjectRemoved:Delete"),
        record_of("media/intake/alice/d.wav", bucket=name, size="5"),
        record_of("media/intake/alice/e.wav", bucket=name, size=2**70),
        record_of("media/intake/alice/f.wav", bucket=name, size=True),
        {"eventVersion": 2, "s3": {}},
        {"s3": {"object": {"key": "%FF"}, "bucket": {"name": name}}},
        None,
        7,
    ]
    assert deliver({"Records": [*others, ours]}).status_code == 200
    assert [row.key for row in IntakeObject.objects.all()] == ["media/intake/alice/song.wav"]


@pytest.mark.parametrize(
    "document",
    [TEST_EVENT, {"Records": [{"s3": None}]}, event_of("media/intake/a/b.wav", bucket="other")],
)
def test_n22_a_notice_with_nothing_for_us_is_recorded_with_one_warning(deliver, document, caplog):
    assert deliver(document).status_code == 200
    assert ReceivedNotice.objects.get().outcome == "ignored: no object for us"
    assert len([entry for entry in caplog.records if entry.levelname == "WARNING"]) == 1
    assert not IntakeObject.objects.exists()


@pytest.mark.parametrize("document", [{"Records": []}, {"Records": [1]}, {"Records": {}}, [], 1])
def test_n22_what_only_resembles_an_event_is_of_no_kind_we_know(deliver, document):
    assert deliver(document).status_code == 200
    assert ReceivedNotice.objects.get().outcome == "ignored: unknown kind"


@pytest.mark.parametrize("member", ["key", "eTag", "versionId", "sequencer"])
def test_n22_half_a_character_in_an_event_breaks_nothing(deliver, settings, member):
    event = event_of("media/intake/alice/song.wav", bucket=settings.MEDIA_BUCKET)
    event["Records"][0]["s3"]["object"][member] = "media/intake/alice/\ud83d"
    assert deliver(event).status_code == 200
    assert getattr(IntakeObject.objects.get(), member.removesuffix("Id").lower()).endswith("?")


def test_n14_an_event_from_a_topic_that_is_not_listed_is_refused(deliver, settings):
    event = event_of("media/intake/alice/song.wav", bucket=settings.MEDIA_BUCKET)
    topic = "arn:aws:sns:eu-west-1:111122223333:somebody-elses"
    assert deliver(event, topic=topic).status_code == 403
    assert not IntakeObject.objects.exists()


def test_n29_what_cannot_be_written_now_is_repeated_whole(deliver, settings, monkeypatch):
    def locked(rows):
        raise OperationalError("database is locked")

    event = event_of("media/intake/alice/song.wav", bucket=settings.MEDIA_BUCKET)
    with monkeypatch.context() as patch:
        patch.setattr(intake, "record", locked)
        assert deliver(event, message_id=str(uuid.UUID(int=1))).status_code == 503
    assert not ReceivedNotice.objects.exists()
    assert deliver(event, message_id=str(uuid.UUID(int=1))).status_code == 200
    assert IntakeObject.objects.count() == 1


# --- The step -----------------------------------------------------------------------------------


def test_a_dropped_object_becomes_a_file_of_its_owner_and_leaves_the_intake(alice, media, drop):
    told(drop("media/intake/alice/Lied 100%+ü.wav", b"RIFF sound"))
    steps.take_in()
    [file] = AudioFile.objects.all()
    assert (file.owner, file.name, file.file_name) == (alice, "Lied 100%+ü", "Lied 100%+ü.wav")
    assert file.size_bytes == 10
    assert sorted(r.format_name for r in file.renditions.all()) == ["flac", "mp4", "wav"]
    assert media.open(f"media/uploads/{file.code}/source").read() == b"RIFF sound"
    assert keys_of(media, "media/intake/") == []
    [row] = IntakeObject.objects.all()
    assert (row.state, row.audio_file, row.next_step_at) == (State.TAKEN, file.code, None)
    assert not Deletion.objects.exists()


@pytest.mark.parametrize("kind", ["moto", pytest.param("radosgw", marks=pytest.mark.s3)])
def test_a_bucket_with_versions_keeps_nothing_of_what_was_taken(use_s3, settings, alice, kind):
    s3 = use_s3(kind)
    versioned = {"Status": "Enabled"}
    outside = s3.client()
    outside.put_bucket_versioning(Bucket=s3.bucket, VersioningConfiguration=versioned)
    for body in (b"RIFF first", b"RIFF second"):
        outside.put_object(Bucket=s3.bucket, Key="media/intake/alice/a.wav", Body=body)
    intake.look()
    with time_machine.travel(timezone.now() + timedelta(minutes=1), tick=True):
        intake.take_due()
    assert AudioFile.objects.get().size_bytes == len(b"RIFF second")
    left = outside.list_object_versions(Bucket=s3.bucket, Prefix="media/intake/")
    assert not {"Versions", "DeleteMarkers"} & set(left)


def test_folders_below_the_owners_do_not_matter(alice, media, drop):
    told(drop("media/intake/alice/2026/März/song.wav"))
    steps.take_in()
    assert AudioFile.objects.get().file_name == "song.wav"


def test_without_a_folder_the_objects_metadata_name_owner_and_formats(s3, settings, alice):
    media = buckets.bucket(settings.MEDIA_BUCKET)
    media.s3.put_object(
        Bucket=media.name,
        Key="media/intake/song.wav",
        Body=b"sound",
        Metadata={"owner": "alice", "formats": "MP3, flac,nonsense"},
    )
    told(event_of("media/intake/song.wav", bucket=media.name, etag=""))
    steps.take_in()
    file = AudioFile.objects.get(owner=alice)
    assert sorted(r.format_name for r in file.renditions.all()) == ["flac", "mp3"]


@pytest.mark.parametrize(
    "key", ["media/intake/Alice/a.wav", "media/intake/nobody/a.wav", "media/intake/a.wav"]
)
def test_an_object_for_nobody_here_stays_with_one_warning(alice, media, drop, key, caplog):
    told(drop(key))
    for _ in range(2):
        steps.take_in()
    row = IntakeObject.objects.get()
    assert (row.state, row.reason) == (State.REFUSED, "unknown_owner")
    assert keys_of(media, "media/") == [key]
    assert len([entry for entry in caplog.records if entry.levelname == "WARNING"]) == 1
    assert not Message.objects.exists()


def test_an_object_for_somebody_who_may_not_sign_in_any_more_stays(alice, media, drop):
    get_user_model().objects.update(is_active=False)
    told(drop("media/intake/alice/a.wav"))
    steps.take_in()
    assert IntakeObject.objects.get().reason == "unknown_owner"


def test_over_quota_the_object_stays_and_its_owner_is_told_once(alice, media, drop, settings):
    settings.QUOTA_BYTES = 5
    event = drop("media/intake/alice/song.wav")
    told(event)
    steps.take_in()
    event["Records"][0]["s3"]["object"]["sequencer"] = "later"  # the same object, told again
    told(event)
    steps.take_in()
    assert {row.reason for row in IntakeObject.objects.all()} == {"quota"}
    assert keys_of(media, "media/") == ["media/intake/alice/song.wav"]
    [message] = Message.objects.all()
    assert message.user == alice
    assert message.text.startswith("Your file song.wav was not taken from the bucket. Your space")
    assert not Deletion.objects.exists()


def test_d4_a_quota_that_is_used_up_meanwhile_leaves_no_copy(alice, media, drop, monkeypatch):
    from audio_transcoder.quotas import OverQuota
    from audio_transcoder.uploads import arrivals

    def used_up(*_args, **_values):
        raise OverQuota("quota")

    monkeypatch.setattr(arrivals, "take_in", used_up)
    told(drop("media/intake/alice/song.wav"))
    steps.take_in()
    removal.remove_due()
    assert IntakeObject.objects.get().reason == "quota"
    assert keys_of(media, "media/") == ["media/intake/alice/song.wav"]


@pytest.mark.parametrize(("size", "reason"), [(0, "empty"), (11, "too_large")])
def test_u1_u3_what_no_form_would_take_stays_where_it_is(
    alice, media, drop, settings, size, reason
):
    settings.UPLOAD_MAX_BYTES = 10
    told(drop("media/intake/alice/song.wav", b"x" * size))
    steps.take_in()
    assert IntakeObject.objects.get().reason == reason
    assert Message.objects.get().user == alice
    assert keys_of(media, "media/") == ["media/intake/alice/song.wav"]


def test_the_same_object_told_of_twice_is_one_file(alice, media, drop):
    event = drop("media/intake/alice/song.wav")
    told(event)
    event["Records"][0]["s3"]["object"]["sequencer"] = "00FF"
    told(event)
    steps.take_in()
    assert AudioFile.objects.count() == 1
    assert [row.state for row in IntakeObject.objects.all()] == [State.TAKEN] * 2
    assert len({row.audio_file for row in IntakeObject.objects.all()}) == 1


def test_s6_an_object_that_is_gone_is_lost(alice, media, drop):
    event = drop("media/intake/alice/song.wav")
    media.delete("media/intake/alice/song.wav")
    told(event)
    steps.take_in()
    assert IntakeObject.objects.get().reason == "lost"


def test_an_object_written_over_meanwhile_comes_with_its_newer_event(alice, media, drop):
    older = drop("media/intake/alice/song.wav", b"first")
    newer = drop("media/intake/alice/song.wav", b"second")
    told(older)
    steps.take_in()
    assert not AudioFile.objects.exists()
    told(newer)
    steps.take_in()
    assert AudioFile.objects.get().size_bytes == 6


def test_the_same_name_with_other_bytes_later_is_another_file(alice, media, drop):
    for data in (b"first", b"second"):
        told(drop("media/intake/alice/song.wav", data))
        steps.take_in()
    assert sorted(AudioFile.objects.values_list("size_bytes", flat=True)) == [5, 6]
    assert keys_of(media, "media/intake/") == []


def test_an_object_that_came_while_another_was_taken_is_not_removed(
    alice, media, drop, monkeypatch
):
    told(drop("media/intake/alice/song.wav", b"first"))
    monkeypatch.setattr(intake, "_clear", lambda row: None)  # it is killed here
    steps.take_in()
    monkeypatch.undo()
    drop("media/intake/alice/song.wav", b"second")
    monkeypatch.setattr(intake, "_next_look", timezone.now() + timedelta(days=1))
    make_everything_due()
    steps.take_in()
    assert IntakeObject.objects.get().next_step_at is None
    assert media.open("media/intake/alice/song.wav").read() == b"second"


def make_everything_due() -> None:
    """Let whatever waits be due: the clock of a real server does not travel."""
    now = timezone.now()
    IntakeObject.objects.exclude(next_step_at=None).update(next_step_at=now)
    Deletion.objects.update(next_step_at=now)


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize(
    "place", ["bucket copy", "take_in", "row written", "removal from the intake"]
)
def test_s8_a_process_that_dies_anywhere_neither_loses_nor_doubles(
    alice, media, drop, monkeypatch, place
):
    from audio_transcoder.uploads import arrivals

    def dies(*_args, **_values):
        raise Killed

    targets = {
        "bucket copy": (type(media), "copy"),
        "take_in": (arrivals, "take_in"),
        "row written": (IntakeObject, "end"),
        "removal from the intake": (intake, "_clear"),
    }
    told(drop("media/intake/alice/song.wav"))
    with monkeypatch.context() as patch:
        patch.setattr(*targets[place], dies)
        # Not even the note is hurried: a dead process does nothing.
        patch.setattr("audio_transcoder.uploads.remove_now", lambda note: None)
        with pytest.raises(Killed):
            steps.take_in()
    make_everything_due()
    intake.look()
    make_everything_due()
    steps.take_in()
    removal.remove_due()
    file = AudioFile.objects.get()
    assert keys_of(media, "media/") == [f"media/uploads/{file.code}/source"]
    assert {row.state for row in IntakeObject.objects.all()} == {State.TAKEN}


def test_d4_two_workers_with_one_object_make_one_file(alice, media, drop, monkeypatch):
    """Two rows tell of one object; the second worker comes while the first one copies."""
    event = drop("media/intake/alice/song.wav")
    told(event)
    event["Records"][0]["s3"]["object"]["sequencer"] = "00FF"
    told(event)
    copy = type(media).copy

    def copy_beside_another(self, *args, **values):
        monkeypatch.setattr(type(media), "copy", copy)
        copy(self, *args, **values)
        steps.take_in()  # takes the other row from beginning to end

    monkeypatch.setattr(type(media), "copy", copy_beside_another)
    steps.take_in()
    removal.remove_due()
    file = AudioFile.objects.get()
    assert keys_of(media, "media/") == [f"media/uploads/{file.code}/source"]
    assert {row.audio_file for row in IntakeObject.objects.all()} == {file.code}


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE"])
def test_s3_a_store_that_fails_is_asked_again_later(s3, settings, alice, method, caplog):
    media = buckets.bucket(settings.MEDIA_BUCKET)
    media.s3.put_object(Bucket=media.name, Key="media/intake/alice/a.wav", Body=b"sound")
    told(event_of("media/intake/alice/a.wav", bucket=media.name, etag=""))
    s3.proxy.meet(slow_down, method, times=ATTEMPTS)
    steps.take_in()
    assert "not yet" in caplog.text
    make_everything_due()
    steps.take_in()
    removal.remove_due()
    file = AudioFile.objects.get()
    assert keys_of(media, "media/") == [f"media/uploads/{file.code}/source"]


def test_the_step_says_when_it_wants_to_run_again(alice, monkeypatch, settings):
    event = event_of("media/intake/alice/a.wav", bucket=settings.MEDIA_BUCKET)
    told(event)
    monkeypatch.setattr(
        intake, "_bring", lambda row: (_ for _ in ()).throw(BucketUnavailable("no", bucket="b"))
    )
    again = steps.take_in()
    assert timedelta(0) < again - timezone.now() < timedelta(seconds=2)


# --- The look -----------------------------------------------------------------------------------


def look_and_wait() -> None:
    intake.look()
    with time_machine.travel(timezone.now() + intake.SETTLES + timedelta(seconds=1)):
        steps.take_in()


def test_an_object_that_no_event_told_of_is_found(alice, media, drop):
    drop("media/intake/alice/song.wav")
    look_and_wait()
    assert AudioFile.objects.get().owner == alice
    assert keys_of(media, "media/intake/") == []


def test_an_object_that_an_event_told_of_is_not_found_once_more(alice, media, drop):
    told(drop("media/intake/alice/song.wav"))
    intake.look()
    assert IntakeObject.objects.count() == 1


def test_an_object_that_was_seen_and_then_told_of_is_one_file(alice, media, drop):
    event = drop("media/intake/alice/song.wav")
    intake.look()
    event["Records"][0]["s3"]["object"]["eTag"] = None
    told(event)
    with time_machine.travel(timezone.now() + intake.SETTLES * 2):
        steps.take_in()
    assert AudioFile.objects.count() == 1
    assert {row.state for row in IntakeObject.objects.all()} == {State.TAKEN}


def test_a_refused_object_is_found_again_once_its_row_is_gone(alice, media, drop, settings):
    settings.QUOTA_BYTES = 5
    drop("media/intake/alice/song.wav")
    look_and_wait()
    settings.QUOTA_BYTES = 0
    look_and_wait()
    assert not AudioFile.objects.exists()
    IntakeObject.objects.all().delete()
    look_and_wait()
    assert AudioFile.objects.exists()


def test_a_file_laid_into_the_folder_is_taken_when_it_has_stopped_growing(alice, settings):
    folder = settings.BUCKETS_DIR / "local" / "media" / "intake" / "alice"
    folder.mkdir(parents=True)
    laid: Path = folder / "Lied ü.wav"
    laid.write_bytes(b"RIFF so")
    intake.look()
    [grows] = folder.iterdir()
    with grows.open("ab") as file:
        file.write(b"und")
    with time_machine.travel(timezone.now() + intake.SETTLES * 2):
        steps.take_in()
        assert not AudioFile.objects.exists()
    look_and_wait()
    file = AudioFile.objects.get()
    assert (file.file_name, file.size_bytes) == ("Lied ü.wav", 10)
    assert not folder.exists()


def test_the_step_looks_by_itself_now_and_then(alice, media, drop, monkeypatch):
    drop("media/intake/alice/song.wav")
    monkeypatch.setattr(intake, "_next_look", timezone.now())
    steps.take_in()
    assert IntakeObject.objects.count() == 1
    drop("media/intake/alice/other.wav")
    steps.take_in()
    assert IntakeObject.objects.count() == 1


def test_s1_a_store_that_does_not_answer_the_look_stops_nobody(s3, settings, monkeypatch, caplog):
    s3.proxy.meet(slow_down, "GET", times=ATTEMPTS)
    monkeypatch.setattr(intake, "_next_look", timezone.now())
    steps.take_in()
    assert "the intake was not looked at" in caplog.text


def test_a_bucket_that_nothing_was_stored_in_has_no_intake(settings):
    intake.look()
    assert not IntakeObject.objects.exists()


def test_the_look_asks_the_database_a_few_times_for_many_objects(
    alice, media, drop, django_assert_max_num_queries
):
    for number in range(60):
        drop(f"media/intake/alice/{number}.wav")
    with django_assert_max_num_queries(8):
        intake.look()
    assert IntakeObject.objects.count() == 60


# --- Litter and the admin -----------------------------------------------------------------------


def test_rows_go_when_they_are_old_and_done(alice, monkeypatch, settings):
    old = timezone.now() - IntakeObject.KEPT_FOR - timedelta(days=1)
    values = {"bucket": "local", "size_bytes": 1, "received_at": old}
    IntakeObject.objects.create(key="a", state=State.TAKEN, next_step_at=None, **values)
    IntakeObject.objects.create(key="b", state=State.REFUSED, next_step_at=None, **values)
    IntakeObject.objects.create(key="waits", **values)
    IntakeObject.objects.create(key="new", bucket="local", size_bytes=1, next_step_at=None)
    monkeypatch.setattr(steps, "_next_sweep", timezone.now())
    steps.sweep()
    assert sorted(IntakeObject.objects.values_list("key", flat=True)) == ["new", "waits"]


def test_operators_see_what_was_refused_and_why(admin_client: Client):
    row = IntakeObject.objects.create(
        bucket="local",
        key="media/intake/nobody/song.wav",
        size_bytes=5,
        state=State.REFUSED,
        reason="unknown_owner",
        next_step_at=None,
    )
    address = "/admin/audio_transcoder/intakeobject/"
    page = admin_client.get(address, {"state__exact": "refused"}).content.decode()
    assert "media/intake/nobody/song.wav" in page
    assert "unknown_owner" in page
    assert admin_client.get(f"{address}add/").status_code == 403
    page = admin_client.get(f"{address}{row.pk}/change/").content.decode()
    assert 'name="_save"' not in page
