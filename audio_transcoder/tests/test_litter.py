"""Objects without rows and rows without objects: listed, and removed when somebody says so."""

from __future__ import annotations

import os
import tempfile
import time
import uuid
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.utils import timezone

from audio_transcoder import keys, litter, removal
from audio_transcoder.engines.base import JobReport
from audio_transcoder.models import AudioFile, Deletion, Rendition, TranscodeJob, Upload
from audio_transcoder.tests.factories import make_file, make_job, make_person, store_results
from audio_transcoder.uploads import direct_uploads
from buckets import ObjectInfo, bucket
from transcode_messages.models import Message

pytest_plugins = ["buckets.tests.s3_server"]
pytestmark = pytest.mark.django_db


def sweep(*arguments: str) -> str:
    output = StringIO()
    call_command("sweep", *arguments, stdout=output)
    return output.getvalue()


def store(name: str, *, days_old: float = 2) -> str:
    media, key = bucket(settings.MEDIA_BUCKET), keys.bucket_key(name)
    with tempfile.NamedTemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR) as file:
        media.put(key, Path(file.name), content_type="audio/wav")
    path = settings.BUCKETS_DIR / media.local_path(key)
    then = time.time() - days_old * 24 * 3600
    os.utime(path, (then, then))
    return name


@pytest.fixture
def done() -> TranscodeJob:
    """A file with all that belongs to it, in rows and in the store."""
    job = make_job()
    store_results(job)
    now = timezone.now()
    job.report(JobReport(engine_id=job.engine_id, status="Complete", at=now))
    return job


def test_a_store_that_agrees_with_the_rows_is_left_alone(done):
    store(f"variants/{done.audio_file.code}/cover-200.jpg")

    told = sweep("--delete")

    assert "Objects without a row: 0" in told
    assert "Results without their object: 0" in told
    assert "Files without their original: 0" in told
    assert not Deletion.objects.exists()


def test_d9_objects_without_rows_are_listed_and_nothing_is_deleted_unasked(done):
    orphan = store(f"uploads/{uuid.uuid4()}/source")
    extra = store(f"renditions/{done.audio_file.code}/{uuid.uuid4()}/wav.wav")

    told = sweep()

    assert orphan in told
    assert extra in told
    assert "Nothing was removed" in told
    assert not Deletion.objects.exists()


def test_d9_what_a_killed_look_at_the_store_left_goes_when_asked(done):
    left, running = store(f"check/{uuid.uuid4()}"), store(f"check/{uuid.uuid4()}", days_old=0)

    sweep("--delete")
    removal.remove_due()

    assert not default_storage.exists(left)
    assert default_storage.exists(running)


def test_d9_objects_without_rows_go_when_asked(done):
    orphan = store(f"uploads/{uuid.uuid4()}/source")

    sweep("--delete")
    removal.remove_due()

    assert not default_storage.exists(orphan)
    assert default_storage.exists(done.audio_file.mp3_file.name)
    assert all(default_storage.exists(one.file.name) for one in done.renditions.all())


def test_a_deletion_takes_a_number_of_objects_at_once(monkeypatch):
    monkeypatch.setattr(litter, "_OBJECTS_AT_ONCE", 2)
    orphans = [store(f"uploads/{uuid.uuid4()}/source") for _ in range(3)]

    sweep("--delete")

    assert sorted(len(deletion.prefixes) for deletion in Deletion.objects.all()) == [1, 2]
    removal.remove_due()
    assert not any(default_storage.exists(orphan) for orphan in orphans)


def test_young_objects_may_belong_to_an_upload_under_way():
    store(f"uploads/{uuid.uuid4()}/source", days_old=0.5)
    assert "Objects without a row: 0" in sweep()


def test_an_object_that_came_in_parts_is_its_uploads_until_there_is_a_file():
    """S3 dates it from when the upload began, which may be days ago."""
    upload = Upload.objects.create(
        owner=make_person(), part_bytes=5, size_bytes=5, file_name="a.wav", formats=["wav"],
        media_type="audio/wav", store_id="1",
    )  # fmt: skip
    store(keys.storage_name(upload.key))
    assert "Objects without a row: 0" in sweep()


def test_the_mark_of_a_folder_takes_no_file_with_it(done):
    """Consoles make such objects; removed by prefix, it would take all that is in the folder."""
    original = done.audio_file.mp3_file.name
    mark = original.removesuffix("source")
    for name in (mark, mark.removesuffix("/"), original.removesuffix("ce")):
        store(name)

    told = sweep("--delete")
    removal.remove_due()

    assert "3 of them are not of our making" in told
    assert "Objects without a row: 0" in told
    assert default_storage.exists(original)


def test_what_is_not_of_our_making_is_counted_and_stays():
    store("notes/readme.txt")
    store(f"uploads/{str(uuid.uuid4()).upper()}/source")
    store(f"uploads/{uuid.uuid4()}/source.bak")
    store(f"renditions/{uuid.uuid4()}/wav.wav")
    store("intake/ada/song.mp3")

    told = sweep("--delete")

    assert "4 of them are not of our making" in told
    assert default_storage.exists("notes/readme.txt")
    assert default_storage.exists("intake/ada/song.mp3")


def test_what_a_deletion_takes_anyway_is_not_listed():
    name = store(f"uploads/{uuid.uuid4()}/source")
    Deletion.objects.create(prefixes=[name.removesuffix("source")])
    assert "Objects without a row: 0" in sweep()


def test_d9_a_result_without_its_object_can_be_ordered_again(done):
    lost = done.renditions.get(format_name="wav")
    default_storage.delete(lost.file.name)

    assert lost.file.name in sweep()
    assert Rendition.objects.filter(pk=lost.pk).exists()
    sweep("--delete")

    assert not Rendition.objects.filter(pk=lost.pk).exists()
    assert done.audio_file.order_missing(["wav", "flac"]).renditions.get().format_name == "wav"


def test_a_file_that_lost_every_result_is_not_ready_in_the_library(done):
    for rendition in done.renditions.all():
        default_storage.delete(rendition.file.name)
    sweep("--delete")
    row = AudioFile.objects.with_work().get()
    assert row.kept_state == row.state != AudioFile.State.READY


@pytest.mark.parametrize("kind", ["moto", pytest.param("radosgw", marks=pytest.mark.s3)])
def test_marks_of_folders_and_beginnings_of_names_never_take_what_has_rows(
    use_s3, kind, monkeypatch
):
    """Consoles and mounts of buckets make an empty object for every folder somebody opens."""
    s3 = use_s3(kind)
    monkeypatch.setattr(litter, "YOUNG", timedelta(0))
    job = make_job()
    store_results(job)
    job.report(JobReport(engine_id=job.engine_id, status="Complete", at=timezone.now()))
    code = job.audio_file.code
    for tail in ("", "/", f"/{job.code}", f"/{job.code}/", f"/{job.code}/w", "/s"):
        for place in ("uploads", "renditions"):
            s3.client().put_object(Bucket=s3.bucket, Key=f"media/{place}/{code}{tail}", Body=b"")

    sweep("--delete")
    removal.remove_due()

    assert default_storage.exists(job.audio_file.mp3_file.name)
    assert all(default_storage.exists(one.file.name) for one in job.renditions.all())


def test_an_object_of_an_upload_under_way_is_no_orphan_however_old_it_looks(person):
    """S3 dates an object that came in parts by the beginning of its upload."""
    begun = Upload.objects.create(
        owner=person, part_bytes=5, size_bytes=5, file_name="a.wav", formats=["wav"], store_id="1"
    )
    store(f"uploads/{begun.file_code}/source", days_old=3)
    assert "Objects without a row: 0" in sweep()


def test_an_upload_that_ends_while_the_sweep_looks_is_no_orphan(person, monkeypatch):
    begun = Upload.objects.create(
        owner=person, part_bytes=5, size_bytes=5, file_name="a.wav", formats=["wav"], store_id="1"
    )
    store(f"uploads/{begun.file_code}/source", days_old=3)
    names_in_rows, prefixes = litter._names_in_rows, litter._prefixes_of_deletions

    def ends() -> None:
        if Upload.objects.unfinished().exists():
            direct_uploads._take_in(begun, ObjectInfo(5, timezone.now(), None, "etag"))

    # At either side of each look into the rows.
    monkeypatch.setattr(litter, "_names_in_rows", lambda codes: (ends(), names_in_rows(codes))[1])
    assert "Objects without a row: 0" in sweep()
    AudioFile.objects.all().delete()
    Deletion.objects.all().delete()
    Upload.objects.update(finished_at=None)
    monkeypatch.setattr(litter, "_prefixes_of_deletions", lambda: (ends(), prefixes())[1])
    assert "Objects without a row: 0" in sweep()


@pytest.mark.parametrize("wrong", ["BUCKETS_DIR", "MEDIA_BUCKET", "MEDIAFILES_LOCATION"])
def test_d9_a_store_that_has_nothing_of_ours_is_another_one_and_no_file_is_given_up(
    done, settings, tmp_path, wrong
):
    setattr(settings, wrong, tmp_path / "not mounted" if wrong == "BUCKETS_DIR" else "another")
    with pytest.raises(CommandError, match="Is it the right bucket"):
        sweep("--delete")
    assert AudioFile.objects.get().ready_renditions
    assert not Message.objects.filter(text__contains="no longer in the store").exists()


def test_d9_a_file_that_is_deleted_while_the_sweep_looks_is_no_loss_to_tell_of():
    make_file(name="Another")
    audio_file = make_file(name="Interview")
    default_storage.delete(audio_file.mp3_file.name)
    found = litter.find()
    audio_file.delete()

    assert litter.remove(found) == []
    assert not Message.objects.exists()


def test_d9_a_file_that_is_wholly_lost_leaves_the_library_and_its_owner_is_told():
    other = make_file(name="Another")
    audio_file = make_file(name="Interview")
    default_storage.delete(audio_file.mp3_file.name)

    sweep("--delete")

    assert AudioFile.objects.get() == other
    told = Message.objects.get(user=audio_file.owner)
    assert "Interview is no longer in the store" in told.text


def test_d9_a_file_that_lost_its_original_keeps_its_results(done):
    default_storage.delete(done.audio_file.mp3_file.name)

    told = sweep("--delete")

    assert "Kept, because results of it are there" in told
    assert done.audio_file.ready_renditions
