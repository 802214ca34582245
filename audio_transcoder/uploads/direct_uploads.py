"""Uploads that go straight into the bucket: begun, sent in parts, finished, or forgotten.

The web process sees declarations and signatures, never the file. What was declared is enforced by
the signed addresses and by the store's own word at the end; what is in the file is looked at after
it arrived (``arrivals``).
"""

from __future__ import annotations

import dataclasses
import logging
import math
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext as _

import steps
from audio_transcoder import keys, turns, uploads
from audio_transcoder.models import AudioFile, Deletion, Upload
from audio_transcoder.quotas import (
    OverQuota,
    require_room,
    require_room_for_results,
    wait_for_others_of,
)
from audio_transcoder.reasons import sentence
from audio_transcoder.uploads import arrivals
from audio_transcoder.uploads.declarations import Declared
from audio_transcoder.uploads.refusals import Refused
from audio_transcoder.variants import Options
from buckets import (
    BucketError,
    BucketUnavailable,
    ObjectExists,
    ObjectInfo,
    ObjectMissing,
    Part,
    PartsDiffer,
    PostForm,
    UploadMissing,
    bucket,
    parts,
)
from transcode_messages.languages import spoken_to
from transcode_messages.models import Message

logger = logging.getLogger(__name__)

MIB = 1 << 20
# Of one upload. S3 takes 10,000 parts of 5 MiB to 5 GiB; a call that names few is a short one, and
# of large parts more is lost with a connection. Source: S3 User Guide, "Multipart upload limits".
PART_MIN_BYTES = 8 * MIB
PARTS_AIMED_AT = 64
# Of one person.
OPEN_AT_ONCE = 100
# Seconds in which a signed address has to be used; a body that has begun may take longer.
ADDRESS_LIFE_S = 900
# A page has asked for a part, or begun, within so long: it is sending the file.
AT_WORK = timedelta(minutes=1)
# Without a part for so long, somebody looks whether all are there: the page may have been closed
# before its last word. Then ever more rarely.
IDLE = timedelta(minutes=2)
FORM_IDLE = timedelta(seconds=10)
LONGEST_IDLE = timedelta(hours=1)
# Whoever has an upload in hand may die; nobody else acts on it before this has passed.
IN_HAND = timedelta(seconds=60)


def part_bytes(size_bytes: int) -> int:
    """Return the size of the parts of a file: whole MiB, all alike but the last.

    The page computes the same: it cuts the file before it asks.
    """
    return max(PART_MIN_BYTES, math.ceil(size_bytes / PARTS_AIMED_AT / MIB) * MIB)


def begin(owner: AbstractBaseUser, said: Declared) -> tuple[Upload, list[Part]]:
    """Return an upload in parts and what is stored of it: the one that was begun before, or new.

    Raises Refused (flood, quota, result_quota) and BucketError.
    """
    before = _begun_before(owner, said)
    if before is not None:
        return before
    _require_room(owner, said)
    upload = _row(owner, said, next_step_at=timezone.now() + IDLE)
    # A process that dies between these two leaves an upload that the bucket's own sweep finds.
    upload.store_id = parts(settings.MEDIA_BUCKET).begin(
        upload.key,
        content_type=said.media_type,
        size_bytes=said.size_bytes,
        part_bytes=upload.part_bytes,
    )
    try:
        _insert(upload, said)
    except Refused:
        parts(settings.MEDIA_BUCKET).abort(upload.key, upload.store_id)
        raise
    return upload, []


def begin_by_form(owner: AbstractBaseUser, said: Declared) -> tuple[Upload, PostForm | None]:
    """Return an upload in one request, and the bucket's form for it; None: it has no address.

    Nobody has to say that it arrived: the step finds it. Raises Refused and BucketError.
    """
    _require_room(owner, said)
    upload = _row(owner, said, next_step_at=timezone.now() + FORM_IDLE)
    form = parts(settings.MEDIA_BUCKET).form(
        upload.form_key,
        size_bytes=said.size_bytes,
        content_type=said.media_type,
        expires_s=ADDRESS_LIFE_S,
    )
    _insert(upload, said)
    return upload, form


def sign_part(upload: Upload, number: int) -> str | None:
    """Return the address that takes part ``number`` of an open upload; None: the bucket has none.

    Raises BucketError.
    """
    url = parts(settings.MEDIA_BUCKET).url(
        upload.key,
        upload.store_id,
        number,
        upload.size_of_part(number),
        expires_s=ADDRESS_LIFE_S,
    )
    now = timezone.now()
    Upload.objects.unfinished().filter(pk=upload.pk).update(
        touched_at=now, next_step_at=now + IDLE, attempts=0
    )
    return url


def stored_parts(upload: Upload) -> list[Part]:
    """Return the parts that the store has of an open upload. Raises Refused and BucketError."""
    if upload.is_by_form:
        return []
    try:
        return parts(settings.MEDIA_BUCKET).listed(upload.key, upload.store_id)
    except UploadMissing as error:
        raise Refused("unknown") from error


def finish(upload: Upload, told: Mapping[int, str] | None = None) -> AudioFile:
    """Make the object and its rows; return the file, the same one whenever it is asked again.

    ``told``: the ETag of each part, as the sender knows them. Nothing is copied or read: sizes and
    checksums are the store's. Raises Refused and BucketError: ``missing`` changes nothing, after
    anything else the upload is over.
    """
    if upload.audio_file is not None:
        return upload.audio_file
    if not upload.is_open or upload.owner is None or not upload.owner.is_active:
        raise Refused("unknown")
    info = _object_of_form(upload) if upload.is_by_form else _object_of_parts(upload, told)
    if info.size_bytes != upload.size_bytes:
        logger.warning("upload %s: %d bytes came", upload.code, info.size_bytes)
        abort(upload)
        raise Refused("size_differs")
    try:
        return _take_in(upload, info)
    except OverQuota as error:
        abort(upload)
        raise Refused(error.reason) from error


def abort(upload: Upload) -> bool:
    """End an upload; the step removes what the store has of it. Return whether it was open."""
    with transaction.atomic():
        was_open = Upload.objects.filter(pk=upload.pk).abort() == 1
        steps.nudge("uploads")
    return was_open


def work_off_due() -> datetime | None:
    """Finish, abort or tidy up every upload that is due; return when to look again."""
    due = Upload.objects.filter(next_step_at__lte=timezone.now()).select_related("owner")
    later = Upload.objects.order_by("next_step_at").values_list("next_step_at", flat=True)
    return turns.work_off(due.order_by("next_step_at", "pk"), _take) or later.first()


# --- Beginning --------------------------------------------------------------------------------


def _begun_before(owner: AbstractBaseUser, said: Declared) -> tuple[Upload, list[Part]] | None:
    if not said.fingerprint:
        return None
    same = Upload.objects.unfinished().filter(
        owner=owner,
        size_bytes=said.size_bytes,
        file_name=said.file_name,
        fingerprint=said.fingerprint,
    )
    token, now = said.token, timezone.now()
    if token is not None:  # what another page sends just now is that page's
        same = same.filter(Q(token=token) | Q(touched_at__lt=now - AT_WORK))
    own_first = sorted(same.exclude(store_id=""), key=lambda upload: upload.token != token)
    for upload in own_first:
        try:
            stored = stored_parts(upload)
        except Refused:
            continue  # the step will see that it is gone
        if token not in (None, upload.token):
            upload.token = _unused(owner, token)
        # Name and order as they were said last.
        Upload.objects.filter(pk=upload.pk).update(
            **_ordered(said), token=upload.token, touched_at=now
        )
        return upload, stored
    return None


def _require_room(owner: AbstractBaseUser, said: Declared) -> None:
    coming = Upload.objects.unfinished().filter(owner=owner)
    if uploads.is_flood(owner) or coming.count() >= OPEN_AT_ONCE:
        raise Refused("flood")
    try:
        require_room(owner, said.size_bytes, coming=coming)
        require_room_for_results(owner)
    except OverQuota as error:
        raise Refused(error.reason) from error


def _insert(upload: Upload, said: Declared) -> None:
    """Write the row if there is still room, however many begin at the same moment."""
    with transaction.atomic():
        wait_for_others_of(upload.owner_id)
        _require_room(upload.owner, said)
        upload.save(force_insert=True)


def _row(owner: AbstractBaseUser, said: Declared, *, next_step_at: datetime) -> Upload:
    return Upload(
        owner=owner,
        part_bytes=part_bytes(said.size_bytes),
        size_bytes=said.size_bytes,
        file_name=said.file_name,
        **_ordered(said),
        media_type=said.media_type,
        fingerprint=said.fingerprint,
        token=_unused(owner, said.token),
        next_step_at=next_step_at,
    )


def _unused(owner: AbstractBaseUser, token: uuid.UUID | None) -> uuid.UUID:
    """Return ``token``, or a new one where there is none or it is another file's."""
    is_used = (
        AudioFile.objects.filter(owner=owner, upload_token=token).exists()
        or Upload.objects.filter(owner=owner, token=token).exists()
    )
    return uuid.uuid4() if is_used or token is None else token


def _ordered(said: Declared) -> dict[str, object]:
    options = dataclasses.asdict(said.options)
    return {"name": said.name, "formats": list(said.formats), "options": options}


# --- Finishing --------------------------------------------------------------------------------


def _object_of_form(upload: Upload) -> ObjectInfo:
    media = bucket(settings.MEDIA_BUCKET)
    info = media.stat(upload.key)
    if info is not None:
        return info
    arrived = media.stat(upload.form_key)
    if arrived is None:
        raise Refused("missing", missing=[1])
    if arrived.size_bytes != upload.size_bytes:
        return arrived
    try:
        media.copy(upload.form_key, upload.key, etag=arrived.etag)
    except ObjectExists:  # somebody else finishes it
        pass
    except ObjectMissing as error:  # the form was used again in between
        raise Refused("missing", missing=[1]) from error
    info = media.stat(upload.key)
    if info is None:
        raise Refused("missing", missing=[1])
    return info


def _object_of_parts(upload: Upload, told: Mapping[int, str] | None) -> ObjectInfo:
    store = parts(settings.MEDIA_BUCKET)
    try:
        stored = store.listed(upload.key, upload.store_id)
        missing = _not_as_they_should(upload, stored, told)
        if missing:
            raise Refused("missing", missing=missing)
        return store.complete(upload.key, upload.store_id, stored)
    except PartsDiffer as error:  # one was sent again in between
        raise Refused("missing", missing=error.numbers) from error
    except UploadMissing as error:
        # Completed before, by somebody who could not write the rows any more.
        info = bucket(settings.MEDIA_BUCKET).stat(upload.key)
        if info is None:
            abort(upload)
            raise Refused("unknown") from error
        return info


def _not_as_they_should(
    upload: Upload, stored: Sequence[Part], told: Mapping[int, str] | None
) -> list[int]:
    found = {part.number: part for part in stored}
    told = {part.number: part.etag for part in stored} if told is None else told
    numbers = range(1, upload.part_count + 1)
    return [
        number
        for number in numbers
        if number not in found
        or found[number].size_bytes != upload.size_of_part(number)
        or found[number].etag != told.get(number)
    ] + sorted({*found, *told} - {*numbers})


def _take_in(upload: Upload, info: ObjectInfo) -> AudioFile:
    """Write the rows, once however many finish at the same moment. Raises Refused, OverQuota."""
    with transaction.atomic():
        now = timezone.now()
        row = Upload.objects.unfinished().filter(pk=upload.pk)
        if row.update(finished_at=now, next_step_at=now + Upload.KEPT_FOR, attempts=0):
            audio_file = arrivals.take_in(
                upload.owner,
                code=upload.file_code,
                name=upload.name,
                file_name=upload.file_name,
                info=info,
                formats=upload.formats,
                options=Options(**upload.options),
                token=upload.token,
            )
            Upload.objects.filter(pk=upload.pk).update(audio_file=audio_file)
            _note_removal(upload)
            return audio_file
    upload.refresh_from_db()
    if upload.audio_file is None:  # aborted, or finished and deleted
        raise Refused("unknown")
    return upload.audio_file


# --- The step ---------------------------------------------------------------------------------


def _take(upload: Upload) -> bool:
    """Work on an upload, if nobody else does; return whether the store answered."""
    untouched = Upload.objects.filter(pk=upload.pk, next_step_at=upload.next_step_at)
    in_hand_until = timezone.now() + IN_HAND
    if not untouched.update(next_step_at=in_hand_until, attempts=F("attempts") + 1):
        return True
    try:
        _work_off(upload)
    except BucketError as error:
        logger.warning("upload %s: not done yet: %s", upload.code, error)
        _look_again(upload, IDLE)
        return not isinstance(error, BucketUnavailable)
    return True


def _work_off(upload: Upload) -> None:
    if not upload.is_open:
        _tidy_up(upload)
        return
    forgotten = upload.touched_at < timezone.now() - Upload.LIFE
    try:
        finish(upload)
    except Refused as refusal:
        logger.info("upload %s: not finished: %s", upload.code, refusal.reason)
        if refusal.reason == "missing" and not forgotten:
            _look_again(upload, FORM_IDLE if upload.is_by_form else IDLE)
            return
        told = {"quota": "quota"} if forgotten else {"quota": "quota", "unknown": "lost"}
        _end(upload, told.get(refusal.reason, ""))
    except BucketUnavailable:
        raise
    except BucketError as error:
        # This bucket never had it, perhaps: settings may name another one than when it began.
        # They may be wrong just now, too.
        if not forgotten:
            raise
        logger.error("upload %s: given up: %s", upload.code, error)
        _end(upload, "lost")


@transaction.atomic
def _end(upload: Upload, reason: str) -> None:
    """End an upload and tell its owner why, unless there is no ``reason`` to tell."""
    abort(upload)
    if reason:
        _tell(upload, reason)


def _look_again(upload: Upload, first: timedelta) -> None:
    wait = turns.back_off(upload.attempts, first=first, longest=LONGEST_IDLE)
    Upload.objects.filter(pk=upload.pk, aborted_at=upload.aborted_at).update(
        next_step_at=timezone.now() + wait
    )


def _tidy_up(upload: Upload) -> None:
    """Remove what is left of an upload that is over, at once and once more when it is forgotten.

    An address may have been signed before the end, and used after it.
    """
    over_since = upload.aborted_at or upload.finished_at or timezone.now()
    is_last = timezone.now() - over_since >= Upload.KEPT_FOR
    if upload.aborted_at is not None and upload.store_id:
        try:
            parts(settings.MEDIA_BUCKET).abort(upload.key, upload.store_id)
        except BucketUnavailable:
            raise
        except BucketError as error:
            if not is_last:
                raise
            logger.error("upload %s: its parts may stay: %s", upload.code, error)
    with transaction.atomic():
        _note_removal(upload)
        row = Upload.objects.filter(pk=upload.pk)
        if is_last:
            row.delete()
        else:
            row.update(next_step_at=over_since + Upload.KEPT_FOR)


def _note_removal(upload: Upload) -> None:
    """Have the object removed, unless there is a file that it belongs to; and what a form put."""
    prefix = f"uploads/{upload.file_code}/"
    if AudioFile.objects.filter(code=upload.file_code).exists():
        if not upload.is_by_form:
            return
        prefix = keys.storage_name(upload.form_key)
    Deletion.objects.note([prefix])


def _tell(upload: Upload, reason: str) -> None:
    if upload.owner is None:
        return
    with spoken_to(upload.owner):
        text = _("Your file {name} could not be kept. {reason}").format(
            name=upload.name or upload.file_name, reason=sentence(reason)
        )
    Message.objects.tell(
        upload.owner,
        event=f"upload:{upload.code}:{reason}",
        about=upload.file_code,
        level=Message.Level.ERROR,
        text=text,
    )
