"""Many uploads at once, and one that is very large, on a running installation."""

from __future__ import annotations

import http.client
import re
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.system import Growth, Person, System, wait_for
from tests.test_end_to_end import code_of

pytestmark = pytest.mark.end_to_end

GROWTH_LIMIT_BYTES = 64 * 1024**2
LARGE_BYTES = 2 * 1024**3 - 1024**2  # with its form just inside the default limit


def test_eight_uploads_at_once_with_four_workers_meet_no_lock_and_no_fault(
    tmp_path: Path, music: Path
):
    system = System(tmp_path, TRANSCODER_WORKERS=4).start()
    try:
        people = [Person(system, f"person{number}").sign_up() for number in range(8)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda person: person.upload(music), people))
        for person in people:
            person.wait_until_ready()

        assert system.count("audio_transcoder_rendition", "status = 'Complete'") == 24
        assert all(len(person.messages()) == 1 for person in people)
        assert "database is locked" not in system.log()
        # Until everything has started, the health page rightly says 503.
        answers = re.findall(r'"\w+ (?!/health/)\S+ \S+" (\d)\d\d ', system.access_log())
        assert len(answers) > 8
        assert "5" not in answers
    finally:
        system.stop()


class LargeUpload:
    """A multipart body with a long silent WAV in it, made while it is read."""

    def __init__(self, fields: dict[str, str], size_bytes: int) -> None:
        self.boundary = "large-upload-boundary"
        parts = [
            f'--{self.boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        ]
        head = (
            f"--{self.boundary}\r\n"
            'Content-Disposition: form-data; name="mp3_file"; filename="Silence.wav"\r\n'
            "Content-Type: audio/wav\r\n\r\n"
        )
        data_bytes = size_bytes - 44
        wav = b"RIFF" + struct.pack("<I", data_bytes + 36) + b"WAVEfmt "
        wav += struct.pack("<IHHIIHH", 16, 1, 2, 44100, 44100 * 4, 4, 16)
        wav += b"data" + struct.pack("<I", data_bytes)
        self._start = "".join([*parts, head]).encode() + wav
        self._end = f"\r\n--{self.boundary}--\r\n".encode()
        self._silence = data_bytes
        self.length = len(self._start) + data_bytes + len(self._end)

    def __iter__(self):
        yield self._start
        block = bytes(1024**2)
        left = self._silence
        while left:
            yield block[: min(left, len(block))]
            left -= min(left, len(block))
        yield self._end


def test_a_two_gibibyte_upload_does_not_grow_the_web_process(
    system: System, person: Person, music: Path
):
    warm_up = person.upload(music, ("mp3",))
    page = person.get("/audio/upload/")
    fields = {
        "csrfmiddlewaretoken": person.session.cookies["csrftoken"],
        "token": re.search(r'name="token" value="([0-9a-f-]+)"', page.text)[1],
        "formats": "mp3",
    }
    body = LargeUpload(fields, LARGE_BYTES)
    growth = Growth(system.web_pids)

    connection = http.client.HTTPConnection("127.0.0.1", system.port, timeout=300)
    connection.request(
        "POST",
        "/audio/upload/",
        body=iter(body),
        headers={
            "Content-Type": f"multipart/form-data; boundary={body.boundary}",
            "Content-Length": str(body.length),
            "Cookie": "; ".join(f"{c.name}={c.value}" for c in person.session.cookies),
            "Referer": system.url,
        },
    )
    answer = connection.getresponse()

    assert answer.status == 302, answer.read()[:2000]
    assert growth.most_bytes() <= GROWTH_LIMIT_BYTES

    location = answer.headers["Location"]
    sizes = system.rows("SELECT max(size_bytes) FROM audio_transcoder_audiofile")
    assert sizes == [(LARGE_BYTES,)]
    for place in (location, warm_up):
        person.post(f"{place}delete/", {})
    code = code_of(location)
    wait_for(lambda: not [path for path in system.objects() if code in path], "its removal", 60)
