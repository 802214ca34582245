"""Files and objects that an operator brings in by hand: ``manage.py import_audio``."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.utils import timezone

from audio_transcoder import engines, reasons, uploads
from audio_transcoder.models import AudioFile, IntakeObject
from audio_transcoder.quotas import OverQuota, require_room, require_room_for_results
from audio_transcoder.uploads import intake
from buckets import ObjectInfo, bucket
from sound import probe

_CHUNK_BYTES = 1024**2
_BATCH = 500

# What became of a file or an object.
TAKEN, HERE, REFUSED, RECORDED = "taken", "already here", "refused", "recorded"


@dataclass(frozen=True)
class Outcome:
    """What became of one file; ``sentence`` says why it was refused, or why it is still there."""

    state: str
    sentence: str = ""


class Refused(Exception):
    """A file is not taken; the text says why, for whoever runs the command."""


# --- From a folder ------------------------------------------------------------------------------


def files_below(source: Path) -> list[Path]:
    """Return the regular files in a folder and the folders in it, or the one file itself.

    Hidden files and folders, and symbolic links, are left out. A folder that cannot be read is
    among them, for ``take_file`` to say why.
    """
    if source.is_file():
        return [source]
    found: list[Path] = []

    def keep_unread(error: OSError) -> None:
        found.append(Path(error.filename))

    for folder, folders, names in os.walk(source, onerror=keep_unread):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths = (Path(folder, name) for name in sorted(names) if not name.startswith("."))
        found += [path for path in paths if path.is_file() and not path.is_symlink()]
    return found


def size_of(path: Path) -> int:
    """Return a file's bytes; 0 for one that is gone since it was listed."""
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def take_file(
    owner: AbstractBaseUser,
    path: Path,
    *,
    formats: list[str],
    is_moved: bool = False,
    is_dry: bool = False,
    moved: Callable[[int], object] = lambda count: None,
) -> Outcome:
    """Take in one local file as the upload form does, and say what became of it.

    A file whose bytes its owner has already is not taken twice. ``is_moved``: the file is
    removed once its bytes are in the store. ``is_dry``: nothing is changed. ``moved`` is called
    with the number of bytes read since its last call, each byte once. Raises BucketError when
    the store does not take it, and ExaminerNotStarted when nobody can look just now.
    """
    try:
        before = path.stat()
        _check_kind(path, before.st_mode)
        _check_size(before.st_size)
        with path.open("rb") as file:
            sha256 = _hash(file, moved)
        state = HERE if _is_here(owner, sha256, before.st_size) else TAKEN
        if state == TAKEN and is_dry:
            require_room(owner, before.st_size)
            require_room_for_results(owner)
            _look(path, formats)
        elif state == TAKEN:
            _accept(owner, path, sha256, formats)
    except (Refused, probe.NotSound, OverQuota, OSError) as error:
        return Outcome(REFUSED, _sentence(error))
    return Outcome(state, _remove(path, before) if is_moved and not is_dry else "")


def _sentence(error: Exception) -> str:
    if isinstance(error, probe.NotSound):
        return reasons.sentence(error.reason)
    if isinstance(error, OverQuota):
        return reasons.sentence(error.reason)
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return str(error)


def _check_kind(path: Path, mode: int) -> None:
    """Refuse what has become no file since it was listed; to open a pipe would wait for ever."""
    if stat.S_ISDIR(mode):
        os.scandir(path).close()  # raises why it cannot be read
    if not stat.S_ISREG(mode):
        raise Refused("It is not a file.")


def _check_size(size_bytes: int) -> None:
    if size_bytes > settings.UPLOAD_MAX_BYTES:
        raise Refused(reasons.sentence("too_large"))


def _hash(file: BinaryIO, moved: Callable[[int], object], copy: BinaryIO | None = None) -> str:
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK_BYTES):
        digest.update(chunk)
        if copy is not None:
            copy.write(chunk)
        moved(len(chunk))
    return digest.hexdigest()


def _is_here(owner: AbstractBaseUser, sha256: str, size_bytes: int) -> bool:
    """Return whether ``owner`` has these bytes already, in a row and in the store."""
    # In no order: for one, SQLite would read all files of the person by another index.
    for file in AudioFile.objects.filter(owner=owner, sha256=sha256).order_by():
        storage = file.mp3_file.storage
        with contextlib.suppress(FileNotFoundError):
            if storage.size(file.mp3_file.name) == size_bytes:
                return True
    return False


def _accept(owner: AbstractBaseUser, path: Path, sha256: str, formats: list[str]) -> None:
    # A copy: what lies in a store must not change when the file does.
    with TemporaryUploadedFile("upload", None, 0, None) as copy:
        with path.open("rb") as file:
            copied = _hash(file, lambda count: None, copy.file)
        copy.flush()
        if copied != sha256:
            raise Refused("Somebody is writing to it. Try once more when it is whole.")
        sound = _look(Path(copy.temporary_file_path()), formats)
        copy.name, copy.size, copy.sha256 = path.name, copy.tell(), sha256
        # The same for the same bytes: two commands at once make one file of them.
        token = uuid.uuid5(uuid.NAMESPACE_URL, f"import\n{owner.pk}\n{sha256}")
        uploads.accept(owner, copy, sound, name="", formats=formats, token=token)


def _look(path: Path, formats: list[str]) -> probe.Sound:
    """Return what sound the file holds. Raises NotSound, and Refused for what is not done here."""
    sound = probe.probe(path, with_picture=True)
    refused = engines.refusal(sound, formats)
    if refused:
        raise Refused(reasons.sentence(refused.reason))
    return sound


def _remove(path: Path, before: os.stat_result) -> str:
    """Remove a file that is in the store; return why it stays, "" if it does not."""
    try:
        now = path.stat()
        if _identity(now) != _identity(before):
            return "It was written to since it was taken in, so it stays."
        path.unlink()
    except OSError as error:
        return f"It could not be removed: {_sentence(error)}"
    return ""


def _identity(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_ino, found.st_size, found.st_mtime_ns


# --- From a bucket ------------------------------------------------------------------------------


def record_objects(
    bucket_name: str,
    prefix: str,
    *,
    owner_name: str,
    formats: str,
    is_moved: bool,
    is_dry: bool = False,
) -> Iterator[tuple[str, str]]:
    """Write down every object below the prefix for the step that takes objects in.

    Yields each key with what is known of it: RECORDED for one that the step will look at, HERE
    when it was taken before. ``owner_name`` may be empty in our own intake, whose keys name
    the owner. An object that was refused is tried again. Raises BucketError.
    """
    entries = bucket(bucket_name).entries(prefix)
    entries = (entry for entry in entries if _may_be_taken(bucket_name, entry[0]))
    while some := list(islice(entries, _BATCH)):
        rows = [
            _row(bucket_name, key, info, owner_name, formats=formats, is_moved=is_moved)
            for key, info in some
        ]
        here = _tokens_here(rows)
        new = [row for row in rows if (row.owner_name, row.token) not in here]
        if not is_dry:
            _forget_refusals(new)
            intake.record(new)
        for row in rows:
            yield row.key, HERE if (row.owner_name, row.token) in here else RECORDED


def _row(
    bucket_name: str, key: str, info: ObjectInfo, owner_name: str, **values: object
) -> IntakeObject:
    owner = owner_name or intake.owner_in(key)
    now = timezone.now()
    return intake.found(bucket_name, key, info, owner_name=owner, next_step_at=now, **values)


def _may_be_taken(bucket_name: str, key: str) -> bool:
    """Return whether an object may be meant: nothing of our own making, no folder's mark."""
    if not intake.is_readable(key):
        return False
    own = tuple(
        f"{place}/" for place in (settings.MEDIAFILES_LOCATION, settings.STATICFILES_LOCATION)
    )
    is_own = bucket_name == settings.MEDIA_BUCKET and key.startswith(own)
    return not is_own or intake.is_dropped(key)


def _tokens_here(rows: list[IntakeObject]) -> set[tuple[str, uuid.UUID]]:
    tokens = [row.token for row in rows]
    taken = IntakeObject.objects.filter(token__in=tokens, state=intake.State.TAKEN)
    # The index begins with the owner.
    owners = get_user_model().objects.filter(username__in={row.owner_name for row in rows})
    files = AudioFile.objects.filter(owner__in=list(owners), upload_token__in=tokens)
    return {
        *taken.values_list("owner_name", "token"),
        *files.values_list("owner__username", "upload_token"),
    }


def _forget_refusals(rows: list[IntakeObject]) -> None:
    refused = IntakeObject.objects.filter(state=intake.State.REFUSED)
    refused.filter(token__in=[row.token for row in rows]).delete()
