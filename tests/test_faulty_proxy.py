"""The proxy whose faults other tests meet passes on only what a client has asked for."""

from __future__ import annotations

import socket
import threading
from urllib.parse import urlsplit

from tests.faulty_proxy import FaultyProxy

REFUSED = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
PUT = b"PUT /song.wav HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
HEAD = b"HEAD /song.wav HTTP/1.1\r\nHost: localhost\r\n\r\n"


def test_what_comes_after_a_refused_body_is_not_taken_for_that_body():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        threading.Thread(target=refuse, args=[listener], daemon=True).start()
        with (
            FaultyProxy(f"http://127.0.0.1:{port}") as proxy,
            socket.create_connection(("127.0.0.1", urlsplit(proxy.url).port), timeout=30) as client,
        ):
            client.sendall(PUT + HEAD)
            answered = b"".join(iter(lambda: client.recv(65536), b""))
        assert answered == REFUSED
        assert [request.method for request in proxy.requests] == ["PUT"]


def refuse(listener: socket.socket) -> None:
    """Refuse every request once its head is there and five bytes more."""
    while True:
        try:
            server, _ = listener.accept()
        except OSError:
            return
        with server:
            received = b""
            while len(received.partition(b"\r\n\r\n")[2]) < 5 and (piece := server.recv(65536)):
                received += piece
            server.sendall(REFUSED)
