"""The transcoder without the web app: on a folder of its own, and with a web app pointed at it."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from elastic_transcoder.client import client
from tests import sounds
from tests.system import Person, System, new_session, wait_for
from tests.test_end_to_end import code_of, renditions

pytestmark = pytest.mark.end_to_end

TOPIC = "arn:aws:sns:eu-west-1:000000000000:transcode-complete"
FLAC = "1351620000001-300110"


@pytest.fixture(scope="module")
def transcoder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    running = System(
        tmp_path_factory.mktemp("transcoder"), TRANSCODER_ALONE=1, TRANSCODER_WORKERS=1
    ).start()
    yield running
    running.stop()


def client_of(transcoder: System, access_key_id: str = "", secret: str = "") -> BaseClient:
    secrets = transcoder.secrets()
    return client(
        endpoint_url=transcoder.url,
        region_name="eu-west-1",
        access_key_id=access_key_id or secrets["TRANSCODER_ACCESS_KEY_ID"],
        secret_access_key=secret or secrets["TRANSCODER_SECRET_ACCESS_KEY"],
    )


def new_key(transcoder: System, name: str) -> tuple[str, str]:
    lines = transcoder.manage("access_key", "create", name).stdout.splitlines()
    access_key_id, secret = (line.partition("=")[2] for line in lines)
    return access_key_id, secret


def test_it_says_where_it_is_and_where_its_secrets_stand(transcoder: System):
    secrets = transcoder.secrets()
    said = transcoder.log()
    assert f"Elastic Transcoder starts at http://localhost:{transcoder.port}/" in said
    file = transcoder.data_dir / "env"
    assert f"TRANSCODER_ACCESS_KEY_ID and TRANSCODER_SECRET_ACCESS_KEY in {file}" in said
    assert f"ADMIN_PASSWORD in {file}" in said
    assert not [value for value in secrets.values() if value in said]


def test_it_takes_a_job_and_does_it(transcoder: System, music: Path):
    bucket = transcoder.data_dir / "buckets" / "sounds"
    bucket.mkdir(parents=True)
    shutil.copy(music, bucket / "in.mp3")
    api = client_of(transcoder)
    pipeline = api.create_pipeline(
        Name="By hand",
        InputBucket="sounds",
        OutputBucket="sounds",
        Role="arn:aws:iam::000000000000:role/any",
    )["Pipeline"]

    job = api.create_job(
        PipelineId=pipeline["Id"],
        Input={"Key": "in.mp3"},
        Outputs=[{"Key": "out.flac", "PresetId": FLAC}],
    )["Job"]
    api.get_waiter("job_complete").wait(Id=job["Id"], WaiterConfig={"Delay": 1, "MaxAttempts": 60})

    assert api.read_job(Id=job["Id"])["Job"]["Status"] == "Complete"
    assert sounds.decoded_seconds(bucket / "out.flac") == pytest.approx(5, abs=0.1)


def test_nothing_of_the_web_app_is_there(transcoder: System):
    health = requests.get(f"{transcoder.url}/health/", timeout=10)
    assert health.status_code == 200
    assert health.json()["worker"] == "ok"
    for path in (
        "/audio/",
        "/audio/upload/",
        "/accounts/login/",
        "/accounts/signup/",
        "/messages/",
    ):
        answer = requests.get(transcoder.url + path, timeout=10, allow_redirects=False)
        assert answer.status_code == 404, path
        assert "There is nothing here" in answer.text
    assert requests.post(f"{transcoder.url}/transcode-complete/", timeout=10).status_code == 404

    tables = [name for (name,) in transcoder.rows("SELECT name FROM sqlite_master")]
    assert "elastic_transcoder_job" in tables
    webs = ("audio_transcoder_", "transcode_messages_", "account_")
    assert not [name for name in tables if name.startswith(webs)]


class Operator:
    """Somebody at the admin's own sign-in page."""

    PAGE = "/admin/login/"

    def __init__(self, system: System) -> None:
        self.url = system.url
        self.session = new_session()

    def sign_in(self, name: str, password: str) -> requests.Response:
        page = self.session.get(self.url + self.PAGE, timeout=10)
        assert page.status_code == 200
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)[1]
        form = {"csrfmiddlewaretoken": token, "username": name, "password": password}
        return self.session.post(
            self.url + self.PAGE, data=form, headers={"Referer": self.url}, timeout=10
        )


def test_the_operator_signs_in_and_finds_the_transcoders_rows(transcoder: System):
    operator = Operator(transcoder)
    start = operator.session.get(transcoder.url, timeout=10)
    assert start.url.startswith(f"{transcoder.url}/admin/login/")

    page = operator.sign_in("admin", transcoder.secrets()["ADMIN_PASSWORD"])

    assert page.status_code == 200
    assert page.url == f"{transcoder.url}/admin/"
    assert "/admin/elastic_transcoder/job/" in page.text
    assert "/admin/audio_transcoder/" not in page.text
    assert "Dashboard" not in page.text
    style = re.search(r'rel="stylesheet" href="([^"]+)"', page.text)[1]
    assert operator.session.get(transcoder.url + style, timeout=10).status_code == 200
    keys = operator.session.get(f"{transcoder.url}/admin/elastic_transcoder/accesskey/", timeout=10)
    assert transcoder.secrets()["TRANSCODER_ACCESS_KEY_ID"] in keys.text


def test_guessing_passwords_is_limited_and_harms_nobody_else(transcoder: System):
    guesser = Operator(transcoder)
    answers = [guesser.sign_in("guessed", f"guess {number}") for number in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert int(answers[-1].headers["Retry-After"]) > 0
    assert "Too many tries" in answers[-1].text

    password = transcoder.secrets()["ADMIN_PASSWORD"]
    assert Operator(transcoder).sign_in("admin", password).url == f"{transcoder.url}/admin/"


def line_of(transcoder: System, request_id: str) -> str:
    def lines() -> list[str]:
        return [line for line in transcoder.access_log().splitlines() if request_id in line]

    [line] = wait_for(lines, "the call's line")
    return line


def test_the_access_log_says_who_called_what(transcoder: System):
    access_key_id, secret = new_key(transcoder, 'Müllers "archive" \\')
    answer = client_of(transcoder, access_key_id, secret).list_presets()
    line = line_of(transcoder, answer["ResponseMetadata"]["RequestId"])
    assert re.search(
        r'"GET /2012-09-25/presets HTTP/1\.1" 200 \d+ [\d.]+ '
        r'"M\\xfcllers \\"archive\\" \\\\" ListPresets [0-9a-f-]{36} signed$',
        line,
    )


def test_a_refused_call_is_logged_with_the_key_that_it_names_if_there_is_one(transcoder: System):
    access_key_id, _ = new_key(transcoder, "The archive")
    for key_id, name in ((access_key_id, '"The archive"'), ("AKIANOBODY", '"-"')):
        with pytest.raises(ClientError) as refused:
            client_of(transcoder, key_id, "wrong").read_job(Id="1111111111111-abcdef")
        line = line_of(transcoder, refused.value.response["ResponseMetadata"]["RequestId"])
        assert re.search(rf'" 403 .* {name} ReadJob \S+ signed$', line)

    unsigned = requests.get(f"{transcoder.url}/2012-09-25/nowhere", timeout=10)
    line = line_of(transcoder, unsigned.headers["x-amzn-RequestId"])
    assert re.search(r'" 403 .* "-" - \S+ -$', line)


def test_no_name_of_a_key_splits_a_line(transcoder: System):
    access_key_id, secret = new_key(transcoder, "Another")
    database = sqlite3.connect(transcoder.data_dir / "db.sqlite3", timeout=10)
    with database:
        database.execute(
            "UPDATE elastic_transcoder_accesskey SET name = ? WHERE access_key_id = ?",
            ("a\r\nforged\x1b[2J\x7f\u2028\x85", access_key_id),
        )
    database.close()
    answer = client_of(transcoder, access_key_id, secret).list_presets()
    line = line_of(transcoder, answer["ResponseMetadata"]["RequestId"])
    assert r'"a\r\nforged\x1b[2J\x7f\u2028\x85" ListPresets' in line


def test_a_web_app_pointed_at_it_gets_its_files_back(tmp_path: Path, music: Path):
    """As README says it: one bucket folder, a key, and the certificate of the transcoder."""
    for name in ("transcoder", "web", "buckets"):
        (tmp_path / name).mkdir()
    web = System(tmp_path / "web", TRANSCODER_WORKERS=1, BUCKETS_DIR=tmp_path / "buckets")
    transcoder = System(
        tmp_path / "transcoder",
        TRANSCODER_ALONE=1,
        TRANSCODER_WORKERS=1,
        BUCKETS_DIR=tmp_path / "buckets",
        TRANSCODER_TOPICS=json.dumps({TOPIC: [f"{web.url}/transcode-complete/"]}),
    )
    try:
        transcoder.start()
        access_key_id, secret = new_key(transcoder, "The web app")
        certificate = (transcoder.data_dir / "sns.cert.pem").read_bytes()
        (web.data_dir / "sns.cert.pem").write_bytes(certificate)
        web.environment |= {
            "TRANSCODER_ENDPOINT_URL": transcoder.url,
            "TRANSCODER_ACCESS_KEY_ID": access_key_id,
            "TRANSCODER_SECRET_ACCESS_KEY": secret,
        }
        web.start()
        person = Person(web, "someone").sign_up()

        location = person.upload(music)
        person.wait_until_ready()

        assert person.messages() == ["Your file Five seconds is ready."]
        assert {row[:2] for row in renditions(web, code_of(location))} == {
            ("wav", "Complete"),
            ("flac", "Complete"),
            ("mp4", "Complete"),
        }
        assert person.get(f"{location}download/flac/").status_code == 200
        # The bell rang: the file did not wait for the web app to ask.
        notices = "SELECT state, status FROM elastic_transcoder_notice"
        wait_for(lambda: ("COMPLETED", "Delivered") in transcoder.rows(notices), "its notice")
        assert re.search(r'"POST /transcode-complete/ HTTP/1\.1" 200 ', web.access_log())
        assert '"The web app" CreateJob' in transcoder.access_log()
        assert web.count("elastic_transcoder_job") == 0
        assert (web.data_dir / "sns.cert.pem").read_bytes() == certificate
        assert not (web.data_dir / "sns.key.pem").exists()
    finally:
        web.stop()
        transcoder.stop()
