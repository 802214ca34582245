"""A stand-in for MediaConvert: answers a real botocore client, in this process.

Requests and answers pass through botocore's own serializer and parser; every request is held
against the service model, with what botocore itself does not look at: enumerations, patterns,
maxima. See ``problems``.
"""

from __future__ import annotations

import io
import json
import re
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import botocore.session
from botocore.awsrequest import AWSResponse
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import ReadTimeoutError
from botocore.validate import ParamValidator
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone

EXAMPLES = json.loads((Path(__file__).parent / "data" / "mediaconvert-examples.json").read_text())
ROLE = "arn:aws:iam::111122223333:role/app-mediaconvert"
QUEUE = "arn:aws:mediaconvert:eu-west-1:111122223333:queues/audio-uploads"
ENV = "prod"
TOKEN_LIFE = timedelta(minutes=1)
_session = botocore.session.Session()  # one: reading the model takes a while
MODEL = _session.get_service_model("mediaconvert")

# Bit rates of AAC-LC, CBR, in kbit/s: channels and sampling rate -> least and greatest.
AAC_RANGES = {
    (1, 32000): (32, 192),
    (1, 44100): (56, 256),
    (1, 48000): (56, 288),
    (2, 32000): (40, 384),
    (2, 44100): (64, 512),
    (2, 48000): (64, 576),
}
AAC_STEPS = {32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 288, 320, 384, 448, 512, 576}
AAC_CHANNELS = {"CODING_MODE_1_0": 1, "CODING_MODE_2_0": 2}


def problems(operation: str, params: dict) -> list[str]:
    """Return what the service model has against ``params``, in words."""
    shape = MODEL.operation_model(operation).input_shape
    report = ParamValidator().validate(params, shape)
    if report.has_errors():
        return [report.generate_report()]
    return [*_walk(params, shape, operation), *_bad_rates(params, operation)]


def _walk(value, shape, path: str) -> Iterator[str]:
    limits = shape.metadata
    if shape.type_name == "structure":
        for name in set(shape.required_members) - set(value):
            yield f"{path}.{name} is missing"
        for name, inner in value.items():
            if name not in shape.members:
                yield f"{path}.{name} is unknown"
            else:
                yield from _walk(inner, shape.members[name], f"{path}.{name}")
    elif shape.type_name == "list":
        yield from _range(len(value), limits, path)
        for number, inner in enumerate(value):
            yield from _walk(inner, shape.member, f"{path}[{number}]")
    elif shape.type_name == "map":
        for name, inner in value.items():
            yield from _walk(name, shape.key, f"{path} key")
            yield from _walk(inner, shape.value, f"{path}.{name}")
    elif shape.type_name == "string":
        yield from _range(len(value), limits, path)
        if shape.enum and value not in shape.enum:
            yield f"{path} is {value!r}"
        if "pattern" in limits and not re.search(limits["pattern"], value):
            yield f"{path} does not match: {value!r}"
    elif shape.type_name in ("integer", "long", "double", "float"):
        yield from _range(value, limits, path)


def _range(value: float, limits: dict, path: str) -> Iterator[str]:
    if not limits.get("min", value) <= value <= limits.get("max", value):
        yield f"{path} is {value}, out of {limits}"


def _bad_rates(value, path: str) -> Iterator[str]:
    """Yield AAC-LC rates that the service refuses although its model takes them."""
    if isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _bad_rates(inner, f"{path}[{number}]")
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _bad_rates(inner, f"{path}.{name}")
        aac = value.get("AacSettings", {})
        if aac.get("CodecProfile") == "LC" and aac.get("RateControlMode") == "CBR":
            rate = aac["Bitrate"] / 1000
            low, high = AAC_RANGES[AAC_CHANNELS[aac["CodingMode"]], aac["SampleRate"]]
            if not low <= rate <= high or rate not in AAC_STEPS:
                yield f"{path}: {rate:g} kbit/s of AAC-LC"


class _Raw(io.BytesIO):
    def stream(self, **_: object) -> Iterator[bytes]:
        yield self.read()


class Service:
    """MediaConvert with one queue: takes jobs, remembers tokens for a minute, emits events.

    ``answers`` are used up first: each is a status and an error's name for the next request, or an
    exception to raise. ``lose_answer`` makes the next order vanish on its way back.
    """

    def __init__(self) -> None:
        self.jobs: dict[str, dict] = {}  # as on the wire, the newest last
        self.tokens: dict[str, tuple] = {}
        self.answers: list[tuple[int, str] | Exception] = []
        self.lose_answer = False
        self.requests: list[tuple[str, str]] = []

    def client(self) -> BaseClient:
        """Return a botocore client whose requests are answered here."""
        made = _session.create_client(
            "mediaconvert",
            region_name="eu-west-1",
            aws_access_key_id="testing",
            aws_secret_access_key="testing-secret",
            config=Config(retries={"total_max_attempts": 1}),
        )
        made.meta.events.register("provide-client-params.mediaconvert", self._check)
        made.meta.events.register("before-send.mediaconvert", self._send)
        return made

    def _check(self, params: dict, model, **_: object) -> None:
        assert problems(model.name, params) == []

    def _send(self, request, **_: object) -> AWSResponse:
        parts = urlsplit(request.url)
        assert parts.hostname == "mediaconvert.eu-west-1.amazonaws.com"
        self.requests.append((request.method, parts.path))
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return self._answer(answer[0], {"message": "because"}, answer[1])
        _version, _jobs, *rest = parts.path.strip("/").split("/")
        if request.method == "POST":
            return self._create(json.loads(request.body))
        if not rest:
            return self._list({name: value[0] for name, value in parse_qs(parts.query).items()})
        job = self.jobs.get(unquote(rest[0]))
        if job is None:
            return self._answer(404, {"message": "no such job"}, "NotFoundException")
        if request.method == "GET":
            return self._answer(200, {"job": job})
        if job["status"] not in ("SUBMITTED", "PROGRESSING"):
            return self._answer(409, {"message": "it is over"}, "ConflictException")
        job["status"] = "CANCELED"
        return self._answer(202, {})

    def _create(self, order: dict) -> AWSResponse:
        now = timezone.now()
        token = order["clientRequestToken"]
        made, engine_id = self.tokens.get(token, (None, ""))
        if made is None or now - made > TOKEN_LIFE:
            engine_id = f"{1790000000000 + len(self.jobs)}-ab12cd"
            self.tokens[token] = (now, engine_id)
            self.jobs[engine_id] = {
                **{name: order[name] for name in ("queue", "role", "settings", "userMetadata")},
                "id": engine_id,
                "status": "SUBMITTED",
                "createdAt": now.timestamp(),
                "timing": {"submitTime": now.timestamp()},
            }
        if self.lose_answer:
            self.lose_answer = False
            raise ReadTimeoutError(endpoint_url="https://mediaconvert")
        return self._answer(201, {"job": self.jobs[engine_id]})

    def _list(self, query: dict[str, str]) -> AWSResponse:
        jobs = [job for job in self.jobs.values() if job["queue"] == query["queue"]]
        if query["order"] == "DESCENDING":
            jobs.reverse()
        start, length = int(query.get("nextToken", 0)), int(query["maxResults"])
        more = {"nextToken": str(start + length)} if start + length < len(jobs) else {}
        return self._answer(200, {"jobs": jobs[start : start + length], **more})

    def _answer(self, status: int, body: dict, error: str = "") -> AWSResponse:
        headers = {"Content-Type": "application/json", "x-amzn-errortype": error}
        return AWSResponse("", status, headers, _Raw(json.dumps(body).encode()))

    def paths(self, engine_id: str) -> list[str]:
        """Return where the job's files go, as MediaConvert reads its settings."""
        return [
            f"{group['outputGroupSettings']['fileGroupSettings']['destination']}"
            f"{output.get('nameModifier', '')}.{output['extension']}".replace("$$", "$")
            for group in self.jobs[engine_id]["settings"]["outputGroups"]
            for output in group["outputs"]
        ]

    def finish(self, engine_id: str) -> dict:
        """Store the job's results, and return its last event."""
        paths = self.paths(engine_id)
        for path in paths:
            name = path.removeprefix(
                f"s3://{settings.MEDIA_BUCKET}/{settings.MEDIAFILES_LOCATION}/"
            )
            assert default_storage.save(name, ContentFile(b"result")) == name
        job = self.jobs[engine_id]
        details = [{"outputDetails": [{"durationInMs": 1000}]} for _ in paths]
        job.update(status="COMPLETE", outputGroupDetails=details)
        groups = [
            {
                "type": "FILE_GROUP",
                "outputDetails": [{"outputFilePaths": [path], "durationInMs": 1000}],
            }
            for path in paths
        ]
        return self.event(engine_id, "COMPLETE", outputGroupDetails=groups)

    def fail(self, engine_id: str, code: int) -> dict:
        """End the job with an error, and return its last event."""
        said = {"errorCode": code, "errorMessage": "because"}
        self.jobs[engine_id].update(status="ERROR", **said)
        return self.event(engine_id, "ERROR", **said)

    def event(self, engine_id: str, status: str, **more: object) -> dict:
        """Return an event of the job, as EventBridge sends it."""
        metadata = self.jobs[engine_id]["userMetadata"]
        return event(engine_id, status, userMetadata=metadata, **more)


def event(engine_id: str, status: str, **detail: object) -> dict:
    """Return an event as EventBridge sends it, of no job in particular."""
    now = timezone.now()
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "MediaConvert Job State Change",
        "source": "aws.mediaconvert",
        "account": "111122223333",
        "time": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": "eu-west-1",
        "resources": [f"arn:aws:mediaconvert:eu-west-1:111122223333:jobs/{engine_id}"],
        "detail": {
            "timestamp": int(now.timestamp() * 1000),
            "accountId": "111122223333",
            "queue": QUEUE,
            "jobId": engine_id,
            "status": status,
            **detail,
        },
    }
