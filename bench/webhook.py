"""The webhook: notices a second whose signature is verified and which are recorded."""

from __future__ import annotations

import contextlib
import http.client
import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from bench.table import Line, milliseconds, quantile
from sns.sign import SignedMessage, Signer
from tests.system import System

SENDERS, NOTICES = 4, 2000
TOPIC = "arn:aws:sns:eu-west-1:000000000000:transcode-complete"  # our own, see .env.example
PATH = "/transcode-complete/"


def measure(folder: Path) -> list[Line]:
    system = System(folder).start()
    try:
        # Signed beforehand: RSA takes the sender longer than the receiver.
        messages = _messages(folder, f"{system.url}{PATH}")
        began = time.monotonic()
        took = _post(system, messages)
        rate = len(took) / (time.monotonic() - began)
        recorded = system.count("audio_transcoder_receivednotice")
    finally:
        system.stop()
    if recorded != NOTICES:
        raise RuntimeError(f"{recorded} notices of {NOTICES} were recorded")
    return [
        Line(
            f"webhook, {NOTICES} notices verified and recorded, {SENDERS} senders",
            "≥ 20/s, p99 ≤ 500 ms",
            f"{rate:.0f}/s; {milliseconds(took)}",
            rate >= 20 and quantile(took, 0.99) <= 0.5,
        )
    ]


def _messages(folder: Path, url: str) -> list[SignedMessage]:
    signer = Signer((folder / "sns.key.pem").read_bytes(), (folder / "sns.cert.pem").read_bytes())
    return [
        signer.notification(
            topic_arn=TOPIC,
            message=json.dumps({"of no kind": "that the site knows", "number": number}),
            subject="Bench",
            message_id=uuid.uuid4(),
            timestamp=datetime.now(UTC),
            subscriber=url,
        )
        for number in range(NOTICES)
    ]


def _post(system: System, messages: list[SignedMessage]) -> list[float]:
    def send(part: list[SignedMessage]) -> list[float]:
        took = []
        with contextlib.closing(
            http.client.HTTPConnection("127.0.0.1", system.port, timeout=60)
        ) as connection:
            for message in part:
                began = time.monotonic()
                connection.request("POST", PATH, message.body, message.headers)
                answer = connection.getresponse()
                answer.read()
                took.append(time.monotonic() - began)
                if answer.status != 200:
                    raise RuntimeError(f"a notice was answered {answer.status}")
        return took

    parts = [messages[number::SENDERS] for number in range(SENDERS)]
    with ThreadPoolExecutor(SENDERS) as senders:
        return [seconds for took in senders.map(send, parts) for seconds in took]
