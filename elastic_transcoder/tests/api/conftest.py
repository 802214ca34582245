"""The API by itself, reached in two ways: a real client on a real port, and signed calls."""

import json
import threading
from contextlib import contextmanager
from urllib.parse import quote, urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from django.conf import settings as site_settings
from django.core.handlers.wsgi import WSGIHandler
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.test import Client

from elastic_transcoder import keys, pipelines
from elastic_transcoder.client import client as make_client

ROLE = "arn:aws:iam::000000000000:role/Elastic_Transcoder_Default_Role"
MP3_192K = "1351620000001-300020"
WAV_CD = "1351620000001-300300"
MP4_AAC = "1351620000001-100110"
HLS_AUDIO = "1351620000001-200060"
VIDEO = "1351620000001-000010"
PIPELINE = {"Name": "audio", "InputBucket": "uploads", "OutputBucket": "renditions", "Role": ROLE}


class QuietHandler(WSGIRequestHandler):
    def log_message(self, *arguments):
        pass

    def get_environ(self):
        # As Gunicorn does.
        return super().get_environ() | {"RAW_URI": self.path}


class HandlerWithoutRawUri(QuietHandler):
    def get_environ(self):
        environ = super().get_environ()
        del environ["RAW_URI"]
        return environ


@contextmanager
def serving(handler=QuietHandler):
    server = ThreadedWSGIServer(("127.0.0.1", 0), handler, connections_override={})
    server.set_app(WSGIHandler())
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def api_alone(settings):
    """The transcoder can run without the web app: its own URLs, nothing before them."""
    settings.ROOT_URLCONF = "elastic_transcoder.urls"
    settings.MIDDLEWARE = []


@pytest.fixture
def endpoint(transactional_db, api_alone):
    keys.ensure_default_key()
    pipelines.ensure_pipeline()
    with serving() as url:
        yield url


@pytest.fixture
def boto(endpoint):
    return client_for(endpoint)


def client_for(url, **changed):
    return make_client(
        **{
            "endpoint_url": url,
            "region_name": "eu-west-1",
            "access_key_id": site_settings.TRANSCODER_ACCESS_KEY_ID,
            "secret_access_key": site_settings.TRANSCODER_SECRET_ACCESS_KEY,
            **changed,
        }
    )


@pytest.fixture
def call(db, api_alone):
    """Sign a request and send it without a socket; return the response, body as ``.members``."""
    keys.ensure_default_key()
    return signed_call


def signed_call(method, path, body=None, *, key_id=None, secret=None, alter=None, region="x-1"):
    """``path`` below ``/2012-09-25``, encoded; ``alter`` changes the request after signing."""
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    request = AWSRequest(
        method=method,
        url=f"http://testserver/2012-09-25{path}",
        data=data or b"",
        headers={"Host": "testserver", **({"Content-Type": "application/json"} if data else {})},
    )
    credentials = Credentials(
        key_id or site_settings.TRANSCODER_ACCESS_KEY_ID,
        secret or site_settings.TRANSCODER_SECRET_ACCESS_KEY,
    )
    SigV4Auth(credentials, "elastictranscoder", region).add_auth(request)
    sent = {"url": request.url, "data": data or b"", "headers": dict(request.headers.items())}
    if alter:
        alter(sent)
    return send(method, **sent)


def send(method, url, data, headers):
    split = urlsplit(url)
    target = split.path + (f"?{split.query}" if split.query else "")
    response = Client().generic(
        method,
        quote(target, safe="/?=&%-_.~:"),
        data=data,
        content_type=headers.pop("Content-Type", ""),
        headers=headers,
        RAW_URI=target,
        QUERY_STRING=split.query,
    )
    response.members = json.loads(response.content) if method != "HEAD" else None
    response.error = response.headers.get("x-amzn-ErrorType")
    return response


@pytest.fixture
def pipeline_id(call):
    return call("POST", "/pipelines", PIPELINE).members["Pipeline"]["Id"]


def order(pipeline_id, **changed):
    """A smallest CreateJob; ``changed`` members replace, None removes."""
    body = {
        "PipelineId": pipeline_id,
        "Input": {"Key": "uploads/interview.wav"},
        "Outputs": [{"Key": "interview.mp3", "PresetId": MP3_192K}],
        **changed,
    }
    return {name: value for name, value in body.items() if value is not None}
