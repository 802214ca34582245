"""A result that was made anew takes the place of the one before it."""

from __future__ import annotations

import pytest
from django.core.files.base import ContentFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from audio_transcoder import keys, removal
from audio_transcoder.engines.base import JobReport, OutputReport
from audio_transcoder.models import AudioFile, Deletion, Rendition, Share, TranscodeJob
from audio_transcoder.quotas import quotas_of
from audio_transcoder.tests.conftest import notice_for
from audio_transcoder.tests.factories import make_file, make_job
from buckets import bucket
from transcode_messages.models import Message

pytestmark = pytest.mark.django_db
Status = TranscodeJob.Status


def tell(job: TranscodeJob, status: str, made: str = "") -> None:
    """Report on a job, with the result ``made``, or all of them when it is complete."""
    names = [made] if made else job.renditions.values_list("format_name", flat=True)
    results = job.renditions.filter(format_name__in=names if status != Status.ERROR else [])
    outputs = [
        OutputReport(
            key=keys.bucket_key(one.file.name), status=Status.COMPLETE, size_bytes=one.file.size
        )
        for one in results
    ]
    job.report(
        JobReport(engine_id=job.engine_id, status=status, at=timezone.now(), outputs=outputs)
    )


def store(job: TranscodeJob, content: bytes = b"result") -> TranscodeJob:
    for one in job.renditions.all():
        one.file.storage.save(one.file.name, ContentFile(content))
    return job


def stored(settings) -> set[str]:
    return {key.rsplit("/", 2)[-2] for key in bucket(settings.MEDIA_BUCKET).keys("media/rend")}


@pytest.fixture
def audio_file(person) -> AudioFile:
    """A file with a ready FLAC."""
    audio_file = make_file(person)
    tell(store(make_job(audio_file, ("flac",)), b"older"), Status.COMPLETE)
    return audio_file


def edit_and_apply(client: Client, audio_file: AudioFile, title: str) -> TranscodeJob:
    assert client.post(f"/audio/{audio_file.code}/tags/", {"title": title}).status_code == 302
    assert client.post(f"/audio/{audio_file.code}/label/apply/").status_code == 302
    return TranscodeJob.objects.unfinished().get()


def test_what_was_made_anew_is_kept_once_and_counts_once(signed_in, person, audio_file, settings):
    settings.QUOTA_RESULT_BYTES = 1000
    for title in ("One", "Two", "Three"):
        tell(store(edit_and_apply(signed_in, audio_file, title)), Status.COMPLETE)
    newest = Rendition.objects.get()
    assert quotas_of(person)["result_bytes"].used == newest.size_bytes == len(b"result")
    assert person.audio_files.get().kept_state == AudioFile.State.READY
    assert len(stored(settings)) == 4
    removal.remove_due()
    assert len(stored(settings)) == 4  # somebody may be in the middle of one
    Deletion.objects.update(next_step_at=timezone.now())
    removal.remove_due()
    assert stored(settings) == {newest.file.name.split("/")[-2]}


def test_links_and_addresses_of_the_old_one_give_the_newest(signed_in, audio_file):
    old = Rendition.objects.get()
    share = Share.objects.create(audio_file=audio_file, rendition=old)
    addresses = [
        reverse("shared-download", args=[share.token, str(old.code)]),
        reverse("shared-download", args=[share.token, "flac"]),
        old.download_url,
    ]
    tell(store(edit_and_apply(signed_in, audio_file, "New"), b"newer"), Status.COMPLETE)
    for address in addresses:
        assert b"".join(signed_in.get(address).streaming_content) == b"newer"
    share.refresh_from_db()
    assert share.rendition == Rendition.objects.get()


def test_the_old_one_stays_until_the_new_one_can_be_had(signed_in, audio_file):
    old = Rendition.objects.get()
    tell(edit_and_apply(signed_in, audio_file, "New"), Status.ERROR)
    assert old in Rendition.objects.all()
    again = audio_file.order_missing(["flac"])
    tell(store(again), Status.PROGRESSING, made="flac")
    assert [one.job for one in Rendition.objects.all()] == [again]


def test_of_other_parts_and_formats_nothing_goes(audio_file):
    tell(store(make_job(audio_file, ("wav",))), Status.COMPLETE)
    assert Rendition.objects.count() == 2


def test_an_older_job_that_ends_later_brings_nothing_back(audio_file):
    late = make_job(audio_file, ("flac", "wav"))
    tell(store(audio_file.order(["flac"]), b"newest"), Status.COMPLETE)
    newest = Rendition.objects.filter(status="Complete").latest("pk")
    tell(store(late), Status.PROGRESSING, made="flac")
    assert late.renditions.count() == 2  # its engine still works on them
    tell(late, Status.COMPLETE)
    assert {one.job_id for one in audio_file.renditions.all()} == {late.pk, newest.job_id}
    [flac] = audio_file.renditions.filter(format_name="flac")
    assert flac.pk == newest.pk


def test_a_late_notice_of_a_replaced_result_changes_nothing(deliver, audio_file):
    old = TranscodeJob.objects.get()
    late = notice_for(old)
    tell(store(make_job(audio_file, ("flac",))), Status.COMPLETE)
    messages = Message.objects.count()
    assert deliver(late).status_code == 200
    assert deliver({**late, "state": "ERROR"}).status_code == 200
    assert [one.status for one in Rendition.objects.all()] == [Status.COMPLETE]
    assert Message.objects.count() == messages
    assert old.retry() is None
