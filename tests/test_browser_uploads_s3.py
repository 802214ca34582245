"""Uploads from a real browser straight into a bucket on a real S3 server."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from botocore.client import BaseClient
from playwright.sync_api import Page, expect

from audio_transcoder.doctor import storage
from tests import radosgw
from tests.faulty_proxy import FaultyProxy
from tests.system import System, wait_for
from tests.test_browser_uploads import MIB, Uploads, code_of, sha256, uppy, wav

__all__ = ["uppy"]

pytestmark = [pytest.mark.browser, pytest.mark.s3]


@dataclass
class OnS3:
    """A site of its own whose files are in a bucket of its own."""

    system: System
    client: BaseClient
    bucket: str

    def sha256(self, url: str) -> str:
        """Return the hash of the object of the file on that page, as the store hands it out."""
        key = f"media/uploads/{code_of(url)}/source"
        body = self.client.get_object(Bucket=self.bucket, Key=key)["Body"]
        digest = hashlib.sha256()
        for chunk in body.iter_chunks(MIB):
            digest.update(chunk)
        return digest.hexdigest()

    def unfinished(self) -> list[dict]:
        return self.client.list_multipart_uploads(Bucket=self.bucket).get("Uploads", [])


@pytest.fixture
def on_s3(uppy: None, s3_server: radosgw.S3Server, tmp_path: Path) -> Iterator[OnS3]:
    with site_on(s3_server, s3_server.url, tmp_path) as found:
        yield found


@contextlib.contextmanager
def site_on(s3_server: radosgw.S3Server, endpoint_url: str, folder: Path) -> Iterator[OnS3]:
    """Run a site that reaches the server, as its browsers do, by ``endpoint_url``."""
    keys = s3_server.user()
    bucket = s3_server.bucket(keys)
    client = s3_server.client(keys)
    system = System(
        folder,
        AWS_STORAGE_BUCKET_NAME=bucket,
        AWS_S3_ENDPOINT_URL=endpoint_url,
        AWS_S3_ADDRESSING_STYLE="path",
        AWS_S3_REGION_NAME=radosgw.REGION,
        AWS_ACCESS_KEY_ID=keys.access_key_id,
        AWS_SECRET_ACCESS_KEY=keys.secret_access_key,
        UPLOADS_PER_MINUTE=0,
    )
    client.put_bucket_cors(
        Bucket=bucket,
        CORSConfiguration={
            "CORSRules": [
                {
                    "AllowedOrigins": [system.url],
                    "AllowedMethods": ["GET", "PUT", "POST"],
                    "AllowedHeaders": ["*"],
                    "ExposeHeaders": ["ETag"],
                }
            ]
        },
    )
    try:
        yield OnS3(system.start(), client, bucket)
    finally:
        system.stop()


def test_a_gigabyte_interrupted_three_times_arrives_bit_by_bit(
    page: Page, on_s3: OnS3, tmp_path: Path
):
    recording = wav(tmp_path / "The whole night.wav", 1024 * MIB)
    uploads = Uploads(page, on_s3.system)
    uploads.line(40)
    uploads.choose(recording)
    uploads.page.get_by_label("FLAC").uncheck()
    uploads.page.get_by_label("MP4").uncheck()
    uploads.send()

    uploads.wait_for_parts(10)
    uploads.line(is_up=False)
    expect(uploads.row(recording)).to_contain_text("No connection. It goes on by itself.")
    uploads.line(40)
    uploads.wait_for_parts(25)

    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    expect(page.get_by_role("region", name="Unfinished")).to_contain_text(recording.name)
    uploads.choose(recording, label="The file to go on with")
    uploads.wait_for_parts(40)

    on_s3.system.stop()
    expect(uploads.row(recording)).to_contain_text("Trying again", timeout=60_000)
    on_s3.system.start()
    uploads.line()

    url = uploads.location()
    assert on_s3.sha256(url) == sha256(recording)
    assert len(uploads.sent_twice()) < 3
    assert on_s3.unfinished() == []
    assert uploads.violations == []


def test_a_bucket_that_hides_etags_is_uploaded_to_all_the_same(
    page: Page, on_s3: OnS3, tmp_path: Path
):
    rules = on_s3.client.get_bucket_cors(Bucket=on_s3.bucket)["CORSRules"]
    for rule in rules:
        rule.pop("ExposeHeaders", None)
    on_s3.client.put_bucket_cors(Bucket=on_s3.bucket, CORSConfiguration={"CORSRules": rules})
    song = wav(tmp_path / "Song.wav", 20 * MIB)
    uploads = Uploads(page, on_s3.system)
    uploads.choose(song)
    uploads.send()

    assert on_s3.sha256(uploads.location()) == sha256(song)


def test_the_doctor_asks_the_bucket_what_the_page_asks_it(
    page: Page, uppy: None, s3_server: radosgw.S3Server, tmp_path: Path
):
    with FaultyProxy(s3_server.url) as proxy, site_on(s3_server, proxy.url, tmp_path) as on_s3:
        uploads = Uploads(page, on_s3.system)
        uploads.choose(wav(tmp_path / "Song.wav", 20 * MIB))
        uploads.send()
        uploads.location()
        preflights = proxy.asked("OPTIONS")

    assert preflights
    wanted = {name.lower(): value for name, value in storage.PREFLIGHT.items()}
    for one in preflights:
        questions = {name: one.headers[name] for name in one.headers if "-request-" in name}
        assert questions == wanted
        assert one.headers["origin"] == on_s3.system.url


def test_canceling_leaves_no_parts_in_the_bucket(page: Page, on_s3: OnS3, tmp_path: Path):
    song = wav(tmp_path / "Song.wav", 40 * MIB)
    uploads = Uploads(page, on_s3.system)
    uploads.line(10)
    uploads.choose(song)
    uploads.send()
    uploads.wait_for_parts(1)
    assert len(on_s3.unfinished()) == 1
    with page.expect_response(lambda answer: answer.request.method == "DELETE") as gone:
        uploads.press("Cancel", song)

    assert gone.value.ok
    wait_for(lambda: not on_s3.unfinished(), "an empty bucket", 30)
