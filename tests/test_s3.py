"""The whole journey with objects in S3: only the environment is another."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from moto.server import ThreadedMotoServer
from playwright.sync_api import Page, expect

from tests import sounds
from tests.system import Person, System, wait_for
from tests.test_browser import sign_up, upload
from tests.test_end_to_end import code_of

pytestmark = pytest.mark.s3

BUCKET = "audio-transcoder-test"


@pytest.fixture(scope="session")
def s3() -> Iterator:
    """A client of an S3 server on this machine that holds one private bucket."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        region_name="eu-west-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )
    client.create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    yield client
    server.stop()


@pytest.fixture(scope="session")
def s3_system(s3, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    running = System(
        tmp_path_factory.mktemp("s3-system"),
        AWS_STORAGE_BUCKET_NAME=BUCKET,
        AWS_S3_ENDPOINT_URL=s3.meta.endpoint_url,
        AWS_S3_ADDRESSING_STYLE="path",
        AWS_ACCESS_KEY_ID="test",
        AWS_SECRET_ACCESS_KEY="test",
    ).start()
    yield running
    running.stop()


def keys(s3) -> list[str]:
    return [item["Key"] for item in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]


def test_a_seven_minute_mp3_goes_through_on_s3(
    page: Page, s3, s3_system: System, long_music: Path, tmp_path: Path
):
    sign_up(page, s3_system, "ada")
    upload(page, s3_system, long_music)
    code = code_of(page.url + "/")
    expect(page.get_by_text("Your file Seven minutes is ready.").first).to_be_visible(
        timeout=120_000
    )

    assert f"media/uploads/{code}/source" in keys(s3)
    assert len([key for key in keys(s3) if key.startswith(f"media/renditions/{code}/")]) == 3
    for name in ("WAV", "FLAC", "MP4"):
        with page.expect_download() as started:
            page.get_by_role("link", name=re.compile(f"Download.*{name}")).first.click()
        path = tmp_path / started.value.suggested_filename
        started.value.save_as(path)
        assert path.name == f"Seven minutes.{name.lower()}"
        assert sounds.decoded_seconds(path) == pytest.approx(420, abs=0.1)


def test_a_deleted_file_leaves_no_object_on_s3(s3, s3_system: System, music: Path):
    person = Person(s3_system, "grace").sign_up()
    location = person.upload(music)
    person.wait_until_ready()
    code = code_of(location)
    assert len([key for key in keys(s3) if code in key]) == 4

    person.post(f"{location}delete/", {})

    wait_for(lambda: not [key for key in keys(s3) if code in key], "an empty bucket", 10)


def test_s17_links_to_objects_are_signed_and_short_lived(s3, s3_system: System, music: Path):
    person = Person(s3_system, "linus").sign_up()
    location = person.upload(music, ("flac",))
    person.wait_until_ready()
    answer = person.get(f"{location}download/flac/", allow_redirects=False)
    assert answer.status_code == 302
    link = answer.headers["Location"]
    assert "X-Amz-Signature=" in link
    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in link
    assert "no-store" in answer.headers["Cache-Control"]
    fetched = person.get(f"{location}download/flac/")
    assert "Five%20seconds.flac" in fetched.headers["Content-Disposition"] or (
        'filename="Five seconds.flac"' in fetched.headers["Content-Disposition"]
    )
