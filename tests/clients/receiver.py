"""An HTTP server in the test's own process that takes what a topic sends."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Delivery:
    """One POST: its headers, with names in lower case, its body and the status of our answer."""

    headers: dict[str, str]
    body: bytes
    answered: int = 0

    @property
    def envelope(self) -> dict[str, Any]:
        return json.loads(self.body)

    @property
    def notice(self) -> dict[str, Any]:
        """The document inside the envelope."""
        return json.loads(self.envelope["Message"])


@dataclass
class Receiver:
    """``answer``: from a delivery to the status that it gets."""

    deliveries: list[Delivery] = field(default_factory=list)
    answer: Callable[[Delivery], int] = lambda delivery: 200

    def __enter__(self) -> Receiver:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                status = receiver.answer(Delivery(headers, body))
                receiver.deliveries.append(Delivery(headers, body, status))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/sns"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def of_job(self, job_id: str) -> list[Delivery]:
        """Return what came of this job, in the order in which it came."""
        return [one for one in self.deliveries if one.notice["jobId"] == job_id]

    def accepted(self, job_id: str) -> list[str]:
        """Return the states of this job that were taken, in the order in which they were."""
        return [one.notice["state"] for one in self.of_job(job_id) if one.answered == 200]
