"""Access keys of the API: made, looked up, switched off. Secrets are stored encrypted."""

from __future__ import annotations

import base64
import logging
import secrets
import string
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.db import OperationalError, transaction
from django.db.models import Q

from elastic_transcoder.models import AccessKey

logger = logging.getLogger(__name__)

_ID_ALPHABET = string.ascii_uppercase + "234567"
# How exactly the last use of a key is known: a call must not cost a write each time.
USE_IS_NOTED_EVERY = timedelta(hours=1)


@dataclass(frozen=True)
class Caller:
    """The key that a call names; ``secret`` is None where it is disabled or unreadable."""

    key_id: int
    name: str
    secret: str | None
    last_used_at: datetime | None


def create(name: str) -> tuple[AccessKey, str]:
    """Make an access key; return it and its secret, which is shown this once.

    Both look like Amazon's: an id of 20 capitals and digits that begins with ``AKIA``, a secret
    of 40 characters. Raises ValueError as ``check_name`` does.
    """
    check_name(name)
    access_key_id = "AKIA" + "".join(secrets.choice(_ID_ALPHABET) for _ in range(16))
    secret = secrets.token_urlsafe(30)
    key = AccessKey.objects.create(
        access_key_id=access_key_id, name=name, encrypted_secret=_encrypt(secret)
    )
    return key, secret


def check_name(name: str) -> None:
    """Raise ValueError for a name that cannot stand in a list or a log."""
    longest = AccessKey._meta.get_field("name").max_length
    if not name.strip() or len(name) > longest or not name.isprintable():
        raise ValueError(
            f"A key's name has 1 to {longest} printable characters, not all spaces: {name[:200]!r}."
        )


def enable(access_key_id: str) -> bool:
    """Let the key sign again; return whether there is such a key."""
    return AccessKey.objects.filter(access_key_id=access_key_id).update(is_enabled=True) == 1


def disable(access_key_id: str) -> bool:
    """Refuse what the key signs from now on; return whether there is such a key."""
    return AccessKey.objects.filter(access_key_id=access_key_id).update(is_enabled=False) == 1


def caller(access_key_id: str) -> Caller | None:
    """Return who calls with this key, or None when it is unknown. One query."""
    row = (
        AccessKey.objects.filter(access_key_id=access_key_id)
        .values_list("pk", "name", "encrypted_secret", "is_enabled", "last_used_at")
        .first()
    )
    if row is None:
        return None
    pk, name, token, is_enabled, last_used_at = row
    return Caller(pk, name, _decrypt(token) if is_enabled else None, last_used_at)


def note_use(caller: Caller, now: datetime) -> None:
    """Have the table say that the key was used, unless it says so of the last hour already."""
    before = now - USE_IS_NOTED_EVERY
    if caller.last_used_at is not None and caller.last_used_at > before:
        return
    stale = AccessKey.objects.filter(
        Q(last_used_at=None) | Q(last_used_at__lte=before), pk=caller.key_id
    )
    try:
        stale.update(last_used_at=now)
    except OperationalError as error:  # busy; no call is refused for that, the next one tries
        logger.info("access key %s: its use was not noted: %s", caller.key_id, error)


def ensure_default_key() -> AccessKey:
    """Return the key pair of the settings from the table, after putting it there if need be.

    A key that an operator disabled stays disabled. The secret follows the setting.
    """
    access_key_id = settings.TRANSCODER_ACCESS_KEY_ID
    secret = settings.TRANSCODER_SECRET_ACCESS_KEY
    with transaction.atomic():
        key, is_new = AccessKey.objects.get_or_create(
            access_key_id=access_key_id,
            defaults={"name": "This site", "encrypted_secret": _encrypt(secret)},
        )
        if not is_new and _decrypt(key.encrypted_secret) != secret:
            key.encrypted_secret = _encrypt(secret)
            key.save(update_fields=["encrypted_secret"])
    return key


def _encrypt(secret: str) -> str:
    return _fernet(_site_secrets()).encrypt(secret.encode()).decode()


def _decrypt(token: str) -> str | None:
    try:
        return _fernet(_site_secrets()).decrypt(token.encode()).decode()
    except InvalidToken:
        logger.warning("an access key was stored under another SECRET_KEY and cannot be used")
        return None


def _site_secrets() -> tuple[str, ...]:
    return (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)


@lru_cache(maxsize=4)
def _fernet(site_secrets: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(_derive(secret)) for secret in site_secrets])


def _derive(site_secret: str) -> bytes:
    derived = HKDF(hashes.SHA256(), length=32, salt=None, info=b"elastic_transcoder access keys")
    return base64.urlsafe_b64encode(derived.derive(site_secret.encode()))
