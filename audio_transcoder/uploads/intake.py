"""Files that are dropped into the bucket, without a browser.

Events of the bucket (S3, SNS, our webhook) leave one row for each new object; a look at the
intake prefix finds what no event told of, and is all that a folder has. A step moves each object
to where uploads lie, writes its rows, and removes it from the intake.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from urllib.parse import unquote_plus

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext as _

import steps
from audio_transcoder import keys, turns, uploads
from audio_transcoder.formats import DEFAULT_FORMATS, FORMATS
from audio_transcoder.models import IntakeObject
from audio_transcoder.quotas import OverQuota, require_room, require_room_for_results
from audio_transcoder.uploads import arrivals
from buckets import BucketError, BucketMissing, BucketUnavailable, ObjectInfo, bucket, is_key
from transcode_messages.languages import spoken_to
from transcode_messages.models import Message

logger = logging.getLogger(__name__)

State = IntakeObject.State

# Whoever has an object in hand may die; nobody else takes it before this has passed. A large
# copy takes the store minutes.
IN_HAND = timedelta(minutes=10)
# An object on S3 appears whole; a file grows while it is written. One that a look has found is
# taken when it has not changed for so long.
SETTLES = timedelta(seconds=30)
# Events tell of new objects on S3. A look is for those that were lost.
LOOK_ON_S3 = timedelta(minutes=5)
FIRST_BACK_OFF, LONGEST_BACK_OFF = timedelta(seconds=1), timedelta(minutes=10)
_BATCH = 500
_LARGEST = 2**63 - 1  # bytes, in a column


def prefix() -> str:
    """Return what the keys of dropped objects begin with: ``media/intake/``."""
    return keys.bucket_key("intake/")


# --- What tells of objects ----------------------------------------------------------------------


def parse_notice(document: object) -> list[IntakeObject] | None:
    """Return unsaved rows for the new objects that a notice of S3 tells of; None for any other.

    What is not ours, or nonsense, is left out. Source: S3 User Guide, "Event message structure",
    versions 2.x.
    """
    if not isinstance(document, dict):
        return None
    if document.get("Event") == "s3:TestEvent":
        return []
    records = document.get("Records")
    if not isinstance(records, list):
        return None
    if not any(isinstance(record, dict) and "s3" in record for record in records):
        return None
    return [row for record in records if (row := _row(record)) is not None]


def _row(record: Any) -> IntakeObject | None:
    try:
        found, name = record["s3"]["object"], record["s3"]["bucket"]["name"]
        major = record["eventVersion"].partition(".")[0]
        is_new = record["eventName"].startswith("ObjectCreated:")
        key = unquote_plus(found["key"], errors="strict")  # form-encoded in events, once
        size_bytes = found.get("size", 0)
    except (AttributeError, KeyError, TypeError, UnicodeDecodeError):
        return None
    is_ours = major == "2" and is_new and name == settings.MEDIA_BUCKET and is_dropped(key)
    if not is_ours or type(size_bytes) is not int or not 0 <= size_bytes <= _LARGEST:
        return None
    identity = {
        field: _text(found.get(member))
        for field, member in (
            ("etag", "eTag"),
            ("version", "versionId"),
            ("sequencer", "sequencer"),
        )
    }
    return IntakeObject(
        bucket=name, key=key, size_bytes=size_bytes, owner_name=owner_in(key), **identity
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        return ""
    # JSON can hold half a letter, a column cannot. Cut to the shortest column; Amazon's own are
    # below 60 characters.
    whole = value.encode(errors="ignore").decode()
    return whole.strip('"').replace("\0", "")[:200]


def is_readable(key: str) -> bool:
    """Return whether a row can hold this key, and it is not a mark of a folder."""
    return is_key(key) and "\0" not in key and not key.endswith("/")


def is_dropped(key: str) -> bool:
    """Return whether an object with this key is for us to take in."""
    return is_readable(key) and key.startswith(prefix())


def owner_in(key: str) -> str:
    """Return the name of whom ``media/intake/<owner>/…`` is for, "" if the key names nobody."""
    owner, slash, _rest = key.removeprefix(prefix()).partition("/")
    return owner[:255] if slash else ""


def found(
    bucket_name: str, key: str, info: ObjectInfo, *, owner_name: str, **values: Any
) -> IntakeObject:
    """Return an unsaved row for an object that a list has shown."""
    return IntakeObject(
        bucket=bucket_name,
        key=key,
        etag=info.etag[:200],
        # There is none in a list; the time tells an object from its like of another day.
        sequencer=f"{info.modified_at.isoformat()} {owner_name}"[:255],
        owner_name=owner_name,
        size_bytes=info.size_bytes,
        token=_token(bucket_name, key, info),
        **values,
    )


def _token(bucket_name: str, key: str, info: ObjectInfo) -> uuid.UUID:
    modified = int(info.modified_at.timestamp())  # S3 tells a list more of a second than a HEAD
    return uuid.uuid5(uuid.NAMESPACE_URL, f"{bucket_name}\n{key}\n{info.etag}\n{modified}")


def look() -> None:
    """Write rows for objects in the intake that nobody told of. Raises BucketError."""
    media = bucket(settings.MEDIA_BUCKET)
    due = timezone.now() + SETTLES
    try:
        media.adopt(prefix())
        entries = (entry for entry in media.entries(prefix()) if is_dropped(entry[0]))
        while some := list(islice(entries, _BATCH)):
            rows = [
                found(media.name, key, info, owner_name=owner_in(key), next_step_at=due)
                for key, info in some
            ]
            record(_unknown(rows))
            steps.beat()
    except BucketMissing:  # a folder that nothing was ever stored in
        return


def _unknown(rows: list[IntakeObject]) -> list[IntakeObject]:
    known = set(
        IntakeObject.objects.filter(token__in=[row.token for row in rows]).values_list(
            "token", flat=True
        )
    )
    # An event that nobody has followed yet has no token.
    told = set(
        IntakeObject.objects.filter(
            # The index begins with the bucket.
            bucket__in={row.bucket for row in rows},
            key__in=[row.key for row in rows],
            state=State.WAITING,
        ).values_list("key", "etag")
    )
    return [row for row in rows if row.token not in known and (row.key, row.etag) not in told]


def record(rows: Iterable[IntakeObject]) -> None:
    """Write those of the rows that are not there yet, and wake the step."""
    with transaction.atomic():
        if IntakeObject.objects.bulk_create(rows, ignore_conflicts=True):
            steps.nudge("intake")


# --- Taking in ----------------------------------------------------------------------------------


def take_due() -> datetime | None:
    """Take in every object that is due; return when to look again."""
    again = _look_in_time()
    go_on_at = turns.work_off(IntakeObject.objects.due(timezone.now()), _take)
    if go_on_at is not None:
        return go_on_at
    later = IntakeObject.objects.filter(next_step_at__isnull=False).order_by("next_step_at")
    next_step_at = later.values_list("next_step_at", flat=True).first()
    return min(again, next_step_at or again)


def _look_in_time() -> datetime:
    """Look at the intake if it is time; return when it is time again."""
    global _next_look
    now = timezone.now()
    if now >= _next_look:
        on_s3 = bool(settings.AWS_STORAGE_BUCKET_NAME)
        _next_look = now + (LOOK_ON_S3 if on_s3 else timedelta(seconds=settings.RECONCILE_S))
        try:
            look()
        except BucketError as error:
            logger.warning("the intake was not looked at: %s", error)
    return _next_look


_next_look = datetime.min.replace(tzinfo=UTC)


def _take(row: IntakeObject) -> bool:
    """Work on an object, if nobody else does; return whether the store answered."""
    claim = IntakeObject.objects.filter(pk=row.pk, next_step_at=row.next_step_at)
    in_hand_until = timezone.now() + IN_HAND
    if not claim.update(next_step_at=in_hand_until, attempts=F("attempts") + 1):
        return True
    try:
        if row.state == State.WAITING:
            _bring(row)
        else:
            _clear(row)
    except BucketError as error:
        # Behind the others, so that one holds up nobody.
        wait = turns.back_off(row.attempts, first=FIRST_BACK_OFF, longest=LONGEST_BACK_OFF)
        logger.warning("object %s: not yet, again in %s: %s", row.code, wait, error)
        IntakeObject.objects.filter(pk=row.pk, next_step_at=in_hand_until).update(
            next_step_at=timezone.now() + wait
        )
        # A bucket of somebody else's that refuses us answers at once, and holds up nobody.
        return not isinstance(error, BucketUnavailable)
    return True


def _bring(row: IntakeObject) -> None:
    info = bucket(row.bucket).stat(row.key)
    if info is None:
        _end_gone(row)
        return
    if row.etag not in ("", info.etag[:200]):
        # Written over: the newer one has an event of its own, and the look finds it.
        logger.info("object %s: another one by now", row.code)
        row.delete()
        return
    row.token, row.size_bytes = _token(row.bucket, row.key, info), info.size_bytes
    owner = _owner(row, info)
    if owner is None:
        logger.warning("object %s: %r is for nobody here", row.code, row.key)
        row.end(State.REFUSED, reason="unknown_owner")
        return
    row.owner_name = owner.get_username()
    before = (
        IntakeObject.objects.filter(token=row.token, owner_name=row.owner_name)
        .exclude(state=State.WAITING)
        .first()
    )
    if before is not None:  # another row told of the same object
        row.end(before.state, reason=before.reason, audio_file=before.audio_file)
        return
    reason = _objection(owner, info)
    if reason:
        _refuse(row, owner, reason)
        return
    try:
        _move(row, owner, info)
    except OverQuota as error:  # used up since
        _refuse(row, owner, error.reason)
        return
    row.refresh_from_db()
    _clear(row)


def _end_gone(row: IntakeObject) -> None:
    """End the row of an object that is not there: taken already, or lost."""
    same = Q(etag=row.etag) | Q(token=row.token) if row.token else Q(etag=row.etag)
    here = IntakeObject.objects.filter(bucket=row.bucket, key=row.key, state=State.TAKEN)
    taken = here.filter(same).order_by("-pk").first()
    if taken is not None:
        row.end(State.TAKEN, audio_file=taken.audio_file)
        return
    logger.info("object %s: %r is gone", row.code, row.key)
    row.end(State.REFUSED, reason="lost")


def _owner(row: IntakeObject, info: ObjectInfo) -> AbstractBaseUser | None:
    people = get_user_model()
    name = row.owner_name or info.metadata.get("owner", "")
    return people.objects.filter(is_active=True, **{people.USERNAME_FIELD: name}).first()


def _objection(owner: AbstractBaseUser, info: ObjectInfo) -> str:
    """Return the reason why this object is not for us to keep, "" if there is none."""
    if info.size_bytes == 0:
        return "empty"
    if info.size_bytes > settings.UPLOAD_MAX_BYTES:
        return "too_large"
    try:
        require_room(owner, info.size_bytes)
        require_room_for_results(owner)
    except OverQuota as error:
        return error.reason
    return ""


def _refuse(row: IntakeObject, owner: AbstractBaseUser, reason: str) -> None:
    """End the row and tell its owner, once; the object stays where it is."""
    logger.info("object %s: refused: %s", row.code, reason)
    with transaction.atomic():
        if not row.end(State.REFUSED, reason=reason):
            return
        row.reason = reason
        with spoken_to(owner):
            text = _("Your file {name} was not taken from the bucket. {reason}").format(
                name=row.file_name, reason=row.reason_sentence
            )
        Message.objects.tell(
            owner,
            event=f"intake:{row.code}:{reason}",
            about=row.code,
            level=Message.Level.ERROR,
            text=text,
        )


def _move(row: IntakeObject, owner: AbstractBaseUser, info: ObjectInfo) -> None:
    """Copy the object to where uploads lie and write its rows; it still lies in the intake.

    The copy is made under a note that it must go, which the transaction of the rows takes back.
    Raises BucketError and OverQuota; then nothing is left behind.
    """
    code = uuid.uuid4()
    media = bucket(settings.MEDIA_BUCKET)
    to_key = keys.bucket_key(keys.source_name(code))
    note = uploads.note_of(code)
    try:
        source = bucket(row.bucket)
        media.copy(row.key, to_key, source=source, etag=info.etag, moved=lambda _: steps.beat())
        stored = media.stat(to_key)
        if stored is None or stored.size_bytes != info.size_bytes:
            raise BucketUnavailable("the copy is not whole", bucket=media.name, key=to_key)
        with transaction.atomic():
            audio_file = arrivals.take_in(
                owner,
                code=code,
                name="",
                file_name=row.file_name,
                info=stored,
                formats=_formats(row, info),
                token=row.token,
            )
            if audio_file.code == code:
                uploads.take_back(note)
            row.end(State.TAKEN, audio_file=audio_file.code)
    except BaseException:
        uploads.remove_now(note)
        raise
    if audio_file.code != code:  # somebody took the same object at the same moment
        uploads.remove_now(note)
    logger.info("object %s: taken in as file %s", row.code, audio_file.code)


def _formats(row: IntakeObject, info: ObjectInfo) -> list[str]:
    asked = row.formats or info.metadata.get("formats", "")
    names = asked.replace(",", " ").lower().split()
    unknown = [name for name in names if name not in FORMATS]
    if unknown:
        logger.warning("object %s: no such formats: %s", row.code, ", ".join(unknown)[:100])
    return [name for name in FORMATS if name in names] or list(DEFAULT_FORMATS)


def _clear(row: IntakeObject) -> None:
    """Remove an object that was taken from the intake, unless another lies there by now."""
    place = bucket(row.bucket)
    if row.is_moved:
        info = place.stat(row.key)
        if info is not None and _token(row.bucket, row.key, info) == row.token:
            # Whoever deletes their file wants nothing of it left; another bucket's history is not
            # ours to shorten.
            is_own = row.bucket == settings.MEDIA_BUCKET
            place.delete(row.key, etag=info.etag, with_versions=is_own)
    IntakeObject.objects.filter(pk=row.pk).update(next_step_at=None)
