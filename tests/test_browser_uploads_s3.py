"""Uploads from a real browser straight into a bucket on a real S3 server."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from audio_transcoder.doctor import storage
from tests.faulty_proxy import FaultyProxy
from tests.radosgw import S3Server
from tests.system import SystemOnS3, wait_for
from tests.test_browser_uploads import MIB, Uploads, code_of, sha256, uppy, wav

__all__ = ["uppy"]

pytestmark = [pytest.mark.browser, pytest.mark.s3]


class OnS3(SystemOnS3):
    def sha256(self, url: str) -> str:
        """Return the hash of the object of the file on that page, as the store hands it out."""
        key = f"media/uploads/{code_of(url)}/source"
        body = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"]
        digest = hashlib.sha256()
        for chunk in body.iter_chunks(MIB):
            digest.update(chunk)
        return digest.hexdigest()

    def unfinished(self) -> list[dict]:
        return self.s3.list_multipart_uploads(Bucket=self.bucket).get("Uploads", [])


@pytest.fixture(scope="module")
def on_s3(
    uppy: None, s3_server: S3Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OnS3]:
    folder = tmp_path_factory.mktemp("uploads-on-s3")
    running = OnS3(folder, s3_server, UPLOADS_PER_MINUTE=0)
    yield running.start()
    running.stop()


@pytest.fixture
def hidden_etags(on_s3: OnS3) -> Iterator[None]:
    rules = on_s3.s3.get_bucket_cors(Bucket=on_s3.bucket)["CORSRules"]
    hiding = [{**rule, "ExposeHeaders": []} for rule in rules]
    on_s3.s3.put_bucket_cors(Bucket=on_s3.bucket, CORSConfiguration={"CORSRules": hiding})
    yield
    on_s3.s3.put_bucket_cors(Bucket=on_s3.bucket, CORSConfiguration={"CORSRules": rules})


def test_a_gigabyte_interrupted_three_times_arrives_bit_by_bit(
    page: Page, on_s3: OnS3, tmp_path: Path
):
    recording = wav(tmp_path / "The whole night.wav", 1024 * MIB)
    uploads = Uploads(page, on_s3)
    uploads.line(40)
    uploads.choose(recording)
    uploads.page.get_by_label("FLAC CD").uncheck()
    uploads.page.get_by_role("checkbox", name="MP4").uncheck()
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

    on_s3.stop()
    expect(uploads.row(recording)).to_contain_text("Trying again", timeout=60_000)
    on_s3.start()
    uploads.line()

    url = uploads.location()
    assert on_s3.sha256(url) == sha256(recording)
    assert len(uploads.sent_twice()) < 3
    assert on_s3.unfinished() == []
    assert uploads.violations == []


def test_a_bucket_that_hides_etags_is_uploaded_to_all_the_same(
    page: Page, on_s3: OnS3, hidden_etags: None, tmp_path: Path
):
    song = wav(tmp_path / "Song.wav", 20 * MIB)
    uploads = Uploads(page, on_s3)
    uploads.choose(song)
    uploads.send()

    assert on_s3.sha256(uploads.location()) == sha256(song)


def test_the_doctor_asks_the_bucket_what_the_page_asks_it(
    page: Page, uppy: None, s3_server: S3Server, tmp_path: Path
):
    with FaultyProxy(s3_server.url) as proxy:
        system = SystemOnS3(tmp_path, s3_server, proxy.url).start()
        uploads = Uploads(page, system)
        uploads.choose(wav(tmp_path / "Song.wav", 20 * MIB))
        uploads.send()
        uploads.location()
        preflights = proxy.asked("OPTIONS")
        system.stop()

    assert preflights
    wanted = {name.lower(): value for name, value in storage.PREFLIGHT.items()}
    for one in preflights:
        questions = {name: one.headers[name] for name in one.headers if "-request-" in name}
        assert questions == wanted
        assert one.headers["origin"] == system.url


def test_canceling_leaves_no_parts_in_the_bucket(page: Page, on_s3: OnS3, tmp_path: Path):
    song = wav(tmp_path / "Song.wav", 64 * MIB)
    uploads = Uploads(page, on_s3)
    uploads.line(10)
    uploads.choose(song)
    uploads.send()
    uploads.wait_for_parts(1)
    assert len(on_s3.unfinished()) == 1
    with page.expect_response(lambda answer: answer.request.method == "DELETE") as gone:
        uploads.press("Cancel", song)

    assert gone.value.ok
    wait_for(lambda: not on_s3.unfinished(), "an empty bucket", 30)
