"""A pytest plugin: moto's S3 server on a free port of this machine, able to misbehave.

PYTEST_DONT_REWRITE: test modules import it by name before pytest loads it as a plugin.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
# Takes the place of one answer; gets the real application to call it, or not.
Fault = Callable[[App, dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_numbers = itertools.count(1)


class _Quiet(WSGIRequestHandler):
    def log(self, *args: Any) -> None:
        pass


@dataclass
class MotoServer:
    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    # (method, fault): each request meets the first fault for its method, and uses it up.
    faults: list[tuple[str, Fault]] = field(default_factory=list)

    def answer(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        self.requests.append(environ)
        for index, (method, fault) in enumerate(self.faults):
            if environ["REQUEST_METHOD"] == method:
                del self.faults[index]
                return fault(self._moto, environ, start)
        return self._moto(environ, start)

    def __enter__(self) -> MotoServer:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._server = make_server(
            "127.0.0.1", 0, self.answer, threaded=True, request_handler=_Quiet
        )
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()


def refuse(status: str, code: str) -> Fault:
    """Answer with an S3 error and do nothing."""

    def fault(app: App, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        start(status, [("Content-Type", "application/xml")])
        return [f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()]

    return fault


def do_right(app: App, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    """Answer as asked, so that a later request meets the next fault."""
    return app(environ, start)


def lose_answer(app: App, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    """Do what is asked and answer that it failed."""
    list(app(environ, lambda *_: None))
    start("500 Internal Server Error", [])
    return [b""]


def break_off(app: App, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    """Send half of the body and close the connection."""
    body = b"".join(app(environ, start))
    yield body[: len(body) // 2]
    raise ConnectionAbortedError


@pytest.fixture(scope="session")
def moto_server() -> Iterator[MotoServer]:
    with MotoServer() as server:
        yield server


@pytest.fixture
def s3(moto_server: MotoServer, settings: Any, monkeypatch: Any) -> Iterator[MotoServer]:
    """The server, with settings that make every bucket one of its own, and a fresh bucket."""
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "testing"),
        ("AWS_SECRET_ACCESS_KEY", "testing-secret"),
        ("AWS_CONFIG_FILE", "/nowhere"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/nowhere"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ):
        monkeypatch.setenv(name, value)
    name = f"bucket-{next(_numbers)}"
    settings.AWS_STORAGE_BUCKET_NAME = settings.MEDIA_BUCKET = name
    settings.AWS_S3_ENDPOINT_URL = moto_server.url
    settings.AWS_S3_ADDRESSING_STYLE = "path"
    settings.AWS_S3_REGION_NAME = "eu-west-1"
    client = boto3.client("s3", endpoint_url=moto_server.url, region_name="eu-west-1")
    client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    moto_server.requests.clear()
    yield moto_server
    left = list(moto_server.faults)
    moto_server.faults.clear()
    assert not left, "the test set up faults that nothing met"


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.s3)])
def kind_of_bucket(request: Any, settings: Any, tmp_path: Any) -> str:
    """Run the test on both kinds: settings.MEDIA_BUCKET names an empty bucket."""
    if request.param == "s3":
        request.getfixturevalue("s3")
    else:
        settings.BUCKETS_DIR = tmp_path / "buckets"
    return request.param
