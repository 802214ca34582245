"""Links to a sound, for people without an account."""

from __future__ import annotations

import base64
import uuid
from datetime import timedelta

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.db import models, transaction
from django.db.models import F, Prefetch, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy

from audio_transcoder.models.files import AudioFile
from audio_transcoder.models.jobs import Rendition


class TooManyShares(Exception):
    """The file has as many links that work as one file may have."""


class ShareQuerySet(models.QuerySet["Share"]):
    def lasting(self) -> ShareQuerySet:
        """Those that have not ended."""
        lasts = Q(expires_at__isnull=True) | Q(expires_at__gt=timezone.now())
        return self.filter(lasts, revoked_at__isnull=True)

    def working(self) -> ShareQuerySet:
        """Those whose link opens something now: an account that was disabled shares nothing."""
        return self.lasting().filter(audio_file__owner__is_active=True)

    def with_sounds(self) -> ShareQuerySet:
        """Everything that the page of a link shows, in one more query."""
        renditions = Rendition.objects.order_by("id").select_related("job")
        return self.select_related("audio_file").prefetch_related(
            Prefetch("audio_file__renditions", renditions)
        )

    def for_list(self) -> ShareQuerySet:
        """What their owner's lists show of them, in the same query."""
        return self.select_related("audio_file", "rendition__job", "rendition__audio_file")

    def of_page(self, audio_file: AudioFile) -> list[Share]:
        """Return the lasting ones of a file that was read ``with_work``, for its owner's page."""
        results = {one.pk: one for one in audio_file.renditions.all()}
        shares = list(self.lasting().filter(audio_file=audio_file))
        for share in shares:
            share.audio_file = audio_file
            share.rendition = results.get(share.rendition_id)
        return shares

    def revoke(self) -> int:
        """Let these links open nothing any more; return how many worked until now."""
        return self.working().update(revoked_at=timezone.now())

    revoke.alters_data = True


class Share(models.Model):
    """One link to a file's results, or to one of them, that its owner gave out.

    Whoever has the link needs no account. Its token is ``code`` with our signature: so the owner
    can copy the link again whenever it is wanted, and yet nobody makes links of a copy of the
    database, which lacks the key. The signature has 256 bits; a guess never reaches the database.
    """

    class State(models.TextChoices):
        WORKING = "working", gettext_lazy("works")
        EXPIRED = "expired", gettext_lazy("expired")
        REVOKED = "revoked", gettext_lazy("revoked")

    # A file's links that work at the same time.
    MOST_OF_A_FILE = 50
    # The same link asked for again within this time is a form that was sent twice.
    AGAIN = timedelta(seconds=10)

    code = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    audio_file = models.ForeignKey(AudioFile, on_delete=models.CASCADE, related_name="shares")
    # None: whatever is ready when somebody looks.
    rendition = models.ForeignKey(
        Rendition, on_delete=models.CASCADE, null=True, blank=True, related_name="shares"
    )
    with_original = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, blank=True)  # None: it works until it is revoked
    revoked_at = models.DateTimeField(null=True, blank=True)
    listens = models.PositiveIntegerField(default=0)
    downloads = models.PositiveIntegerField(default=0)
    last_used_at = models.DateTimeField(null=True, blank=True)  # to hear or to keep something

    objects = ShareQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return str(self.code)

    @classmethod
    def give(
        cls,
        audio_file: AudioFile,
        *,
        rendition: Rendition | None,
        with_original: bool,
        lasts: timedelta | None,
    ) -> Share:
        """Return a new link; ``lasts`` None: until it is revoked. Raises TooManyShares.

        The same asked for twice within AGAIN is one link. Raises AudioFile.DoesNotExist for a
        file that was deleted meanwhile.
        """
        now = timezone.now()
        with transaction.atomic():
            # Two tabs, or one impatient person, may ask at once: the second one waits here.
            AudioFile.objects.select_for_update().get(pk=audio_file.pk)
            working = audio_file.shares.working()
            same = working.filter(
                rendition=rendition,
                with_original=with_original,
                expires_at__isnull=lasts is None,
                created_at__gt=now - cls.AGAIN,
            )
            for before in same:
                if lasts is None or before.expires_at - before.created_at == lasts:
                    return before
            if working.count() >= cls.MOST_OF_A_FILE:
                raise TooManyShares
            return cls.objects.create(
                audio_file=audio_file,
                rendition=rendition,
                with_original=with_original,
                created_at=now,
                expires_at=now + lasts if lasts is not None else None,
            )

    @staticmethod
    def code_of(token: str) -> uuid.UUID | None:
        """Return the code that a link's token holds; None for a forged one. Reads no row."""
        try:
            text = _signer().unsign(token)
            return uuid.UUID(bytes=base64.urlsafe_b64decode(f"{text}=="))
        except (BadSignature, ValueError):
            return None

    @property
    def token(self) -> str:
        """The last part of the link: what whoever has it shows us."""
        text = base64.urlsafe_b64encode(self.code.bytes).decode().rstrip("=")
        return _signer().sign(text)

    @property
    def link(self) -> str:
        """The whole address, to be given to others."""
        return settings.SITE_URL + reverse("shared", args=[self.token])

    @property
    def state(self) -> str:
        if self.revoked_at is not None:
            return self.State.REVOKED
        has_ended = self.expires_at is not None and self.expires_at <= timezone.now()
        return self.State.EXPIRED if has_ended else self.State.WORKING

    @property
    def is_working(self) -> bool:
        return self.state == self.State.WORKING

    @property
    def ready_renditions(self) -> list[Rendition]:
        """What of it can be had now; of a share read ``with_sounds``."""
        if self.rendition_id is None:
            return self.audio_file.ready_renditions
        found = self.audio_file.renditions.all()
        return [one for one in found if one.pk == self.rendition_id and one.is_ready]

    def note_use(self, *, listens: int = 0, downloads: int = 0) -> None:
        """Count what somebody heard or took."""
        Share.objects.filter(pk=self.pk).update(
            listens=F("listens") + listens,
            downloads=F("downloads") + downloads,
            last_used_at=timezone.now(),
        )


def _signer() -> Signer:
    # Only letters, digits and "-_." are in it: whatever finds addresses in a text takes it whole.
    return Signer(salt="share", sep=".")
