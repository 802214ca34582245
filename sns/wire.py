"""One HTTP exchange within a total time.

A socket's own time limit starts afresh with every byte, so a slow peer could hold its caller for
ever; here the name look-up, the connection, TLS, the request and the answer share one limit.
Redirects are not followed and nothing is repeated.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import queue
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import unquote

from urllib3 import connection, exceptions, util


class NoAnswer(OSError):
    """The exchange brought no status: no such host, refused, broken off, or out of time."""


class Reply(NamedTuple):
    """``body`` holds at most as many bytes as were asked for, and less if it broke off."""

    status: int
    body: bytes
    whole: bool = True
    headers: Mapping[str, str] = MappingProxyType({})  # names in any case


def exchange(
    method: str,
    url: str,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout_s: float,
    answer_bytes: int,
) -> Reply:
    """Return the answer to one request, whatever its status.

    ``url``: http or https; a user and password in it are sent as Basic authentication.
    ``timeout_s``: seconds for everything together. ``answer_bytes``: no more of the answer is
    read. TLS is always verified against the system's certificate authorities. Raises NoAnswer,
    and ValueError for a URL that cannot be asked.
    """
    address = _address(url)
    deadline = time.monotonic() + timeout_s
    sent_headers = dict(headers or {})
    if address.auth:
        sent_headers.update(util.make_headers(basic_auth=unquote(address.auth)))
    link = _link(address, deadline)
    watchdog = threading.Timer(timeout_s, link.cut)
    watchdog.daemon = True
    watchdog.start()
    try:
        link.request(
            method, address.request_uri, body=body, headers=sent_headers, preload_content=False
        )
        response = link.getresponse()
        _left(deadline)  # a header that was cut looks like one that ended
        answer, whole = _read(response, answer_bytes)
        # So does a body that came without its length.
        is_whole = whole and time.monotonic() < deadline
        return Reply(response.status, answer, is_whole, response.headers)
    except (OSError, http.client.HTTPException, exceptions.HTTPError) as error:
        if time.monotonic() >= deadline:
            raise NoAnswer(f"no answer within {timeout_s:g} s") from error
        raise NoAnswer(_reason(error)) from error
    finally:
        watchdog.cancel()
        link.end()


class _Link:
    """What a urllib3 connection needs so that the whole exchange ends in time."""

    deadline: float
    _handle: socket.socket | None = None

    def _new_conn(self) -> socket.socket:
        # urllib3 would give each address of a host its own full time.
        connected = _connect(self.host, self.port, self.deadline)
        self._handle = connected.dup()  # TLS takes the socket itself away
        return connected

    def cut(self) -> None:
        """End the connection under whoever reads or writes it in another thread."""
        if self._handle is not None:
            with contextlib.suppress(OSError):
                self._handle.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        self.close()
        if self._handle is not None:
            self._handle.close()


class _Plain(_Link, connection.HTTPConnection):
    pass


class _Encrypted(_Link, connection.HTTPSConnection):
    pass


def _address(url: str) -> util.Url:
    address = util.parse_url(url)  # its error is a ValueError
    if address.scheme not in ("http", "https") or not address.host:
        raise ValueError("not an http or https URL")
    return address


def _link(address: util.Url, deadline: float) -> _Plain | _Encrypted:
    host = address.host.strip("[]")  # of an IPv6 address
    if address.scheme == "https":
        link = _Encrypted(host, address.port or 443, ssl_context=_tls())
    else:
        link = _Plain(host, address.port or 80)
    link.deadline = deadline
    return link


@functools.cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _connect(host: str, port: int, deadline: float) -> socket.socket:
    problem: OSError = NoAnswer("the host has no address")
    for family, kind, protocol, _, address in _addresses(host, port, deadline):
        candidate = socket.socket(family, kind, protocol)
        try:
            candidate.settimeout(_left(deadline))
            candidate.connect(address)
            candidate.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            candidate.settimeout(_left(deadline))
        except OSError as error:
            candidate.close()
            problem = error
        else:
            return candidate
    raise problem


def _addresses(host: str, port: int, deadline: float) -> list[tuple]:
    # The system's resolver takes no time limit, so it is asked from a thread that may be left.
    found: queue.SimpleQueue[list[tuple] | Exception] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            found.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            found.put(error)

    threading.Thread(target=look_up, daemon=True).start()
    try:
        answer = found.get(timeout=_left(deadline))
    except queue.Empty as error:
        raise NoAnswer("the name was not resolved in time") from error
    if isinstance(answer, Exception):
        raise NoAnswer("the name is not known") from answer
    return answer


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise NoAnswer("out of time")
    return left


def _read(response: connection.HTTPResponse, answer_bytes: int) -> tuple[bytes, bool]:
    parts: list[bytes] = []
    missing = answer_bytes
    try:
        # Not decoded: a small compressed answer could unpack to any size.
        while missing and (part := response.read(missing, decode_content=False)):
            parts.append(part)
            missing -= len(part)
    except (OSError, http.client.HTTPException, exceptions.HTTPError):
        return b"".join(parts), False
    return b"".join(parts), True


def _reason(error: Exception) -> str:
    """Return what went wrong, without the URL that urllib3's own texts repeat."""
    if isinstance(error, NoAnswer):
        return str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
