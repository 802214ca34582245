"""HLS content protection: the key, and segments encrypted with it.

Source: API 2012-09-25, HlsContentProtection; RFC 8216, section 4.3.2.4.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from elastic_transcoder.worker.hls import Segment

KEY_BYTES = BLOCK_BYTES = 16
KEY_MEMBERS = ("Key", "KeyMd5", "InitializationVector")
CHUNK = 1 << 20


class BadContentKey(Exception):
    """A given key cannot be used; ``code`` is the API's error code, ``sentence`` says why."""

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(f"{code}: {sentence}")
        self.code = code
        self.sentence = sentence


@dataclass(frozen=True)
class ContentKey:
    """The key and the initialization vector of one playlist: 16 bytes each."""

    key: bytes = field(repr=False)
    iv: bytes

    def members(self) -> dict[str, str]:
        """Return it as members of the API's HlsContentProtection."""
        return {
            "Key": _base64(self.key),
            "KeyMd5": _base64(_md5(self.key)),
            "InitializationVector": _base64(self.iv),
        }


def draw_key() -> ContentKey:
    """Return a key and an initialization vector that nobody knows."""
    return ContentKey(os.urandom(KEY_BYTES), os.urandom(BLOCK_BYTES))


def content_key(protection: dict[str, Any]) -> ContentKey:
    """Return the key that HlsContentProtection gives, or draw one when it gives none.

    There is no key service here: Key is the key itself, in base64, and not wrapped. Raises
    BadContentKey with 4020 for a key that has not 128 bits, and with 1000 for all else: Key,
    KeyMd5 and InitializationVector are given together or not at all, and fit.
    """
    missing = [name for name in KEY_MEMBERS if not protection.get(name)]
    if len(missing) == len(KEY_MEMBERS):
        return draw_key()
    if missing:
        raise BadContentKey(1000, f"{' and '.join(missing)} must be given with the others")
    key, digest, iv = (_decoded(name, protection[name]) for name in KEY_MEMBERS)
    if len(key) != KEY_BYTES:
        raise BadContentKey(4020, f"Key has {len(key) * 8} bit and must have 128")
    if not hmac.compare_digest(digest, _md5(key)):
        raise BadContentKey(1000, "KeyMd5 is not the MD5 digest of Key")
    if len(iv) != BLOCK_BYTES:
        raise BadContentKey(1000, f"InitializationVector has {len(iv)} bytes and must have 16")
    return ContentKey(key, iv)


def _decoded(name: str, value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadContentKey(1000, f"{name} is not base64") from error


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _md5(value: bytes) -> bytes:
    # The API's check against slips, not against anybody.
    return hashlib.md5(value, usedforsecurity=False).digest()


def encrypted_length(length: int) -> int:
    """Return how many bytes a segment of ``length`` bytes has when it is encrypted."""
    return (length // BLOCK_BYTES + 1) * BLOCK_BYTES


def encrypt(source: Path, target: Path, key: bytes, iv: bytes) -> int:
    """Encrypt one segment, a file of its own; return how many bytes it has then.

    AES-128 in CBC mode with PKCS7 padding. Source: RFC 8216, section 4.3.2.4.
    """
    with source.open("rb") as reader, target.open("wb") as writer:
        return _encrypt(reader, source.stat().st_size, writer, key, iv)


def encrypt_ranges(
    source: Path, target: Path, segments: Sequence[Segment], key: bytes, iv: bytes
) -> list[Segment]:
    """Encrypt every segment of a file that holds all, each by itself; return where they are then.

    Raises ValueError when a segment is not wholly in the file.
    """
    encrypted = []
    at = 0
    with source.open("rb") as reader, target.open("wb") as writer:
        for segment in segments:
            reader.seek(segment.offset)
            length = _encrypt(reader, segment.length, writer, key, iv)
            encrypted.append(Segment(segment.duration_s, length, at))
            at += length
    return encrypted


def _encrypt(reader: BinaryIO, length: int, writer: BinaryIO, key: bytes, iv: bytes) -> int:
    cipher = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    padder = padding.PKCS7(BLOCK_BYTES * 8).padder()
    left, written = length, 0
    while left:
        chunk = reader.read(min(CHUNK, left))
        if not chunk:
            raise ValueError("the segment is cut off")
        left -= len(chunk)
        written += writer.write(cipher.update(padder.update(chunk)))
    return written + writer.write(cipher.update(padder.finalize()) + cipher.finalize())
