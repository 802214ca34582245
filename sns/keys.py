"""The key and the certificate that sign messages of our own topics."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

_NAME = "sns.amazonaws.com"  # what the certificates of SNS are made out to
_LIFETIME = timedelta(days=30 * 365)


def ensure(key_file: Path, certificate_file: Path) -> None:
    """Have an RSA-2048 key and its self-signed certificate (X.509 v3) in these files, as PEM.

    What is there and belongs together stays. A certificate alone stays too and no key is made: it
    was brought from the installation whose messages are believed here. Several processes may do
    this at once: each file appears whole or not at all, mode 600; the first key written wins, and
    every certificate is made from the key that stands in the file. Raises ValueError when the key
    file holds something else than an unencrypted RSA key.
    """
    if not key_file.exists():
        if _is_certificate(certificate_file):
            return  # the key is written first, so this is no pair in the making
        _write(key_file, _new_key(), publish=_link)
    key = _read_key(key_file)
    if not certificate_file.exists():
        _write(certificate_file, _new_certificate(key), publish=_link)
    if not _belongs(certificate_file, key):
        _write(certificate_file, _new_certificate(key), publish=os.replace)


def _new_key() -> bytes:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _new_certificate(key: rsa.RSAPrivateKey) -> bytes:
    name = x509.Name(
        [
            x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Audio Transcoder"),
            x509.NameAttribute(x509.NameOID.COMMON_NAME, _NAME),
        ]
    )
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))  # other machines' clocks differ
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(_NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )


def _read_key(key_file: Path) -> rsa.RSAPrivateKey:
    try:
        key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{key_file} holds no unencrypted private key; remove it") from error
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError(f"{key_file} holds another kind of key than RSA; remove it")
    return key


def _belongs(certificate_file: Path, key: rsa.RSAPrivateKey) -> bool:
    certificate = _read_certificate(certificate_file)
    return certificate is not None and certificate.public_key() == key.public_key()


def _is_certificate(certificate_file: Path) -> bool:
    return certificate_file.exists() and _read_certificate(certificate_file) is not None


def _read_certificate(certificate_file: Path) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(certificate_file.read_bytes())
    except ValueError:
        return None


def _link(temporary: Path, path: Path) -> None:
    with contextlib.suppress(FileExistsError):
        os.link(temporary, path)


def _write(path: Path, content: bytes, *, publish: Callable[[Path, Path], None]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # mode 600
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
