"""The web server and clients that speak HTTP by hand: bodies that lie, break off, never end."""

from __future__ import annotations

import http.client
import re
import socket
import struct
import time

import pytest

from tests.system import Person, System, memory_bytes, wait_for

pytestmark = pytest.mark.end_to_end


def connect(system: System) -> socket.socket:
    return socket.create_connection(("127.0.0.1", system.port), timeout=20)


def head(system: System, person: Person | None, path: str = "/audio/upload/", **more: str) -> bytes:
    """A request's head. ``more``: further headers, with _ for -."""
    lines = [f"POST {path} HTTP/1.1", f"Host: 127.0.0.1:{system.port}"]
    if person:
        pairs = person.session.cookies.get_dict()
        lines.append("Cookie: " + "; ".join(f"{name}={value}" for name, value in pairs.items()))
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in more.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def form(person: Person, content: bytes) -> bytes:
    """The whole body of an upload of ``content``, with boundary b."""
    page = person.get("/audio/upload/").text
    fields = {
        "csrfmiddlewaretoken": re.search(r'csrfmiddlewaretoken" value="(\w+)"', page)[1],
        "formats": "flac",
    }
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    start = (
        '--b\r\nContent-Disposition: form-data; name="mp3_file"; filename="a.mp3"\r\n'
        "Content-Type: audio/mpeg\r\n\r\n"
    )
    return "".join([*parts, start]).encode() + content + b"\r\n--b--\r\n"


MULTIPART = {"Content_Type": "multipart/form-data; boundary=b"}


def status(client: socket.socket) -> int:
    """The status of the next answer; 0 when the server ends the connection instead."""
    try:
        response = http.client.HTTPResponse(client)
        response.begin()
    except (http.client.HTTPException, ConnectionError):
        return 0
    return response.status


def assert_nothing_was_kept(system: System, before: list[str]) -> None:
    # What other tests have deleted may still be going.
    assert set(system.objects()) <= set(before)
    for folder in (system.data_dir / "tmp", system.data_dir / "buckets" / "local" / "%tmp"):
        wait_for(lambda: not list(folder.glob("*")), f"an empty {folder}", 20)  # noqa: B023


@pytest.fixture
def objects(system: System) -> list[str]:
    return system.objects_at_rest()


def test_u3_a_declared_length_over_the_limit_is_answered_before_the_body(
    system: System, person: Person, objects: list[str]
):
    with connect(system) as client:
        client.sendall(head(system, person, Content_Length=str(50 * 1024**3), **MULTIPART))
        began = time.monotonic()
        assert status(client) == 413
        assert time.monotonic() - began < 5
    assert_nothing_was_kept(system, objects)


def test_u4_a_chunked_body_is_not_read(system: System, person: Person, objects: list[str]):
    with connect(system) as client:
        client.sendall(head(system, person, Transfer_Encoding="chunked", **MULTIPART))
        client.sendall(b"400\r\n" + b"x" * 1024 + b"\r\n")
        assert status(client) == 413
    assert_nothing_was_kept(system, objects)


def test_u4_bytes_beyond_the_declared_length_are_no_part_of_the_upload(
    system: System, person: Person, objects: list[str], music
):
    body = form(person, music.read_bytes())
    with connect(system) as client:
        length = str(len(body) - 5000)
        client.sendall(head(system, person, Content_Length=length, **MULTIPART) + body)
        assert status(client) in (400, 422)
    assert_nothing_was_kept(system, objects)


@pytest.mark.parametrize("sent", [0, 100, 1000, 100_000, 8_000_000])
@pytest.mark.parametrize("end", ["half closed", "closed", "reset"])
def test_u5_a_client_that_stops_in_the_body_leaves_nothing(
    system: System, person: Person, objects: list[str], sent: int, end: str
):
    body = form(person, b"ID3" + bytes(9_000_000))
    files = system.count("audio_transcoder_audiofile")
    with connect(system) as client:
        client.sendall(head(system, person, Content_Length=str(len(body)), **MULTIPART))
        client.sendall(body[:sent])
        if end == "half closed":
            client.shutdown(socket.SHUT_WR)
            assert status(client) in (0, 400, 403, 422)
        elif end == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert_nothing_was_kept(system, objects)
    assert system.count("audio_transcoder_audiofile") == files
    assert person.get("/audio/").status_code == 200


def test_u21_huge_part_headers_are_refused_in_little_memory(system: System, person: Person):
    page_memory = {pid: memory_bytes(pid, "VmRSS") for pid in system.web_pids}
    body = b'--b\r\nContent-Disposition: form-data; name="mp3_file"; filename="'
    body += b"x" * 1024**2 + b'"\r\n\r\nx\r\n--b--\r\n'
    for _ in range(10):
        with connect(system) as client:
            client.sendall(head(system, person, Content_Length=str(len(body)), **MULTIPART) + body)
            assert status(client) in (400, 403, 422)
    for pid, size in page_memory.items():
        assert memory_bytes(pid, "VmRSS") - size < 20 * 1024**2


def test_n4_a_notice_without_end_is_not_read(system: System):
    with connect(system) as client:
        path = "/transcode-complete/"
        client.sendall(head(system, None, path, Transfer_Encoding="chunked"))
        client.sendall(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
        assert status(client) in (400, 413)


@pytest.mark.parametrize("length", ["-1", "abc", "1e3", str(2**70)])
def test_n4_a_nonsensical_length_is_refused(system: System, length: str):
    for path in ("/transcode-complete/", "/2012-09-25/jobs", "/audio/upload/"):
        with connect(system) as client:
            client.sendall(head(system, None, path, Content_Length=length) + b"x" * 100)
            assert status(client) in (0, 302, 400, 403, 413)
    # 503 is what notices of jobs that others ordered from the same transcoder rightly get.
    assert not re.search(r'"POST .*" 500 ', system.access_log())
