"""What an address says of a picture, signed: nobody can ask for sizes that no page shows."""

from __future__ import annotations

from django.core.signing import BadSignature, Signer

from images.sizes import Size

_SALT = "images"


class Forged(Exception):
    """The text is not one that we gave out for this picture."""


def token(original: str, size: Size) -> str:
    """Return the signed text for ``size`` of ``original``, e.g. ``96x96-fill-q82.webp~Kx…``.

    ``original`` names a picture that never changes; it is signed and stands not in the text. There
    is no end to it. It goes into addresses as it is: letters, digits and ``-._~``.
    """
    return f"{size}~{_signer().signature(f'{original} {size}')}"


def opened(original: str, text: str) -> Size:
    """Return the size that ``token()`` was given for this ``original``. Raises Forged."""
    named, _, signature = text.partition("~")
    # Keys that the site had before (SECRET_KEY_FALLBACKS) count.
    try:
        _signer().unsign(f"{original} {named}~{signature}")
        return Size.parse(named)
    except (BadSignature, ValueError) as error:
        raise Forged(text[:80]) from error


def _signer() -> Signer:
    return Signer(salt=_SALT, sep="~")
