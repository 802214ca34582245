import socket
import ssl
import threading
import time
from datetime import datetime

import pytest
from cryptography.hazmat.primitives import serialization

from sns import wire
from sns.tests import amazon
from sns.tests.server import Server, drips, says, silent
from tests.ports import own_port


def get(url, timeout_s=5.0, answer_bytes=100):
    return wire.exchange("GET", url, timeout_s=timeout_s, answer_bytes=answer_bytes)


def test_the_answer_comes_back_with_its_status_body_and_headers():
    with Server(says("404 Not Found", b"nothing", "X-Reason: none\r\n")) as server:
        status, body, whole, headers = get(server.url)
    assert (status, body, whole) == (404, b"nothing", True)
    assert headers["x-reason"] == "none"
    assert server.requests[0].startswith(b"GET /path?query=1 HTTP/1.1\r\n")


def test_a_redirect_is_not_followed():
    with (
        Server(says("200 OK")) as other,
        Server(says("302 Found", headers=f"Location: {other.url}\r\n")) as server,
    ):
        assert get(server.url).status == 302
    assert other.requests == []


def test_no_more_is_read_than_was_asked_for():
    with Server(says("200 OK", b"x" * 10_000_000)) as server:
        assert get(server.url).body == b"x" * 100


def test_a_packed_answer_is_not_unpacked():
    with Server(says("200 OK", b"\x1f\x8b\x08", "Content-Encoding: gzip\r\n")) as server:
        assert get(server.url).body == b"\x1f\x8b\x08"


def test_an_answer_that_breaks_off_says_so():
    def short(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf")

    with Server(short) as server:
        assert get(server.url)[:3] == (200, b"half", False)


@pytest.mark.parametrize(
    "answer",
    [
        silent,
        drips(b""),
        drips(b"HTTP/1.1 200 OK\r\nX-Slow: "),
        drips(b"HTTP/1.1 200 "),
    ],
    ids=["silent", "no status", "endless header", "endless reason"],
)
def test_n12_silence_and_dripping_end_at_the_time_limit(answer):
    with Server(answer) as server:
        started = time.monotonic()
        with pytest.raises(wire.NoAnswer, match=r"0\.4 s|no answer"):
            get(server.url, timeout_s=0.4)
    assert time.monotonic() - started < 1.5


@pytest.mark.parametrize("header", [b"Content-Length: 90\r\n", b"Connection: close\r\n"])
def test_n12_a_dripping_body_ends_at_the_time_limit_too(header):
    with Server(drips(b"HTTP/1.1 200 OK\r\n" + header + b"\r\n")) as server:
        started = time.monotonic()
        reply = get(server.url, timeout_s=0.4)
    assert time.monotonic() - started < 1.5
    assert not reply.whole


def test_a_peer_that_accepts_no_connection_ends_at_the_time_limit():
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        # The queue of one is filled, so that the next connection hangs.
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        started = time.monotonic()
        with pytest.raises(wire.NoAnswer):
            get(f"http://127.0.0.1:{full.getsockname()[1]}/", timeout_s=0.4)
        for one in waiting:
            one.close()
    assert time.monotonic() - started < 1.5


def test_a_refused_connection_and_an_unknown_name_are_no_answer():
    with pytest.raises(wire.NoAnswer, match="refused"):
        get(f"http://127.0.0.1:{own_port()}/")
    with pytest.raises(wire.NoAnswer, match="name"):
        get("http://does-not-exist.invalid/", timeout_s=1.0)


def test_what_is_no_http_is_no_answer():
    def other(connection):
        connection.sendall(b"SSH-2.0-OpenSSH\r\n")

    with Server(other) as server, pytest.raises(wire.NoAnswer):
        get(server.url)


@pytest.mark.parametrize("url", ["", "x", "file:///etc/passwd", "ftp://h/", "http://", "http://["])
def test_a_url_that_cannot_be_asked_is_an_error(url):
    with pytest.raises(ValueError, match=r".+"):
        get(url)


@pytest.fixture
def tls_server(tmp_path):
    """A server named localhost whose certificate nobody has vouched for, and its file."""
    pem = amazon.certificate(
        names=["localhost"],
        common_name="Amazon RSA 2048 M01",  # the issuer's name: a certificate of its own making
        issuer=None,
        not_before=datetime(2000, 1, 1),
        not_after=datetime(2100, 1, 1),
    )
    private_key = amazon.key().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    certificate_file, both = tmp_path / "cert.pem", tmp_path / "both.pem"
    certificate_file.write_bytes(pem)
    both.write_bytes(pem + private_key)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(both)
    with Server(says("200 OK", b"hello"), tls=tls) as server:
        yield server, certificate_file


@pytest.fixture
def trusted(tls_server, monkeypatch):
    """The same server, with its certificate among the system's authorities."""
    server, certificate_file = tls_server
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate_file))
    wire._tls.cache_clear()
    yield server
    wire._tls.cache_clear()


def test_a_self_made_tls_certificate_is_not_trusted(tls_server):
    server, _ = tls_server

    with pytest.raises(wire.NoAnswer, match="TLS"):
        get(server.url.replace("127.0.0.1", "localhost"))
    assert server.requests == []


def test_a_trusted_tls_certificate_with_the_right_name_is_accepted(trusted):
    assert get(trusted.url.replace("127.0.0.1", "localhost")).body == b"hello"


def test_a_trusted_tls_certificate_with_another_name_is_not(trusted):
    with pytest.raises(wire.NoAnswer, match="TLS"):
        get(trusted.url)
    assert trusted.requests == []


def test_n12_dripping_through_tls_ends_at_the_time_limit_too(trusted):
    trusted.answer = drips(b"HTTP/1.1 200 OK\r\nX-Slow: ")

    started = time.monotonic()
    with pytest.raises(wire.NoAnswer):
        get(trusted.url.replace("127.0.0.1", "localhost"), timeout_s=0.4)
    assert time.monotonic() - started < 1.5


def test_no_thread_and_no_socket_is_left_behind():
    before = threading.active_count()
    with Server(says("200 OK")) as server:
        for _ in range(20):
            get(server.url)
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before
