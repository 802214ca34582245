"""Direct uploads on a running installation, and on a real S3 server."""

from __future__ import annotations

import http.client
import itertools
import os
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from tests.direct import START, DirectUpload
from tests.system import Growth, Person, System, SystemOnS3, wait_for

MIB = 1 << 20
GROWTH_LIMIT_BYTES = 32 * MIB

_numbers = itertools.count(1)


def zeros(_start: int, size: int) -> bytes:
    return bytes(size)


def send_file(person: Person, path: Path, **metadata: object) -> str:
    """Send a file in parts; return the path of its page."""
    content = path.read_bytes()
    upload = DirectUpload(
        person, len(content), lambda at, size: content[at : at + size], path.name, **metadata
    )
    done = upload.complete(upload.send_all())
    assert done.status_code == 200, done.text
    return done.json()["location"]


@pytest.mark.end_to_end
def test_a_file_that_came_past_the_web_process_makes_the_whole_way(
    system: System, person: Person, music: Path
):
    location = send_file(person, music, formats="wav,mp3")
    person.wait_until_ready()
    assert person.messages() == ["Your file Five seconds is ready."]
    original = person.get(f"{location}download/original/")
    assert original.content == music.read_bytes()
    assert person.get(f"{location}download/wav/").content.startswith(b"RIFF")


@pytest.mark.end_to_end
def test_what_is_no_sound_ends_with_the_words_of_the_form(
    system: System, person: Person, tmp_path: Path
):
    text = tmp_path / "Notes.mp3"
    text.write_bytes(b"no sound at all, " * 100)
    send_file(person, text)
    person.wait_until_ready()
    assert "This is not a sound file we know." in person.messages()[0]


@pytest.mark.end_to_end
def test_a_part_does_not_grow_the_web_process(system: System, person: Person):
    size = 1024 * MIB  # in parts of 16 MiB
    first = DirectUpload(person, 8 * MIB, zeros)
    first.send(1)  # whatever is done once in each process
    growth = Growth(system.web_pids)
    upload = DirectUpload(person, size, zeros)
    for number in range(1, 5):
        upload.send(number)
    assert growth.most_bytes() <= GROWTH_LIMIT_BYTES
    for each in (first, upload):
        assert each.ask("DELETE", each.path()).status_code == 204


@pytest.mark.end_to_end
def test_u6_a_part_may_take_longer_than_other_requests(tmp_path: Path):
    system = System(tmp_path, CLIENT_BODY_S=1, CLIENT_IDLE_S=5, TRANSCODER_WORKERS=1).start()
    try:
        person = Person(system, "patient").sign_up()
        upload = DirectUpload(person, 5, zeros)
        url = urlsplit(upload.part_url(1))
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=30)
        connection.putrequest("PUT", url.path)
        connection.putheader("Content-Length", "5")
        connection.endheaders()
        drip(connection, b"sound")
        answer = connection.getresponse()
        assert (answer.status, bool(answer.headers["ETag"])) == (200, True)
        # The log does not open the door again.
        line = wait_for(
            lambda: [one for one in system.access_log().splitlines() if "PUT" in one], "a line"
        )
        assert '"PUT /audio/uploads/parts/.../ HTTP/1.1" 200' in line[0]
        assert url.path not in system.log()
        # What is no upload is cut off after a second, however it drips.
        cookies = "; ".join(f"{c.name}={c.value}" for c in person.session.cookies)
        other = http.client.HTTPConnection(url.hostname, url.port, timeout=30)
        other.putrequest("POST", START)
        other.putheader("Content-Length", "5")
        other.putheader("Cookie", cookies)
        other.putheader("Origin", system.url)
        other.endheaders()
        assert is_cut_off(other)
    finally:
        system.stop()


@pytest.mark.end_to_end
def test_a_refused_body_is_not_waited_for_and_the_next_request_is_answered(
    system: System, person: Person
):
    headers = {"Origin": system.url, "Content-Type": "application/json"}
    for _ in range(5):
        answer = person.session.post(
            system.url + START, data=b"{" + bytes(MIB), headers=headers, timeout=20
        )
        assert (answer.status_code, answer.headers["Connection"]) == (413, "close")
        assert person.get("/audio/uploads/open/").json() == []


def drip(connection: http.client.HTTPConnection, body: bytes) -> None:
    """Send a byte every half second."""
    for byte in body:
        connection.send(bytes([byte]))
        threading.Event().wait(0.5)


def is_cut_off(connection: http.client.HTTPConnection) -> bool:
    began = time.monotonic()
    try:
        drip(connection, b"{" * 4)
        return connection.getresponse().status in (400, 408)
    except (OSError, http.client.HTTPException):
        return time.monotonic() - began < 5


# --- On a real S3 server ----------------------------------------------------------------------


@pytest.fixture
def on_s3(system_on_s3: SystemOnS3) -> SystemOnS3:
    return system_on_s3


@pytest.fixture
def guest(on_s3: SystemOnS3) -> Person:
    return Person(on_s3, f"guest{next(_numbers)}").sign_up()


@pytest.mark.s3
@pytest.mark.end_to_end
def test_on_s3_a_file_makes_the_whole_way_past_the_web_process(
    on_s3: SystemOnS3, guest: Person, music: Path
):
    location = send_file(guest, music, formats="wav")
    guest.wait_until_ready()
    assert guest.messages() == ["Your file Five seconds is ready."]
    assert guest.get(f"{location}download/original/").content == music.read_bytes()


@pytest.mark.s3
def test_u25_on_s3_the_signature_holds_what_was_declared(on_s3: SystemOnS3, guest: Person):
    sound = os.urandom(8 * MIB + 5)
    upload = DirectUpload(guest, len(sound), lambda at, size: sound[at : at + size])
    url = upload.part_url(2)
    for data in (b"four", b"sixsix"):
        assert requests.put(url, data=data, timeout=20).status_code == 403
    other = upload.facts["key"].replace("source", "other")
    for changed in (
        url.replace("partNumber=2", "partNumber=1"),
        url.replace(upload.facts["key"], other),
        url.replace("X-Amz-Expires=900", "X-Amz-Expires=90000"),
    ):
        assert changed != url
        assert requests.put(changed, data=sound[-5:], timeout=20).status_code == 403
    parts = upload.send_all()
    first, second = upload.complete(parts), upload.complete(parts)
    assert first.status_code == 200, first.text
    assert second.json() == first.json()
    # The address lives on, and opens nothing any more.
    assert requests.put(url, data=sound[-5:], timeout=20).status_code == 404
    assert on_s3.read_object(upload.facts["key"]) == sound


@pytest.mark.s3
def test_u25_on_s3_a_form_takes_what_was_declared_and_nothing_else(
    on_s3: SystemOnS3, guest: Person
):
    query = "filename=Small.wav&type=audio/wav&metadata[size]=100"
    origin = {"Origin": on_s3.url}
    path = f"{on_s3.url}/audio/uploads/s3/params?{query}"
    form = guest.session.get(path, headers=origin, timeout=20).json()

    def post(data: bytes, **changed: str) -> int:
        fields = {**form["fields"], **changed}
        sent = requests.post(form["url"], data=fields, files={"file": data}, timeout=20)
        return sent.status_code

    assert post(bytes(99)) in (400, 403)
    assert post(bytes(101)) in (400, 403)
    assert post(bytes(100), key="media/uploads/other/source") == 403
    assert post(bytes(100), **{"Content-Type": "text/html"}) == 403
    assert form["fields"]["key"] not in on_s3.objects()
    assert post(bytes(100)) == 201
    # Nobody tells; the step finds it.
    wait_for(lambda: on_s3.count("audio_transcoder_audiofile", "size_bytes = 100"), "the step", 60)


@pytest.mark.s3
def test_u26_on_s3_a_finish_says_what_is_missing(on_s3: SystemOnS3, guest: Person):
    sound = os.urandom(16 * MIB + 5)
    upload = DirectUpload(guest, len(sound), lambda at, size: sound[at : at + size])
    second = upload.send(2)
    answer = upload.complete([second])
    assert (answer.status_code, answer.json()["missing"]) == (409, [1, 3])
    parts = upload.send_all()
    wrong = [parts[0], {**parts[1], "ETag": '"0"'}, parts[2]]
    assert upload.complete(wrong).json()["missing"] == [2]
    assert upload.complete(parts).status_code == 200


@pytest.mark.s3
def test_on_s3_what_is_aborted_leaves_no_part(on_s3: SystemOnS3, guest: Person):
    upload = DirectUpload(guest, 16 * MIB, zeros)
    upload.send(1)
    assert upload.ask("DELETE", upload.path()).status_code == 204

    def parts() -> list[str]:
        listed = on_s3.s3.list_multipart_uploads(Bucket=on_s3.bucket)
        return [one["Key"] for one in listed.get("Uploads", ())]

    wait_for(lambda: upload.facts["key"] not in parts(), "its parts to go", 30)
    assert upload.complete([]).status_code == 404


@pytest.mark.s3
def test_on_s3_the_bucket_lets_our_pages_in_and_no_others(on_s3: SystemOnS3, guest: Person):
    url = DirectUpload(guest, 5, zeros).part_url(1)

    def preflight(origin: str) -> requests.Response:
        headers = {"Origin": origin, "Access-Control-Request-Method": "PUT"}
        return requests.options(url, headers=headers, timeout=20)

    allowed = preflight(on_s3.url)
    assert allowed.status_code == 200
    assert allowed.headers["Access-Control-Allow-Origin"] == on_s3.url
    assert "Access-Control-Allow-Origin" not in preflight("https://evil.example.org").headers
    sent = requests.put(url, data=b"sound", headers={"Origin": on_s3.url}, timeout=20)
    assert "ETag" in sent.headers["Access-Control-Expose-Headers"]
    assert on_s3.environment["AWS_S3_ENDPOINT_URL"] in policy(guest)


def policy(person: Person) -> str:
    """Where the upload page may connect to."""
    directives = person.get("/audio/upload/").headers["Content-Security-Policy"].split(";")
    return next(one for one in directives if one.strip().startswith("connect-src"))
