"""A pytest plugin: buckets on S3 servers that can be made to misbehave.

Two servers: moto, quick and lenient, and Ceph's radosgw, which checks signatures as Amazon does.
In front of either stands the proxy that has the faults.

PYTEST_DONT_REWRITE: test modules import it by name before pytest loads it as a plugin.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from moto.server import ThreadedMotoServer

from tests.faulty_proxy import FaultyProxy
from tests.radosgw import Keys, S3Server

REGION = "eu-west-1"
ON_S3 = ("moto", "radosgw")
KINDS = ["moto", pytest.param("radosgw", marks=pytest.mark.s3)]


@dataclass
class S3:
    """A server behind its proxy; ``bucket`` is a fresh one that the settings name."""

    kind: str
    proxy: FaultyProxy
    keys: Keys
    others: list[Keys]  # two people who can be granted something
    bucket: str = ""

    @property
    def url(self) -> str:
        return self.proxy.url

    def client(self) -> BaseClient:
        """Return a client of somebody else's, without our conditions."""
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=self.keys.access_key_id,
            aws_secret_access_key=self.keys.secret_access_key,
        )

    def make_bucket(self, name: str) -> str:
        # Ceph knows no places of Amazon's; moto demands one outside us-east-1.
        place = {"CreateBucketConfiguration": {"LocationConstraint": REGION}}
        self.client().create_bucket(Bucket=name, **(place if self.kind == "moto" else {}))
        return name


@pytest.fixture(scope="session")
def moto_behind_proxy() -> Iterator[S3]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with FaultyProxy(f"http://{host}:{port}") as proxy:
        others = [Keys("other", "secret", name) for name in ("1234abcd", "5678")]
        yield S3("moto", proxy, Keys("testing", "testing-secret"), others)
    server.stop()


@pytest.fixture(scope="session")
def radosgw_behind_proxy(s3_server: S3Server) -> Iterator[S3]:
    with FaultyProxy(s3_server.url) as proxy:
        yield S3("radosgw", proxy, s3_server.user(), [s3_server.user(), s3_server.user()])


@pytest.fixture
def use_s3(request: Any, settings: Any, monkeypatch: Any) -> Iterator[Any]:
    """Return a function that makes every bucket one on the server of the given kind."""
    used = []

    def use(kind: str) -> S3:
        s3 = request.getfixturevalue(f"{kind}_behind_proxy")
        for name, value in (
            ("AWS_ACCESS_KEY_ID", s3.keys.access_key_id),
            ("AWS_SECRET_ACCESS_KEY", s3.keys.secret_access_key),
            ("AWS_CONFIG_FILE", "/nowhere"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/nowhere"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ):
            monkeypatch.setenv(name, value)
        s3.bucket = s3.make_bucket(f"bucket-{uuid.uuid4().hex[:12]}")
        settings.AWS_STORAGE_BUCKET_NAME = settings.MEDIA_BUCKET = s3.bucket
        settings.AWS_S3_ENDPOINT_URL = s3.url
        settings.AWS_S3_ADDRESSING_STYLE = "path"
        settings.AWS_S3_REGION_NAME = REGION
        s3.proxy.requests.clear()
        used.append(s3)
        return s3

    yield use
    unmet = [line for s3 in used for line in s3.proxy.heal()]
    assert not unmet, f"the test set up faults that nothing met: {unmet}"


@pytest.fixture(params=KINDS)
def s3(request: Any, use_s3: Any) -> S3:
    """The server, with settings that make every bucket one of its own, and a fresh bucket."""
    return use_s3(request.param)


@pytest.fixture(params=["folder", *KINDS, pytest.param("azure", marks=pytest.mark.azure)])
def kind_of_bucket(request: Any, settings: Any, tmp_path: Any) -> str:
    """Run the test on every kind: settings.MEDIA_BUCKET names an empty bucket."""
    return _use(request, settings, tmp_path)


@pytest.fixture(params=["folder", *KINDS])
def kind_with_parts(request: Any, settings: Any, tmp_path: Any) -> str:
    """The same on the kinds that take an object in parts."""
    return _use(request, settings, tmp_path)


def _use(request: Any, settings: Any, tmp_path: Any) -> str:
    if request.param == "azure":
        request.getfixturevalue("azure")
    elif request.param == "folder":
        settings.BUCKETS_DIR = tmp_path / "buckets"
    else:
        request.getfixturevalue("use_s3")(request.param)
    return request.param


def make_bucket(kind: str, bucket: Any) -> None:
    """Make a second bucket of this kind, which is not there yet; folders make themselves."""
    if kind in ON_S3:
        # Ceph knows no places of Amazon's; moto demands one outside us-east-1.
        place = {"CreateBucketConfiguration": {"LocationConstraint": REGION}}
        bucket.s3.create_bucket(Bucket=bucket.name, **(place if kind == "moto" else {}))
    elif kind == "azure":
        bucket.storage.client.create_container()
