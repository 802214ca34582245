"""Why a direct upload is not done: one code, with its HTTP status and its sentence."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

# A refusal's status; 422 where none is named.
STATUSES = {
    "signed_out": 401,
    "foreign": 403,
    "unknown": 404,
    "method": 405,
    "missing": 409,
    "finished": 409,
    "expired": 410,
    "no_length": 411,
    "too_large": 413,
    "packed": 415,
    "busy": 423,
    "flood": 429,
    "broken": 400,
}
SENTENCES: dict[str, str | Promise] = {
    "signed_out": _("You are signed out. Sign in and try again."),
    "foreign": _("This did not come from a page of this site."),
    "unknown": _("There is no such upload any more. Please begin again."),
    "method": _("That is not done here."),
    "missing": _("Parts of the file have not arrived. Please go on with the upload."),
    "finished": _("This upload is finished."),
    "expired": _("This address was not used in time. Please go on with the upload."),
    "no_length": _("The length of the part was not said."),
    "packed": _("Parts are sent as they are, not packed."),
    "busy": _("The same part is being sent from elsewhere."),
    "broken": _("The request cannot be read."),
    "invalid": _("What was said of the file cannot be used. Choose a file and try again."),
    "size_differs": _("The file has changed since the upload began. Please begin again."),
}


class Refused(Exception):
    """This is not done; ``reason`` is a code, ``missing`` names parts that are not as they should.

    Reasons are those of ``SENTENCES`` here and of ``audio_transcoder.reasons``.
    """

    def __init__(self, reason: str, *, missing: Sequence[int] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.missing = list(missing)
