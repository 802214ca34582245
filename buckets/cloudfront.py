"""Signed addresses of the media bucket's objects on a CloudFront distribution.

The bucket stays private: the distribution reads it with an origin access control, and asks
people for a signature by the key whose public half it knows (a trusted key group). It has to
pass ``response-content-disposition``, ``response-content-type`` and ``response-cache-control``
on to the bucket, which answers with these headers.

Source: Amazon CloudFront Developer Guide, "Use signed URLs" and "Use signed cookies": RSA with
SHA-1 over the policy, base64 with ``+=/`` written as ``-_~``.
"""

from __future__ import annotations

import base64
import functools
import time
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

from botocore.signers import CloudFrontSigner
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from django.conf import settings


def link(key: str, *, disposition: str | None, content_type: str, lives_s: int) -> str:
    """Return a URL of the object that lives ``lives_s`` seconds, by a canned policy."""
    headers = {
        "response-content-type": content_type,
        "response-cache-control": "private, no-store",
    }
    if disposition:
        headers["response-content-disposition"] = disposition
    url = f"{_address(key)}?{urlencode(headers, quote_via=quote)}"
    return signer().generate_presigned_url(url, date_less_than=_in(lives_s))


def cookies(prefix: str, *, lives_s: int) -> dict[str, str]:
    """Return three cookies that open every object whose key begins with ``prefix``.

    By a custom policy, for players that read many objects. Whoever sets them says ``Secure``,
    ``HttpOnly``, ``SameSite=None`` and a domain that covers CLOUDFRONT_DOMAIN.
    """
    if not prefix:
        raise ValueError("An empty prefix would open the whole bucket.")
    by = signer()
    policy = by.build_policy(f"{_address(prefix)}*", date_less_than=_in(lives_s)).encode()
    return {
        "CloudFront-Policy": _in_base64(policy),
        "CloudFront-Signature": _in_base64(by.rsa_signer(policy)),
        "CloudFront-Key-Pair-Id": by.key_id,
    }


def signer() -> CloudFrontSigner:
    """Return the signer with CLOUDFRONT_KEY_ID and CLOUDFRONT_KEY. Raises ValueError."""
    return CloudFrontSigner(settings.CLOUDFRONT_KEY_ID, _signing(settings.CLOUDFRONT_KEY))


@functools.lru_cache(maxsize=2)
def _signing(pem: str) -> Callable[[bytes], bytes]:
    key = serialization.load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("not an RSA key")
    # SHA-1 is what CloudFront verifies.
    return lambda policy: key.sign(policy, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303


def _address(key: str) -> str:
    return f"https://{settings.CLOUDFRONT_DOMAIN}/{quote(key)}"


def _in(seconds: int) -> datetime:
    return datetime.fromtimestamp(int(time.time()) + seconds, UTC)


def _in_base64(data: bytes) -> str:
    return base64.b64encode(data).decode().translate(str.maketrans("+=/", "-_~"))
