"""A mail server for tests: real SMTP (RFC 5321) on a port of this machine, with faults."""

from __future__ import annotations

import email
import email.policy
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage


class SmtpServer(socketserver.ThreadingTCPServer):
    """Keeps what it is given in ``mails``; ``fault`` says where it goes wrong."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Conversation)
        self.port = self.server_address[1]
        self.raw: list[bytes] = []
        # "silent": says nothing; "busy": takes no recipient just now; "goodbye": breaks off after
        # the last byte; "early": breaks off when an e-mail begins.
        self.fault = ""
        self.connections = 0
        self.ended = threading.Event()

    @property
    def mails(self) -> list[EmailMessage]:
        return [email.message_from_bytes(raw, policy=email.policy.default) for raw in self.raw]


class _Conversation(socketserver.StreamRequestHandler):
    server: SmtpServer

    def say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())

    def handle(self) -> None:
        server = self.server
        server.connections += 1
        if server.fault == "silent":
            server.ended.wait()
            return
        self.say("220 here")
        while line := self.rfile.readline():
            command = line.split(b" ")[0].strip().upper().split(b":")[0]
            if command == b"DATA":
                self.say("354 go on")
                body = b""
                while (part := self.rfile.readline()) != b".\r\n":
                    body += part
                server.raw.append(body)
                if server.fault == "goodbye":
                    return
                self.say("250 taken")
            elif command == b"MAIL" and server.fault == "early":
                return
            elif command == b"RCPT" and server.fault == "busy":
                self.say("451 not now")
            elif command == b"QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 fine")


@contextmanager
def smtp_server() -> Iterator[SmtpServer]:
    with SmtpServer() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.ended.set()
        server.shutdown()
        thread.join()
