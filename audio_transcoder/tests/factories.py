"""Valid rows; a test states only what it is about."""

from __future__ import annotations

import itertools

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from django.core.files.base import ContentFile
from django.test import Client
from django.utils import timezone

from audio_transcoder.models import AudioFile, TranscodeJob

_numbers = itertools.count(1)


def make_person(name: str = "") -> AbstractUser:
    return get_user_model().objects.create_user(name or f"person{next(_numbers)}")


def client_of(person: AbstractUser) -> Client:
    """A browser of its own in which ``person`` is signed in."""
    client = Client()
    client.force_login(person)
    return client


def make_file(owner: AbstractUser | None = None, **values: object) -> AudioFile:
    """An audio file with its object in the store."""
    values = {
        "name": "Interview",
        "file_name": "Interview.mp3",
        "size_bytes": 5,
        "container": "mp3",
        "codec": "mp3",
        "channels": 2,
        "sample_rate_hz": 44100,
        "duration_ms": 1000,
        **values,
    }
    audio_file = AudioFile(owner=owner or make_person(), **values)
    audio_file.mp3_file.save("any.mp3", ContentFile(b"sound"), save=False)
    audio_file.save()
    return audio_file


def make_job(
    audio_file: AudioFile | None = None,
    formats: tuple[str, ...] = ("wav", "flac"),
    *,
    placed: bool = True,
) -> TranscodeJob:
    """An order, by default one that the engine has."""
    job = (audio_file or make_file()).order(formats)
    if placed:
        TranscodeJob.objects.filter(pk=job.pk).update(
            engine_id=f"1700000000000-abc{job.pk:03d}",
            place_attempts=1,
            placed_at=timezone.now(),
            read_at=timezone.now(),
            next_step_at=timezone.now() + TranscodeJob.READ_OTHERWISE,
        )
        job.refresh_from_db()
    return job


def store_results(job: TranscodeJob) -> None:
    """Put an object where each result of ``job`` belongs."""
    for rendition in job.renditions.all():
        rendition.file.storage.save(rendition.file.name, ContentFile(b"result"))
