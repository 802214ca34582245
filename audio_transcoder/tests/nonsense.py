"""Answers that no API gives, for the tests of the engines."""

from __future__ import annotations

import io
from collections.abc import Iterator

from botocore.awsrequest import AWSResponse
from botocore.client import BaseClient

# What stands between us and an engine can answer anything at all.
NONSENSE = [
    b"",
    b"{}",
    b"[1, 2]",
    b'"Job"',
    b"<html>Sign in to the guests' network</html>",
    b'{"Job": null, "Jobs": null, "Pipelines": null}',
    b'{"Job": {}, "Jobs": [{}], "Pipelines": [{}]}',
    b'{"Job": "J", "Jobs": "J", "Pipelines": 5}',
    b'{"job": {}, "jobs": [{}]}',
    b'{"job": {"status": "COMPLETE"}, "jobs": 5}',
    b'{"job": "J", "jobs": [5]}',
    b'{"job": {"id": "1", "status": "COMP',
    b"\xff\xfe\x00",
]


def answering(client: BaseClient, body: bytes) -> BaseClient:
    """Have every call of ``client`` answered so, with status 200."""

    class Raw(io.BytesIO):
        def stream(self, **_options: object) -> Iterator[bytes]:
            yield self.read()

    client.meta.events.register_first(
        f"before-send.{client.meta.service_model.service_name}",
        lambda request, **_: AWSResponse(request.url, 200, {}, Raw(body)),
    )
    return client
