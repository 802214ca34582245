"""The engine behind AWS Elemental MediaConvert, API 2017-08-29."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from django.conf import settings

from audio_transcoder.engines.base import (
    UNREADABLE,
    JobReport,
    Order,
    TranscoderError,
    TranscoderRejected,
    TranscoderUnavailable,
)
from audio_transcoder.engines.mediaconvert import reports, requests

Answer = TypeVar("Answer")

CONNECT_TIMEOUT_S = 3.0
ATTEMPTS = 3
# Pages of 20 jobs, newest first, among which an unanswered order is looked for; the API allows
# two pages a second, after a first hundred.
_SEARCH_PAGES = 50
# Credentials that have run out are renewed, a clock that is wrong is put right some day, and what
# contradicts an order under way is looked up before the next one.
_PASSING = re.compile(
    r"ExpiredTokenException|ConflictException|RequestExpired"
    r"|InvalidSignatureException: Signature (expired|not yet current)"
)


class MediaConvert:
    """Orders renditions from MediaConvert.

    ``connect`` makes the botocore client of the service "mediaconvert" at the first call;
    ``role`` is the ARN that the service reads and writes ``bucket`` with, ``queue`` the ARN of the
    queue that the jobs go to, and ``env`` what this installation is called among others.
    """

    # Two calls a second are allowed to all of the account, and of sound no progress is told.
    is_read_often = False
    tells_facts = False
    carries_labels = False

    def __init__(
        self, connect: Callable[[], BaseClient], *, role: str, queue: str, bucket: str, env: str
    ) -> None:
        self.connect = connect
        self.role = role
        self.queue = queue
        self.bucket = bucket
        self.env = env

    @classmethod
    def from_settings(cls, region_name: str, _pipeline_name: str) -> MediaConvert:
        """Return the engine of the MEDIACONVERT_… settings; nothing is called yet."""
        return cls(
            functools.partial(client, region_name, settings.TRANSCODER_TIMEOUT),
            role=settings.MEDIACONVERT_ROLE_ARN,
            queue=settings.MEDIACONVERT_QUEUE_ARN,
            bucket=settings.MEDIA_BUCKET,
            env=settings.MEDIACONVERT_ENV,
        )

    @staticmethod
    def refusal(order: Order) -> TranscoderRejected | None:
        """Return why MediaConvert cannot do ``order``, or None."""
        return requests.refusal(order)

    @functools.cached_property
    def client(self) -> BaseClient:
        return self.connect()

    def create_job(self, order: Order) -> str:
        """Place ``order`` and return the job's id.

        The same ``our_id`` within a minute is the same job. A clip is cut to hundredths of a
        second. Of a source with video it is refused, where that is known: times would be read as
        frames, and the clip begin and end up to a second wrong. A loudness is reached with a
        limiter at -1 dBTP. Tags and covers are not carried over, for the API has no such thing.

        Raises TranscoderRejected, also for what MediaConvert cannot do, or TranscoderUnavailable.
        Source: CreateJob.
        """
        request = requests.request(
            order, env=self.env, role=self.role, queue=self.queue, bucket=self.bucket
        )
        return self._call(lambda: self.client.create_job(**request)["Job"]["Id"])

    def find_job(self, our_id: str) -> str | None:
        """Return the id of the newest job of the queue that carries ``our_id``, or None.

        The service forgets the token of an order after a minute. Source: ListJobs.
        """

        def search() -> str | None:
            pages = self.client.get_paginator("list_jobs").paginate(
                Queue=self.queue, Order="DESCENDING", MaxResults=20
            )
            for number, page in enumerate(pages, 1):
                for job in page["Jobs"]:
                    if job.get("UserMetadata", {}).get(requests.OUR_ID) == our_id:
                        return job["Id"]
                if number == _SEARCH_PAGES:
                    break
            return None

        return self._call(search)

    def read_job(self, engine_id: str) -> JobReport | None:
        """Return the job as the service has it now, None if it has none. Source: GetJob."""
        try:
            return self._call(
                lambda: reports.of_job(self.client.get_job(Id=engine_id)["Job"], bucket=self.bucket)
            )
        except TranscoderRejected as error:
            if error.detail.startswith("NotFoundException"):
                return None
            raise

    def cancel_job(self, engine_id: str) -> None:
        """Have the job given up; one that is over, or unknown, is left alone.

        Source: CancelJob, for jobs that wait or run.
        """
        try:
            self._call(lambda: self.client.cancel_job(Id=engine_id))
        except TranscoderUnavailable as error:
            if not str(error).startswith("ConflictException"):
                raise
        except TranscoderRejected as error:
            if not error.detail.startswith(("BadRequestException", "NotFoundException")):
                raise

    @staticmethod
    def parse_notice(document: object, at: datetime) -> JobReport | None:
        """Return the report in an event of EventBridge, or None if it is none of ours."""
        return reports.of_event(
            document,
            at,
            queue=settings.MEDIACONVERT_QUEUE_ARN,
            env=settings.MEDIACONVERT_ENV,
            bucket=settings.MEDIA_BUCKET,
        )

    def _call(self, call: Callable[[], Answer]) -> Answer:
        try:
            return call()
        except ClientError as error:
            raise _as_transcoder_error(error) from error
        except BotoCoreError as error:
            raise TranscoderUnavailable(str(error)) from error
        except (ResponseParserError, *UNREADABLE) as error:
            raise TranscoderUnavailable(f"an answer that makes no sense ({error!r})") from error


def client(region_name: str, timeout_s: float) -> BaseClient:
    """Return a botocore client of the service, with credentials from boto3's usual places.

    ``timeout_s`` is how long one attempt waits for an answer, in seconds; connecting may take 3 of
    it. A call is tried three times in all (botocore's retry mode "standard": 429, 5xx, no
    connection, no answer), an order with the same token each time.
    """
    # boto3 takes a quarter of a second to import, and the web process never needs it.
    import boto3

    config = Config(
        connect_timeout=min(CONNECT_TIMEOUT_S, timeout_s),
        read_timeout=timeout_s,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
    )
    session = boto3.session.Session(region_name=region_name)
    made: Any = session.client("mediaconvert", config=config)
    return made


def _as_transcoder_error(error: ClientError) -> TranscoderError:
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = error.response.get("Error", {}).get("Code", "")
    text = f"{code}: {error.response.get('Error', {}).get('Message', '')}"
    if status == 429 or status >= 500 or not status or _PASSING.match(text):
        return TranscoderUnavailable(text)
    return TranscoderRejected("internal", text)
