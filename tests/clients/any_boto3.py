"""One boto3 client behind a pipe: a request in JSON on each line in, an answer on each line out.

Runs unchanged under every environment that the tests know, so it imports boto3, botocore and the
standard library alone. What the client speaks to, and as whom, boto3 finds in the process's
environment as for any program. ``any_boto3.py elastic_transcoder`` has the client built by
``elastic_transcoder.client`` instead, from the same variables.

A request is ``{"do": a method of Speaker, "with": its arguments}``, an answer ``{"is": a value}``
or ``{"error": {…}}``.
"""

import datetime
import json
import os
import sys

import boto3
import botocore.auth
from botocore import UNSIGNED
from botocore.exceptions import BotoCoreError, ClientError, WaiterError


class Speaker:
    def __init__(self, client):
        self.client = client
        self.pages = None
        self.body = b""
        client.meta.events.register("before-parse", self._keep)

    def _keep(self, response_dict, **_):
        self.body = response_dict["body"]

    def versions(self):
        """What runs here."""
        return {"boto3": boto3.__version__, "botocore": botocore.__version__}

    def call(self, operation, params, on_the_way=None):
        """What the operation returns. ``on_the_way``: what happens to this request, and how."""
        event, handler = Tampering.handler(on_the_way)
        if handler:
            self.client.meta.events.register(event, handler)
        try:
            return getattr(self.client, operation)(**params)
        finally:
            if handler:
                self.client.meta.events.unregister(event, handler)

    def raw(self, operation, params):
        """The body of the answer, as text."""
        self.call(operation, params)
        return self.body.decode()

    def paginate(self, operation, params):
        """Begin the operation's paginator; ``page`` gives one page after the other."""
        self.pages = iter(self.client.get_paginator(operation).paginate(**params))

    def page(self):
        """The next page of the paginator, or None after the last."""
        return next(self.pages, None)

    def wait(self, waiter, params):
        """Wait; an error if what is waited for cannot come any more."""
        self.client.get_waiter(waiter).wait(**params)

    def exceptions(self):
        """The errors that the client has classes for."""
        names = self.client.meta.service_model.error_shapes
        return sorted(n.name for n in names if issubclass(self.named(n.name), ClientError))

    def named(self, name):
        return getattr(self.client.exceptions, name)


class Tampering:
    """What may befall a request: one handler of a botocore event each."""

    @classmethod
    def handler(cls, what):
        if what is None:
            return None, None
        [(name, argument)] = what.items()
        return getattr(cls, name)(argument)

    @staticmethod
    def body(text):
        """The client signs and sends another body than it made."""

        def change(params, **_):
            params["body"] = text.encode()

        return "before-call", change

    @staticmethod
    def signed_body(pair):
        """Somebody replaces one text of the signed body by another that is as long."""
        old, new = (text.encode() for text in pair)

        def change(request, **_):
            assert old in request.body and len(old) == len(new)
            request.body = request.body.replace(old, new)

        return "before-send", change

    @staticmethod
    def authorization(pair):
        """Somebody replaces one text of the Authorization header by another."""
        old, new = pair

        def change(request, **_):
            signed = request.headers["Authorization"]
            signed = signed.decode() if isinstance(signed, bytes) else signed
            assert old in signed
            request.headers["Authorization"] = signed.replace(old, new)

        return "before-send", change

    @staticmethod
    def unsigned(_):
        """The client does not sign."""
        return "choose-signer", lambda **_: UNSIGNED


def described(error, speaker):
    told = {"class": type(error).__name__, "message": str(error)}
    if isinstance(error, WaiterError):
        told["last"] = error.last_response
    if isinstance(error, ClientError):
        answer = error.response
        told["code"] = answer["Error"]["Code"]
        told["message"] = answer["Error"]["Message"]
        told["status"] = answer["ResponseMetadata"]["HTTPStatusCode"]
        told["attempts"] = answer["ResponseMetadata"]["RetryAttempts"] + 1
        try:
            # As a program would write it: except client.exceptions.ResourceNotFoundException.
            told["is_typed"] = isinstance(error, speaker.named(told["code"]))
        except AttributeError:
            told["is_typed"] = False
    return told


def answers(speaker, lines):
    for line in lines:
        request = json.loads(line)
        try:
            yield {"is": getattr(speaker, request["do"])(**request["with"])}
        except (BotoCoreError, ClientError) as error:
            yield {"error": described(error, speaker)}


def turn_clock(seconds):
    """Have this client's signatures dated by a clock that is so many seconds off."""
    right = botocore.auth.get_current_datetime
    off = datetime.timedelta(seconds=seconds)
    botocore.auth.get_current_datetime = lambda *arguments: right(*arguments) + off


def client():
    if "elastic_transcoder" in sys.argv:
        from elastic_transcoder.client import client as make

        return make(
            endpoint_url=os.environ["AWS_ENDPOINT_URL_ELASTICTRANSCODER"],
            region_name=os.environ["AWS_DEFAULT_REGION"],
            access_key_id=os.environ["AWS_ACCESS_KEY_ID"],
            secret_access_key=os.environ["AWS_SECRET_ACCESS_KEY"],
        )
    return boto3.client("elastictranscoder")


if __name__ == "__main__":
    turn_clock(float(os.environ.get("CLOCK_IS_OFF_S", 0)))
    for answer in answers(Speaker(client()), sys.stdin):
        print(json.dumps(answer), flush=True)
