"""A port that was chosen for a server waits for it."""

from __future__ import annotations

import errno
import socket

from tests.ports import own_port


def test_a_server_comes_and_goes_at_its_own_port_and_nobody_else_is_given_it():
    port = own_port()
    for _ in range(2):
        assert connection_error(port) == errno.ECONNREFUSED
        with (
            socket.create_server(("127.0.0.1", port)) as server,
            socket.create_connection(("127.0.0.1", port)) as client,
        ):
            connection, _ = server.accept()
            client.close()
            connection.close()

    others = [socket.create_server(("127.0.0.1", 0)) for _ in range(500)]
    assert port not in [other.getsockname()[1] for other in others]
    for other in others:
        other.close()


def connection_error(port: int) -> int:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port))
