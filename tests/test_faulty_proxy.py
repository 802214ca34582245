"""The proxy whose faults other tests meet passes on only what a client has asked for."""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest

from tests.faulty_proxy import FaultyProxy, hang, slow_down

REFUSED = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
PUT = b"PUT /song.wav HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
HEAD = b"HEAD /song.wav HTTP/1.1\r\nHost: localhost\r\n\r\n"


@contextlib.contextmanager
def serving(serve: Callable[[socket.socket], None]) -> Iterator[FaultyProxy]:
    """A proxy before a server that hands each connection to ``serve``, one after the other."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, args=[listener, serve], daemon=True).start()
        with FaultyProxy(f"http://127.0.0.1:{listener.getsockname()[1]}") as proxy:
            yield proxy


def accept(listener: socket.socket, serve: Callable[[socket.socket], None]) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            serve(connection)


def all_of(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))


def refuse(connection: socket.socket, after: int = 0) -> None:
    """Refuse a request once its head is there and so many bytes more."""
    received = b""
    while b"\r\n\r\n" not in received or len(received.partition(b"\r\n\r\n")[2]) < after:
        if not (piece := connection.recv(65536)):
            return
        received += piece
    connection.sendall(REFUSED)
    with contextlib.suppress(ConnectionError):  # the proxy asks no more
        all_of(connection)


def connect(proxy: FaultyProxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", urlsplit(proxy.url).port), timeout=30)


def test_what_comes_after_a_refused_body_is_not_taken_for_that_body():
    with (
        serving(lambda connection: refuse(connection, after=5)) as proxy,
        connect(proxy) as client,
    ):
        client.sendall(PUT % 5 + HEAD)
        assert all_of(client) == REFUSED
        assert [request.method for request in proxy.requests] == ["PUT"]


def test_whoever_reads_that_a_body_is_refused_sees_the_connections_end_with_it():
    with serving(refuse) as proxy:
        for _ in range(100):
            with connect(proxy) as client:
                client.sendall(PUT % 5)
                assert client.recv(len(REFUSED), socket.MSG_WAITALL) == REFUSED
                client.setblocking(False)
                assert client.recv(1) == b""


@pytest.mark.parametrize("by", ["the server", "a fault"])
def test_a_refusal_reaches_a_client_that_sends_its_body_all_the_same(by: str):
    """botocore waits a second for leave to send it, which a busy machine may not give in time."""
    with serving(refuse) as proxy:
        if by == "a fault":
            proxy.meet(slow_down, times=20)
        for _ in range(20):
            with connect(proxy) as client:
                client.sendall(PUT % 5_000_000 + bytes(5_000_000))
                assert all_of(client).startswith(b"HTTP/1.1 ")
        assert proxy.heal() == []


def test_a_proxy_that_is_away_comes_back_to_its_port_which_nobody_got_meanwhile():
    with serving(refuse) as proxy:
        with proxy.away(), socket.socket() as other:
            with pytest.raises(ConnectionRefusedError):
                connect(proxy)
            with pytest.raises(OSError, match="in use") as taken:
                other.bind(("127.0.0.1", urlsplit(proxy.url).port))
            assert taken.value.errno == errno.EADDRINUSE
        with connect(proxy) as client:
            client.sendall(PUT % 5)
            assert all_of(client) == REFUSED


def test_a_fault_counts_as_met_once_a_request_is_read_whose_client_gave_up():
    with serving(refuse) as proxy:
        proxy.meet(hang)
        with connect(proxy) as client:
            threading.Timer(0.5, client.sendall, [HEAD]).start()
            assert proxy.heal() == []
