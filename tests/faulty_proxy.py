"""A proxy in front of an S3 server on which requests meet what a test has set up for them.

What meets no fault passes unchanged, byte for byte, its Host and signature too: clients sign for
the proxy's address and the server checks against that. One request at a time per connection, and
a connection of its own to the server for each.

A fault is a function of an Exchange; it returns whether the client's connection goes on.
"""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from tests.ports import hold_port

_CHUNK_BYTES = 256 * 1024
_NO_ANSWER_S = 120
_ON_ITS_WAY_S = 10


@dataclass(frozen=True)
class Request:
    """What a client has asked: the head of its request."""

    head: bytes = field(repr=False)
    method: str
    target: str  # as it was sent, with its query
    headers: dict[str, str] = field(repr=False)  # by names in small letters

    @property
    def path(self) -> str:
        return unquote(urlsplit(self.target).path)


@dataclass
class _Script:
    fault: Fault
    method: str
    target: re.Pattern[str]
    after: int  # so many matching requests pass first
    times: float  # so many then meet the fault

    def takes(self, request: Request) -> bool:
        """Return whether ``request`` meets the fault, which uses up one of its times."""
        if self.times <= 0 or self.method not in ("", request.method):
            return False
        if not self.target.search(request.target):
            return False
        if self.after > 0:
            self.after -= 1
            return False
        self.times -= 1
        return True


ALWAYS = float("inf")


class FaultyProxy:
    """Listens at ``url`` and passes on to the server at ``server_url`` until its ``with`` ends."""

    def __init__(self, server_url: str) -> None:
        parts = urlsplit(server_url)
        self.server = (parts.hostname, parts.port)
        self.requests: list[Request] = []
        self._scripts: list[_Script] = []
        self._guard = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = self._listen(0)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> FaultyProxy:
        return self

    def __exit__(self, *error: object) -> None:
        self._shut()

    def meet(
        self, fault: Fault, method: str = "", target: str = "", *, after: int = 0, times: float = 1
    ) -> None:
        """Let the next ``times`` requests meet ``fault`` once ``after`` of them have passed.

        These are those with this method and with ``target``, a regular expression, somewhere in
        what they ask for, query included. A request meets one fault, the first set up.
        """
        with self._guard:
            self._scripts.append(_Script(fault, method, re.compile(target), after, times))

    def heal(self) -> list[str]:
        """Forget every fault; return those that were set up and not met as often as meant.

        A client may have given up on a request that nobody had the time to read: it counts.
        """
        end = time.monotonic() + _ON_ITS_WAY_S
        while self._unmet() and time.monotonic() < end:
            time.sleep(0.05)
        with self._guard:
            left = self._unmet()
            self._scripts.clear()
        return [f"{one.method} {one.target.pattern}: {one.times:g} left" for one in left]

    def asked(self, method: str, target: str = "") -> list[Request]:
        """Return the requests so far, those that met a fault too."""
        requests = [one for one in self.requests if one.method == method]
        return [one for one in requests if re.search(target, one.target)]

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Refuse connections and break those that are open, for as long as the block lasts."""
        port = self._listener.getsockname()[1]
        self._shut()
        with hold_port(port):
            try:
                yield
            finally:
                self._listener = self._listen(port)

    # --- inside -------------------------------------------------------------------------------

    def _unmet(self) -> list[_Script]:
        return [one for one in self._scripts if 0 < one.times < ALWAYS]

    def _listen(self, port: int) -> socket.socket:
        listener = socket.create_server(("127.0.0.1", port), backlog=128)
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        return listener

    def _shut(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
        with self._guard:
            self._listener.close()
            still_open = list(self._open)
        for client in still_open:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with self._guard:
                if listener.fileno() < 0:  # shut since
                    client.close()
                    return
                self._open.add(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            with client.makefile("rb") as sent:
                while (request := _read_request(sent)) is not None:
                    if not self._fault_for(request)(Exchange(self, request, client, sent)):
                        break
                _end(client)
        except OSError:
            pass  # either side went away; both see that for themselves
        finally:
            with self._guard:
                self._open.discard(client)
            client.close()

    def _fault_for(self, request: Request) -> Fault:
        with self._guard:
            self.requests.append(request)
            for script in self._scripts:
                if script.takes(request):
                    return script.fault
        return pass_on


class Exchange:
    """One request on its way to the server, and the answer on its way back."""

    def __init__(
        self, proxy: FaultyProxy, request: Request, client: socket.socket, sent: BinaryIO
    ) -> None:
        self.proxy = proxy
        self.request = request
        self.client = client
        self._sent = sent  # what the client sends after the head

    def body(self) -> Iterator[bytes]:
        """Take the body of the request from the client, in pieces as they come."""
        return _body(self._sent, self.request.headers)

    def swallow_body(self) -> None:
        """Take the body so that an answer is read; who waits for leave to send it sends none."""
        if "expect" not in self.request.headers:
            for _ in self.body():
                pass

    def answer(self, status: str, body: bytes) -> bool:
        """Answer in the server's place, with an XML document or nothing; then all is over."""
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\n"
        head += f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        shown = b"" if self.request.method == "HEAD" else body
        self.client.sendall(head.encode() + shown)
        return False

    def relay(
        self,
        *,
        change_head: Callable[[bytes], bytes] = lambda head: head,
        change_body: Callable[[Iterator[bytes]], Iterator[bytes]] = lambda body: body,
        bytes_per_s: float = 0,
        answer_to: Callable[[bytes], object] | None = None,
    ) -> bool:
        """Pass request and answer on. Returns whether the connection can go on.

        The answer is what the changes make of it; ``answer_to`` gets it in the client's place.
        """
        tell = answer_to or self.client.sendall
        with socket.create_connection(self.proxy.server, timeout=_NO_ANSWER_S) as server:
            server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            server.sendall(self.request.head)
            sending = threading.Thread(
                target=self._send_body, args=(server, bytes_per_s), daemon=True
            )
            sending.start()
            with server.makefile("rb") as answered:
                may_send = "expect" not in self.request.headers
                while (head := _read_head(answered)).startswith(b"HTTP/1.1 1"):  # 100 Continue
                    self.client.sendall(head)
                    may_send = True
                if not head:
                    return False
                headers = _headers(head)
                changed = change_head(head)
                if not may_send:  # the end comes with the answer, before the client asks again
                    self.client.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
                tell(changed)
                has_body = self.request.method != "HEAD" and head[9:12] not in (b"204", b"304")
                pieces = _body(answered, headers, to_the_end=True) if has_body else iter(())
                chunked = "chunked" in headers.get("transfer-encoding", "").lower()
                for piece in _paced(change_body(pieces), bytes_per_s):
                    tell(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
                if chunked and has_body:
                    tell(b"0\r\n\r\n")
            # A refusal may come before the body; then nobody knows what the next bytes are, even
            # where as many have come: they may be the start of another request.
            sending.join(5 if may_send else 0)
            return (
                may_send
                and head.startswith(b"HTTP/1.1")
                and "close" not in headers.get("connection", "").lower()
                and (changed == head or not has_body)
                and not sending.is_alive()
            )

    def _send_body(self, server: socket.socket, bytes_per_s: float) -> None:
        gone = False
        with contextlib.suppress(OSError, ValueError):
            for piece in _paced(self.body(), bytes_per_s):
                if gone:
                    continue
                try:
                    server.sendall(piece)
                except OSError:  # it has answered; the client may still be sending
                    gone = True


Fault = Callable[[Exchange], bool]


# --- faults -----------------------------------------------------------------------------------


def pass_on(exchange: Exchange) -> bool:
    """Do as asked: no fault."""
    return exchange.relay()


def say(status: str, body: bytes) -> Fault:
    """Answer with this XML document and do nothing."""

    def fault(exchange: Exchange) -> bool:
        exchange.swallow_body()
        return exchange.answer(status, body)

    return fault


def refuse(status: str, code: str) -> Fault:
    """Answer with an error of S3's and do nothing."""
    return say(status, f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode())


slow_down = refuse("503 Slow Down", "SlowDown")
internal_error = refuse("500 Internal Server Error", "InternalError")
# What a server answers whose clock and the client's are more than 15 minutes apart.
time_too_skewed = refuse("403 Forbidden", "RequestTimeTooSkewed")


def lose_answer(exchange: Exchange) -> bool:
    """Do what is asked and answer that it failed."""
    exchange.relay(answer_to=lambda _: None)
    return exchange.answer("500 Internal Server Error", b"")


def hang(exchange: Exchange) -> bool:
    """Take everything and say nothing until the client goes."""
    while exchange.client.recv(_CHUNK_BYTES):
        pass
    return False


def reset_after(count: int) -> Fault:
    """Reset the connection once at least ``count`` bytes of the request's body are here."""

    def fault(exchange: Exchange) -> bool:
        if count and "expect" in exchange.request.headers:
            exchange.client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        taken, body = 0, exchange.body()
        while taken < count:
            taken += len(next(body))
        exchange.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise ConnectionResetError("as the test wants it")

    return fault


reset = reset_after(0)


def cut_off(count: int) -> Fault:
    """End the connection after ``count`` bytes of the answer's body."""

    def first(body: Iterator[bytes]) -> Iterator[bytes]:
        yield from _first(body, count)
        raise ConnectionAbortedError("cut off as the test wants it")

    def fault(exchange: Exchange) -> bool:
        with contextlib.suppress(ConnectionAbortedError):
            exchange.relay(change_body=first)
        return False

    return fault


def lie_about_size(size: int) -> Fault:
    """Say that the object has ``size`` bytes, and send no more than that."""

    def fault(exchange: Exchange) -> bool:
        exchange.relay(
            change_head=lambda head: re.sub(
                rb"(?i)(content-length: *)\d+", rb"\g<1>%d" % size, head, count=1
            ),
            change_body=lambda body: _first(body, size),
        )
        return False

    return fault


def throttle(bytes_per_s: float) -> Fault:
    """Do as asked, at this speed each way."""
    return lambda exchange: exchange.relay(bytes_per_s=bytes_per_s)


# --- HTTP/1.1, RFC 9112 -----------------------------------------------------------------------


def _end(client: socket.socket) -> None:
    """End our side and wait for the client's: bytes left unread would reset answers on their way.

    Source: RFC 9112, 9.6.
    """
    client.shutdown(socket.SHUT_WR)
    while client.recv(_CHUNK_BYTES):
        pass


def _read_head(stream: BinaryIO) -> bytes:
    """Return a head with its empty line; empty when the other side has ended."""
    lines = []
    while line := stream.readline(65536):
        lines.append(line)
        if line in (b"\r\n", b"\n"):
            return b"".join(lines)
    return b""


def _headers(head: bytes) -> dict[str, str]:
    pairs = [line.partition(":") for line in head.decode("latin-1").split("\r\n")[1:] if line]
    return {name.lower(): value.strip() for name, _, value in pairs}


def _read_request(stream: BinaryIO) -> Request | None:
    head = _read_head(stream)
    if not head:
        return None
    method, target, _ = head.decode("latin-1").split(" ", 2)
    return Request(head, method, target, _headers(head))


def _body(
    stream: BinaryIO, headers: dict[str, str], *, to_the_end: bool = False
) -> Iterator[bytes]:
    """Yield the content; ``to_the_end``: all that comes where no length is said."""
    if "chunked" in headers.get("transfer-encoding", "").lower():
        while size := int(stream.readline().partition(b";")[0], 16):
            yield from _exactly(stream, size)
            stream.readline()
        while stream.readline().strip():  # trailers
            pass
    elif "content-length" in headers:
        yield from _exactly(stream, int(headers["content-length"]))
    elif to_the_end:
        while piece := stream.read1(_CHUNK_BYTES):
            yield piece


def _exactly(stream: BinaryIO, count: int) -> Iterator[bytes]:
    while count:
        piece = stream.read1(min(count, _CHUNK_BYTES))
        if not piece:
            raise ConnectionAbortedError("the other side went away")
        count -= len(piece)
        yield piece


def _first(body: Iterator[bytes], count: int) -> Iterator[bytes]:
    for piece in body:
        yield piece[:count]
        count -= len(piece)
        if count <= 0:
            return


def _paced(body: Iterator[bytes], bytes_per_s: float) -> Iterator[bytes]:
    if not bytes_per_s:
        yield from body
        return
    for piece in body:
        step = max(1, int(bytes_per_s / 10))
        for start in range(0, len(piece), step):
            part = piece[start : start + step]
            time.sleep(len(part) / bytes_per_s)
            yield part
