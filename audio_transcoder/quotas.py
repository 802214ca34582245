"""What one person may keep and upload: counted here for the pages that tell it, and enforced."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import BigIntegerField, Case, Count, F, Q, QuerySet, Sum, Value, When
from django.db.models.functions import Coalesce, Greatest
from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from audio_transcoder.formats import FORMATS
from audio_transcoder.models import AudioFile, DeletedFile, Rendition, TranscodeJob, Upload

LABELS: dict[str, str | Promise] = {
    "bytes": gettext_lazy("Uploaded files together"),
    "files": gettext_lazy("Files"),
    "files_today": gettext_lazy("Files uploaded in the last 24 hours"),
    "result_bytes": gettext_lazy("Results together"),
}


class OverQuota(Exception):
    """The person may not keep, or have made, any more; ``reason``: a code of ``reasons``."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Quota:
    """One limit and what is used of it; ``limit`` 0: there is none."""

    name: str  # of ``LABELS``
    used: int
    limit: int

    @property
    def left(self) -> int | None:
        """What may still come; None: as much as they like."""
        return max(0, self.limit - self.used) if self.limit else None

    @property
    def is_used_up(self) -> bool:
        return self.left == 0

    @property
    def reason(self) -> str:
        """Why something is refused that goes beyond it."""
        return "result_quota" if self.name == "result_bytes" else "quota"

    @property
    def label(self) -> str:
        return str(LABELS[self.name])

    @property
    def words(self) -> str:
        used, limit = self._amount(self.used), self._amount(self.limit)
        if not self.limit:
            return _("%(used)s, no limit") % {"used": used}
        return _("%(used)s of %(limit)s") % {"used": used, "limit": limit}

    def _amount(self, number: int) -> str:
        is_size = self.name.endswith("bytes")
        return filesizeformat(number) if is_size else number_format(number, force_grouping=True)


def quotas_of(
    owner: AbstractBaseUser,
    names: Iterable[str] = tuple(LABELS),
    *,
    coming: QuerySet[Upload] | None = None,
    with_unlimited: bool = False,
) -> dict[str, Quota]:
    """Return the limits of ``owner`` by name.

    ``coming``: uploads that count as if they had arrived. What has no limit is neither counted nor
    returned, unless it is ``with_unlimited``.
    """
    limits = {
        "bytes": settings.QUOTA_BYTES,
        "files": settings.QUOTA_FILES,
        "files_today": settings.QUOTA_FILES_PER_DAY,
        "result_bytes": settings.QUOTA_RESULT_BYTES,
    }
    wanted = [name for name in names if limits[name] or with_unlimited]
    used = _used(owner, wanted)
    more = _used_by(coming) if wanted and coming is not None else {}
    return {name: Quota(name, used[name] + more.get(name, 0), limits[name]) for name in wanted}


def require_room(
    owner: AbstractBaseUser, size_bytes: int, *, coming: QuerySet[Upload] | None = None
) -> None:
    """Raise OverQuota if ``owner`` may not keep another file of this size.

    ``coming``: uploads that count as if they had arrived.
    """
    for quota in quotas_of(owner, ("bytes", "files", "files_today"), coming=coming).values():
        _require(quota, size_bytes if quota.name == "bytes" else 1)


def require_room_for_results(owner: AbstractBaseUser) -> None:
    """Raise OverQuota if the results of ``owner`` take all the space they may.

    Asked before something is begun: a file that is on its way, or a job that was ordered, is
    finished. How large a result gets is known once it is there, until then it counts as most do;
    so the last ones may go beyond.
    """
    for quota in quotas_of(owner, ("result_bytes",)).values():
        _require(quota, 1)


@contextmanager
def room_for_results(owner: AbstractBaseUser) -> Iterator[None]:
    """Let something be ordered in a transaction, after the other orders of ``owner``.

    Raises OverQuota as ``require_room_for_results`` does.
    """
    with transaction.atomic():
        wait_for_others_of(owner.pk)
        require_room_for_results(owner)
        yield


def wait_for_others_of(owner_id: int) -> None:
    """Let uploads and orders of one person commit one after the other: each sees the others' rows.

    Until the caller's transaction ends, the next one waits here.
    """
    # Not their keys: a job that ends holds its file, which an order waits for, and then refers to
    # the person in its message.
    people = get_user_model().objects.select_for_update(no_key=True)
    list(people.filter(pk=owner_id))


def _require(quota: Quota, more: int) -> None:
    if quota.left is not None and more > quota.left:
        raise OverQuota(quota.reason)


def _used(owner: AbstractBaseUser, names: Iterable[str]) -> dict[str, int]:
    used = _used_by_files(owner, names)
    if "result_bytes" in names:
        results = Rendition.objects.filter(audio_file__owner=owner)
        made = results.aggregate(size=Sum("size_bytes"))["size"] or 0
        used["result_bytes"] = made + _about_to_come(results)
    return used


def _used_by_files(owner: AbstractBaseUser, names: Iterable[str]) -> dict[str, int]:
    """Return what files use of those limits ``names`` that count uploads."""
    a_day_ago = timezone.now() - DeletedFile.COUNTS_FOR
    ways = {
        "bytes": Sum("size_bytes"),
        "files": Count("pk"),
        "files_today": Count("pk", filter=Q(created_at__gt=a_day_ago)),
    }
    wanted = {name: ways[name] for name in names if name in ways}
    if not wanted:
        return {}
    # Grouped by what is the same in all, so that there is no row where there are no files.
    rows = AudioFile.objects.filter(owner=owner).order_by().values("owner")
    rows = rows.annotate(**wanted).values(*wanted)
    if "files_today" in wanted:
        nothing = dict.fromkeys(wanted, Value(0))
        gone = DeletedFile.objects.filter(owner=owner, uploaded_at__gt=a_day_ago).values("owner")
        gone = gone.annotate(**{**nothing, "files_today": Count("pk")})
        # In one statement: a file that is deleted meanwhile counts once.
        rows = rows.union(gone.values(*wanted), all=True)
    return {name: sum(row[name] for row in rows) for name in wanted}


def _about_to_come(results: QuerySet[Rendition]) -> int:
    """Return about how many bytes those of them get that are ordered and not there yet."""
    number = BigIntegerField()
    end_ms = Coalesce("job__clip_end_ms", "audio_file__duration_ms", output_field=number)
    start_ms = Coalesce("job__clip_start_ms", 0, output_field=number)
    usual = [When(format_name=one.name, then=one.about_kbps) for one in FORMATS.values()]
    kbps = Coalesce("wanted_bitrate_kbps", Case(*usual), output_field=number)
    upload = F("audio_file__size_bytes")
    size = Coalesce((end_ms - start_ms) * kbps / 8, upload, output_field=number)
    size = Greatest(size, 0)  # the sound may prove shorter than the part that is asked for
    are_open = Q(job__status__in=TranscodeJob.OPEN, status__in=TranscodeJob.OPEN)
    # Of each owner's files there is an index by state.
    are_open &= Q(audio_file__kept_state__in=AudioFile.OPEN)
    coming = results.filter(are_open).annotate(about=size)
    return coming.aggregate(size=Sum("about"))["size"] or 0


def _used_by(coming: QuerySet[Upload]) -> dict[str, int]:
    found = coming.aggregate(bytes=Sum("size_bytes"), files=Count("pk"))
    return {**found, "files_today": found["files"], "bytes": found["bytes"] or 0}
