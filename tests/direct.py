"""A direct upload as a page's script makes it, for tests and benchmarks that need no browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import requests

from tests.system import Person

START = "/audio/uploads/s3/multipart"


class DirectUpload:
    """One file on its way; ``read(start, size)`` gives its bytes."""

    def __init__(
        self,
        person: Person,
        size_bytes: int,
        read: Callable[[int, int], bytes],
        name: str = "Song.wav",
        **metadata: Any,
    ) -> None:
        self.person, self.size_bytes, self.read = person, size_bytes, read
        body = {"filename": name, "type": "", "metadata": {"size": size_bytes, **metadata}}
        begun = self.ask("POST", START, json=body)
        assert begun.status_code == 200, begun.text
        self.facts = begun.json()

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        """Ask the site as a page does, with the session's cookie and an Origin."""
        url, origin = self.person.system.url + path, {"Origin": self.person.system.url}
        return self.person.session.request(method, url, headers=origin, timeout=120, **options)

    def path(self, rest: str = "") -> str:
        return f"{START}/{self.facts['uploadId']}{rest}?key={self.facts['key']}"

    def part_url(self, number: int) -> str:
        signed = self.ask("GET", self.path(f"/{number}"))
        assert signed.status_code == 200, signed.text
        url = signed.json()["url"]
        return self.person.system.url + url if url.startswith("/") else url

    def part(self, number: int) -> bytes:
        start = (number - 1) * self.facts["partSize"]
        return self.read(start, min(self.facts["partSize"], self.size_bytes - start))

    def send(self, number: int) -> dict[str, Any]:
        sent = requests.put(self.part_url(number), data=self.part(number), timeout=120)
        assert sent.status_code == 200, sent.text
        return {"PartNumber": number, "ETag": sent.headers["ETag"]}

    def send_all(self) -> list[dict[str, Any]]:
        return [self.send(number) for number in range(1, self.facts["partCount"] + 1)]

    def complete(self, parts: list[dict[str, Any]]) -> requests.Response:
        return self.ask("POST", self.path("/complete"), json={"parts": parts})
