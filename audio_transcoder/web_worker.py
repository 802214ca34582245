"""gunicorn's threaded worker, made safe against clients that send or read slowly."""

from __future__ import annotations

import errno
import socket
import time
from datetime import timedelta
from typing import Any

from django.conf import settings
from gunicorn import util
from gunicorn.glogging import Logger
from gunicorn.workers.gthread import _DEFER, TConn, ThreadWorker

from audio_transcoder.logged import without_token

# Below these a body may take hours to arrive; whatever else is sent to us is short.
UPLOAD_PATHS = ("/audio/upload/", "/audio/uploads/parts/", "/audio/uploads/forms/")


class ClientSocket(socket.socket):
    """A client's socket on which blocking means: at most ``CLIENT_IDLE_S`` without a byte.

    A client that is too slow counts as one that went away: ConnectionResetError.
    """

    # By the monotonic clock; a request's head, or a short body, has to be here by then, however
    # its bytes drip.
    whole_until: float | None = None

    def setblocking(self, is_blocking: bool) -> None:
        self.settimeout(settings.CLIENT_IDLE_S if is_blocking else 0.0)

    def recv(self, *arguments: Any) -> bytes:
        if self.whole_until is not None and time.monotonic() > self.whole_until:
            raise ConnectionResetError(errno.ECONNRESET, "the request took too long to arrive")
        try:
            return super().recv(*arguments)
        except TimeoutError as error:
            raise ConnectionResetError(errno.ECONNRESET, "the client sends nothing") from error

    def sendall(self, *arguments: Any) -> None:
        try:
            super().sendall(*arguments)
        except TimeoutError as error:
            raise ConnectionResetError(errno.ECONNRESET, "the client takes nothing") from error

    def sendfile(self, *arguments: Any, **options: Any) -> int:
        try:
            return super().sendfile(*arguments, **options)
        except TimeoutError as error:
            raise ConnectionResetError(errno.ECONNRESET, "the client takes nothing") from error


class Connection(TConn):
    """A connection that gives each request's head ``CLIENT_IDLE_S`` seconds."""

    def init(self) -> None:
        self.sock.whole_until = time.monotonic() + settings.CLIENT_IDLE_S
        super().init()

    def close(self, graceful: bool = False) -> None:
        """Close at once; whatever has to linger did so in the thread that served the request."""
        util.close(self.sock)


class PatientWorker(ThreadWorker):
    """Serves people at their normal speed while others dawdle."""

    def load_wsgi(self) -> None:
        """Load the application; an answer of it with ``Connection: close`` ends the connection.

        gunicorn ignores the header, and would read what a refused request still sends.
        """
        super().load_wsgi()
        application = self.wsgi

        def closing(environ: dict[str, Any], start_response: Any) -> Any:
            def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
                if ("Connection", "close") in headers:
                    start_response.__self__.force_close()
                return start_response(status, headers, *error)

            return application(environ, start)

        self.wsgi = closing

    def accept(self, listener: socket.socket) -> None:
        """As ThreadWorker's, with our socket and connection."""
        try:
            accepted, address = listener.accept()
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.ECONNABORTED, errno.EWOULDBLOCK):
                raise
            return
        self.nr_conns += 1
        client = ClientSocket(fileno=accepted.detach())
        self.enqueue_req(Connection(self.cfg, client, address, listener.getsockname()))

    def handle(self, connection: Connection) -> Any:
        """Serve one request, in a thread; return whether the connection is kept.

        gunicorn's close waits up to two seconds for the client's own end, and does that in the
        one thread that accepts everybody else. Here the client's own thread waits.
        """
        keep = super().handle(connection)
        if keep is not _DEFER and not keep:
            util.close_graceful(connection.sock)
        return keep

    def handle_request(self, request: Any, connection: Connection) -> bool:
        is_upload = request.path.startswith(UPLOAD_PATHS)
        connection.sock.whole_until = (
            None if is_upload else time.monotonic() + settings.CLIENT_BODY_S
        )
        return super().handle_request(request, connection)


class AccessLogger(Logger):
    """One line for each request, without anything that opens a door.

    No query (signed links have theirs there), no headers; of the Authorization header only
    whether it is an AWS signature. Of a call of the API the key's name, the operation and the
    request id, which the API leaves in the environment.
    """

    def atoms(
        self, response: Any, request: Any, environ: dict[str, Any], request_time: timedelta
    ) -> dict[str, Any]:
        """Return what the format may name: gunicorn's own, and ours.

        ``path`` is as it came over the wire, still percent-encoded, and ``key`` is escaped as in
        Python's literals, so no line is split; gunicorn escapes the quotes.
        """
        call = environ.get("elastic_transcoder.call", {})
        path = environ["RAW_URI"].partition("?")[0]
        authorization = environ.get("HTTP_AUTHORIZATION", "")
        return {
            **super().atoms(response, request, environ, request_time),
            "path": without_token(path).encode("ascii", "backslashreplace").decode(),
            "key": call.get("key", "-").encode("unicode_escape").decode(),
            "operation": call.get("operation", "-"),
            "request_id": call.get("request_id", "-"),
            "signed": "signed" if authorization.startswith("AWS4-HMAC-SHA256 ") else "-",
        }
