"""The one view of the API: check the signature, find the operation, parse, act, answer."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlsplit

from django.core.exceptions import RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from elastic_transcoder import keys
from elastic_transcoder.api import jobs, pipelines, presets, rates, roles, rules
from elastic_transcoder.api.errors import ApiError
from elastic_transcoder.api.parsing import parse
from elastic_transcoder.api.service import find_operation
from elastic_transcoder.api.signature import SignedRequest, is_genuine, read_claim

logger = logging.getLogger(__name__)

OPERATIONS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "CancelJob": jobs.cancel_job,
    "CreateJob": jobs.create_job,
    "CreatePipeline": pipelines.create_pipeline,
    "CreatePreset": presets.create_preset,
    "DeletePipeline": pipelines.delete_pipeline,
    "DeletePreset": presets.delete_preset,
    "ListJobsByPipeline": jobs.list_jobs_by_pipeline,
    "ListJobsByStatus": jobs.list_jobs_by_status,
    "ListPipelines": pipelines.list_pipelines,
    "ListPresets": presets.list_presets,
    "ReadJob": jobs.read_job,
    "ReadPipeline": pipelines.read_pipeline,
    "ReadPreset": presets.read_preset,
    "TestRole": roles.test_role,
    "UpdatePipeline": pipelines.update_pipeline,
    "UpdatePipelineNotifications": pipelines.update_pipeline_notifications,
    "UpdatePipelineStatus": pipelines.update_pipeline_status,
}

# Where, in the WSGI environment, a web server's log finds what it may say of a call: ``key`` (the
# name of the key, if there is such a key), ``operation`` and ``request_id``.
CALL = "elastic_transcoder.call"


@csrf_exempt
def api(request: HttpRequest) -> HttpResponse:
    """Answer one request below ``/2012-09-25/``.

    2xx as the service model says, with a JSON body; else an error of ``api.errors`` by name in
    ``x-amzn-ErrorType`` and its ``message`` in the body. Clients repeat 5xx and 429 and nothing
    else. Every answer carries an ``x-amzn-RequestId``.
    """
    request_id = str(uuid.uuid4())
    request.META[CALL] = {"request_id": request_id}
    try:
        status, members = _answer(request)
        response = _json(members, status)
    except ApiError as error:
        logger.info("request %s: %s", request_id, error.name)
        response = _failure(error)
    except (OperationalError, InterfaceError):
        logger.warning("request %s: the database does not answer", request_id, exc_info=True)
        response = _failure(ApiError("ServiceUnavailable", "The service is unavailable, repeat."))
        response["Retry-After"] = "1"
    except Exception:
        logger.exception("request %s", request_id)
        response = _failure(ApiError("InternalServiceException", f"Internal error {request_id}."))
    response["x-amzn-RequestId"] = request_id
    return response


def _answer(request: HttpRequest) -> tuple[int, dict[str, Any]]:
    path = raw_path(request.META)
    query = request.META.get("QUERY_STRING", "")
    prefix = quote(request.META.get("SCRIPT_NAME", "").rstrip("/"), safe="/-_.~")
    found = find_operation(request.method, path.removeprefix(prefix))
    if found is not None:
        request.META[CALL]["operation"] = found[0].name
    caller, body = _authenticated(request, path, query)
    if found is None:
        raise ApiError("UnknownOperationException", "There is no such operation.")
    operation, path_values = found
    rates.check(caller.key_id, operation.name)
    params = parse(operation, path_values, query, body)
    rules.check(operation.name, params)
    return operation.http.get("responseCode", 200), OPERATIONS[operation.name](params)


def _authenticated(request: HttpRequest, path: str, query: str) -> tuple[keys.Caller, bytes]:
    """Return who sent a request whose signature is right, and its body, or raise ApiError.

    Whoever did not sign at all has no body read.
    """
    headers = _headers(request.META)
    now = timezone.now()
    claim = read_claim(headers, now)
    caller = keys.caller(claim.access_key_id)
    if caller is not None:
        request.META[CALL]["key"] = caller.name
    if caller is None or caller.secret is None:
        raise ApiError("AccessDeniedException", "The access key is unknown or disabled.")
    if "transfer-encoding" in headers:
        # WSGI gives such a body no length, so Django would read none of it.
        raise ApiError("MissingContentLength", "The request must tell its Content-Length.")
    try:
        body = request.body
    except RequestDataTooBig as error:
        raise ApiError("RequestEntityTooLarge", "The request body is larger than 1 MiB.") from error
    except UnreadablePostError as error:
        raise ApiError("SerializationException", "The request body broke off.") from error
    signed = SignedRequest(request.method, path, query, headers)
    if not is_genuine(claim, caller.secret, signed, body):
        raise ApiError(
            "AccessDeniedException",
            "The request signature we calculated does not match the signature you provided.",
        )
    keys.note_use(caller, now)
    return caller, body


def raw_path(environ: dict[str, Any]) -> str:
    """Return the path as it was sent, still percent-encoded.

    Gunicorn and uWSGI hand it over. Django's own development server does not; there it is
    encoded again, which gives the same for everything but an encoded slash.
    """
    uri = environ.get("RAW_URI") or environ.get("REQUEST_URI")
    if not uri:
        decoded = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        return quote(decoded.encode("latin-1", "replace"), safe="/-_.~")
    path = uri.partition("?")[0]
    if path.startswith("/"):
        return path
    try:
        return urlsplit(path).path or "/"  # a proxy's form, with scheme and host
    except ValueError:
        return "/"


def _headers(environ: dict[str, Any]) -> dict[str, str]:
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_") or name in ("CONTENT_TYPE", "CONTENT_LENGTH")
    }
    # WSGI gives an empty text where the header was absent.
    return {name: value for name, value in headers.items() if value != ""}


def _failure(error: ApiError) -> HttpResponse:
    response = _json({"message": error.message}, error.status)
    response["x-amzn-ErrorType"] = error.name
    if error.retry_after_s is not None:
        response["Retry-After"] = str(error.retry_after_s)
    return response


def _json(members: dict[str, Any], status: int) -> HttpResponse:
    return HttpResponse(json.dumps(members), status=status, content_type="application/json")
