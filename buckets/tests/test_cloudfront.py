"""Links and cookies of CloudFront: verified with the public key, as CloudFront does."""

import base64
import json
import time
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

import buckets
from buckets import cloudfront

pytest_plugins = ["buckets.tests.s3_server"]

NOW = 1_790_000_000


@pytest.fixture(scope="module")
def key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def distribution(settings, key, monkeypatch):
    settings.CLOUDFRONT_DOMAIN = "media.example.org"
    settings.CLOUDFRONT_KEY_ID = "K2JCJMDEHXQW5F"
    settings.CLOUDFRONT_KEY = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    monkeypatch.setattr(time, "time", lambda: NOW + 0.5)


def decoded(text):
    return base64.b64decode(text.translate(str.maketrans("-_~", "+=/")))


def verify(key, signature, policy):
    key.public_key().verify(decoded(signature), policy, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303


def canned(url, expires):
    """Source: CloudFront Developer Guide, "Creating a policy statement for a signed URL that
    uses a canned policy": exactly this, without a space."""
    return (
        f'{{"Statement":[{{"Resource":"{url}","Condition":{{"DateLessThan":'
        f'{{"AWS:EpochTime":{expires}}}}}}}]}}'
    ).encode()


def taken_apart(link):
    """The URL that was signed, and the three parameters that CloudFront takes off."""
    url, _, ours = link.partition("&Expires=")
    return url, parse_qs(f"Expires={ours}")


def test_a_link_is_signed_for_this_object_and_this_long(distribution, key):
    link = cloudfront.link(
        "media/renditions/1/2/a.mp3",
        disposition="attachment; filename*=utf-8''M%C3%BCller.mp3",
        content_type="audio/mpeg",
        lives_s=90,
    )
    url, ours = taken_apart(link)
    assert ours["Expires"] == [str(NOW + 90)]
    assert ours["Key-Pair-Id"] == ["K2JCJMDEHXQW5F"]
    verify(key, ours["Signature"][0], canned(url, NOW + 90))
    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc) == ("https", "media.example.org")
    assert parts.path == "/media/renditions/1/2/a.mp3"
    assert parse_qs(parts.query) == {
        "response-content-type": ["audio/mpeg"],
        "response-cache-control": ["private, no-store"],
        "response-content-disposition": ["attachment; filename*=utf-8''M%C3%BCller.mp3"],
    }


def test_a_link_of_another_object_or_a_longer_life_is_not_signed(distribution, key):
    link = cloudfront.link("media/a.mp3", disposition=None, content_type="audio/mpeg", lives_s=90)
    url, ours = taken_apart(link)
    for other in (
        canned(url.replace("a.mp3", "b.mp3"), NOW + 90),
        canned(url, NOW + 91),
        canned(f"{url}&response-content-disposition=inline", NOW + 90),
    ):
        with pytest.raises(InvalidSignature):
            verify(key, ours["Signature"][0], other)


def test_any_key_is_one_path_of_the_distribution(distribution):
    link = cloudfront.link("a b?c#d*é", disposition=None, content_type="audio/mpeg", lives_s=90)
    assert urlsplit(link).path == "/a%20b%3Fc%23d%2A%C3%A9"


def test_cookies_open_what_is_below_a_prefix_and_no_more(distribution, key):
    cookies = cloudfront.cookies("media/renditions/1/2/", lives_s=90)
    policy = decoded(cookies["CloudFront-Policy"])
    verify(key, cookies["CloudFront-Signature"], policy)
    assert cookies["CloudFront-Key-Pair-Id"] == "K2JCJMDEHXQW5F"
    assert json.loads(policy) == {
        "Statement": [
            {
                "Resource": "https://media.example.org/media/renditions/1/2/*",
                "Condition": {"DateLessThan": {"AWS:EpochTime": NOW + 90}},
            }
        ]
    }
    assert not set("+=/ ") & set("".join(cookies.values()))
    with pytest.raises(ValueError, match="whole bucket"):
        cloudfront.cookies("", lives_s=90)


def test_only_the_media_bucket_is_behind_cloudfront(s3, distribution, settings):
    def host(name):
        link = buckets.bucket(name).link(
            "a.mp3", filename="a", content_type="audio/mpeg", inline=True
        )
        return urlsplit(link).netloc

    assert host(settings.MEDIA_BUCKET) == "media.example.org"
    assert host("another-bucket") == urlsplit(s3.url).netloc


def test_a_key_that_is_not_rsa_is_refused(distribution, settings):
    from cryptography.hazmat.primitives.asymmetric import ec

    settings.CLOUDFRONT_KEY = (
        ec.generate_private_key(ec.SECP256R1())
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        .decode()
    )
    with pytest.raises(ValueError, match="RSA"):
        cloudfront.signer()
