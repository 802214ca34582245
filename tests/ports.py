"""Ports for the servers that tests start as processes of their own."""

from __future__ import annotations

import socket

_held: list[socket.socket] = []


def hold_port(port: int = 0) -> socket.socket:
    """Return a socket that keeps ``port``, or any free one, from everybody but its server.

    It does not listen, so connections are refused. Linux gives the port to nobody who asks for
    just any, and lets a server listen there that names it and sets SO_REUSEADDR, as servers do.
    """
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", port))
    return holder


def own_port() -> int:
    """Return a port that a server may take, leave and take again while this process lives."""
    _held.append(hold_port())
    return _held[-1].getsockname()[1]
