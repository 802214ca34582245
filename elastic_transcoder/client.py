"""The one place that constructs an Elastic Transcoder client.

boto3 dropped the service in 1.42.18; its description, written for this project, stands in
``data/``. Works without Django.
"""

from __future__ import annotations

import threading
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError

SERVICE = "elastictranscoder"
API_VERSION = "2012-09-25"
MODEL_PATH = Path(__file__).resolve().parent / "data"
CONNECT_TIMEOUT_S = 3.0
ATTEMPTS = 3

# A botocore session may not make two clients at once.
_making = threading.Lock()


def client(
    *,
    endpoint_url: str,
    region_name: str,
    access_key_id: str,
    secret_access_key: str,
    timeout_s: float = 10.0,
) -> BaseClient:
    """Return a botocore client for the Elastic Transcoder API at ``endpoint_url``.

    Nothing is sent yet. ``timeout_s`` is how long one attempt waits for an answer, in seconds;
    connecting may take 3 seconds of it. A call is tried three times in all (botocore's retry
    mode "standard": 429, 5xx, no connection, no answer), except CreateJob, see ``repeat_safely``.
    Errors are botocore's: ClientError with the API's error name as code, or BotoCoreError.

    Source: Elastic Transcoder API 2012-09-25, all 17 operations, its paginators and the waiter
    ``job_complete``; Job has the extra member ``Progress``, percent.
    """
    config = Config(
        connect_timeout=min(CONNECT_TIMEOUT_S, timeout_s),
        read_timeout=timeout_s,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
    )
    with _making:
        made = _session().create_client(
            SERVICE,
            api_version=API_VERSION,
            region_name=region_name,
            endpoint_url=endpoint_url,
            aws_access_key_id=access_key_id,
            aws_secret_access_key=secret_access_key,
            config=config,
        )
    event = f"needs-retry.{made.meta.service_model.service_id.hyphenize()}.CreateJob"
    made.meta.events.register_first(event, repeat_safely)
    return made


@cache
def _session() -> botocore.session.Session:
    session = botocore.session.Session()
    session.get_component("data_loader").search_paths.append(str(MODEL_PATH))
    return session


def repeat_safely(
    response: tuple[Any, dict] | None = None,
    caught_exception: Exception | None = None,
    **_: Any,
) -> None:
    """Stop botocore from repeating a CreateJob that may have been done.

    CreateJob has no request token, so a repeat makes a second job. Repeated is only what surely
    made none: no connection at all, or an error that the API itself wrote. Whoever calls looks
    for the job, by its UserMetadata, before ordering again. Raises what botocore would have
    raised without retries.
    """
    if isinstance(caught_exception, EndpointConnectionError | ConnectTimeoutError):
        return
    if caught_exception is not None:
        raise caught_exception
    if response is not None:
        answer, parsed = response
        if answer.status_code >= 500 and "x-amzn-errortype" not in answer.headers:
            raise ClientError(parsed, "CreateJob")
