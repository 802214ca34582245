"""The clients of a transcoder, each in a process and a Python environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.system import ROOT, System

HERE = Path(__file__).resolve().parent
OLD_BOTO3 = ROOT / ".venv-clients" / "boto3" / "bin" / "python"
AWS = ROOT / ".venv-clients" / "awscli" / "bin" / "aws"
# One answer; a waiter, or an old client's patience with errors, takes longest.
ANSWER_S = 90

# Kind of client -> the Python that runs it, arguments, further environment.
BOTO3 = {
    "boto3 1.41.5": (OLD_BOTO3, [], {}),
    "newest boto3, AWS_DATA_PATH": (
        Path(sys.executable),
        [],
        {"AWS_DATA_PATH": str(ROOT / "elastic_transcoder" / "data")},
    ),
    "newest boto3, elastic_transcoder.client": (
        Path(sys.executable),
        ["elastic_transcoder"],
        {"PYTHONPATH": str(ROOT)},
    ),
}


def installed(program: Path) -> Path:
    """Return ``program``; where the old clients are not installed, fail with what installs them."""
    if not program.exists():
        pytest.fail("the old clients are not installed: say make old-clients", pytrace=False)
    return program


def environment(system: System, **more: str) -> dict[str, str]:
    """Return what an application on another machine would have: a region, keys, no endpoint."""
    secrets = system.secrets()
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(system.data_dir / "home"),  # no ~/.aws
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": secrets["TRANSCODER_ACCESS_KEY_ID"],
        "AWS_SECRET_ACCESS_KEY": secrets["TRANSCODER_SECRET_ACCESS_KEY"],
        "AWS_EC2_METADATA_DISABLED": "true",
        # What is refused for good is repeated once less often than by default: seconds matter here.
        "AWS_MAX_ATTEMPTS": "3",
        **more,
    }


def endpoint(system: System) -> dict[str, str]:
    """Return both variables: old SDKs read the first, new ones with our model the second."""
    return {
        "AWS_ENDPOINT_URL_ELASTIC_TRANSCODER": system.url,
        "AWS_ENDPOINT_URL_ELASTICTRANSCODER": system.url,
    }


class Refused(Exception):
    """What the client raised. ``told`` is as ``any_boto3.described`` says it."""

    def __init__(self, told: dict[str, Any]) -> None:
        super().__init__(f"{told['class']}: {told['message']}")
        self.name: str = told["class"]
        self.message: str = told["message"]
        self.code: str = told.get("code", "")
        self.status: int = told.get("status", 0)
        self.is_typed: bool = told.get("is_typed", False)
        self.attempts: int = told.get("attempts", 0)
        self.last: dict[str, Any] = told.get("last", {})


class Boto3:
    """A boto3 client in another process: ``client.read_job(Id=…)``. Raises Refused."""

    def __init__(self, system: System, kind: str, **more: str) -> None:
        python, arguments, of_kind = BOTO3[kind]
        self.kind = kind
        self.process = subprocess.Popen(
            [str(installed(python)), str(HERE / "any_boto3.py"), *arguments],
            env=environment(system, **endpoint(system), **of_kind, **more),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Boto3:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()

    def __getattr__(self, operation: str) -> Any:
        return partial(self.call, operation)

    def call(
        self, operation: str, on_the_way: dict[str, Any] | None = None, **params: object
    ) -> dict[str, Any]:
        return self.do("call", operation=operation, params=params, on_the_way=on_the_way)

    def raw(self, operation: str, **params: object) -> str:
        """Return the body of the answer as it came over the wire."""
        return self.do("raw", operation=operation, params=params)

    def pages(self, operation: str, **params: object) -> Iterator[dict[str, Any]]:
        """Yield the pages of the operation's paginator, each asked for when it is wanted."""
        self.do("paginate", operation=operation, params=params)
        while (page := self.do("page")) is not None:
            yield page

    def wait(self, waiter: str, **params: object) -> None:
        self.do("wait", waiter=waiter, params=params)

    def do(self, what: str, **arguments: object) -> Any:
        request = {"do": what, "with": arguments}
        print(json.dumps(request), file=self.process.stdin, flush=True)
        limit = threading.Timer(ANSWER_S, self.process.kill)
        limit.start()
        line = self.process.stdout.readline()
        limit.cancel()
        assert line, f"{self.kind} died of {request}; its last words are on stderr"
        answer = json.loads(line)
        if "error" in answer:
            raise Refused(answer["error"])
        return answer["is"]


class AwsCli:
    """The AWS command line: ``aws("read-job", "--id", …)``. Raises CliFailed.

    ``arguments`` stand before the service's name, as ``--endpoint-url``.
    """

    def __init__(self, environment: dict[str, str], *arguments: str) -> None:
        self.environment = environment
        self.arguments = arguments

    def __call__(self, *words: str) -> Any:
        """Return what the command prints, out of JSON; None when it prints nothing."""
        command = [str(installed(AWS)), *self.arguments, "elastictranscoder", *words]
        command += ["--output", "json"]
        ended = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=ANSWER_S
        )
        if ended.returncode:
            raise CliFailed(ended.returncode, ended.stderr.strip())
        return json.loads(ended.stdout) if ended.stdout else None


class CliFailed(Exception):
    """``aws`` ended with ``returncode`` and said ``words``."""

    def __init__(self, returncode: int, words: str) -> None:
        super().__init__(f"{returncode}: {words}")
        self.returncode = returncode
        self.words = words
