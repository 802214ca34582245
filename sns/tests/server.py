"""A peer on a real socket that answers as a test wants, byte by byte if need be."""

import contextlib
import socket
import threading
import time


class Server:
    """Hands each connection to ``answer(connection, request bytes)`` in a thread of its own."""

    def __init__(self, answer, tls=None):
        self.answer = answer
        self.tls = tls
        self.requests = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}/path?query=1"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self.talk, args=[connection], daemon=True).start()

    def talk(self, connection):
        with contextlib.suppress(OSError), connection:
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            request = read_request(connection)
            self.requests.append(request)
            self.answer(connection)
            connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # Without the shutdown, accept() in the other thread would keep the port open.
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def read_request(connection):
    data = b""
    while b"\r\n\r\n" not in data:
        data += some(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        body += some(connection)
    return head + b"\r\n\r\n" + body


def some(connection):
    piece = connection.recv(65536)
    if not piece:  # else its thread would ask for ever, at the cost of all others
        raise ConnectionAbortedError("the client went away")
    return piece


def says(status, body=b"", headers=""):
    """Return an answer with this status line, ``"204 No Content"``, and body."""
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode()
    return lambda connection: connection.sendall(head + body)


def drips(start, every_s=0.05):
    """Return an answer that begins with ``start`` and then sends one byte at a time for ever."""

    def answer(connection):
        connection.sendall(start)
        while True:
            time.sleep(every_s)
            connection.sendall(b"x")

    return answer


def silent(connection):
    """Answer nothing, and keep the connection until the other side ends it."""
    connection.recv(1)
