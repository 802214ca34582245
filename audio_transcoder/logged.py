"""What of a request may stand in a log: nothing that opens a door."""

from __future__ import annotations

import re

# Confirming an address, setting a new password, sending a part, a link that somebody gave out and
# stopping e-mails have their token in the path.
_TOKEN = re.compile(
    r"^(/accounts/(?:confirm-email|password/reset/key)/|/audio/uploads/(?:parts|forms)/|/s/"
    r"|/messages/unsubscribe/)[^/]+"
)


def without_token(path: str) -> str:
    """Return the path with three dots in place of a token."""
    return _TOKEN.sub(r"\1...", path)
