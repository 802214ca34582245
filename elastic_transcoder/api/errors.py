"""The error of the API: a name, an HTTP status and a sentence.

Which names exist with which status: API 2012-09-25, "Handling errors". No Django in here.
"""

from __future__ import annotations

STATUS = {
    "ValidationException": 400,
    "SerializationException": 400,
    "IncompleteSignature": 400,
    "RequestExpired": 400,
    "AccessDeniedException": 403,
    "MissingAuthenticationToken": 403,
    "ResourceNotFoundException": 404,
    "UnknownOperationException": 404,
    "ResourceInUseException": 409,
    "MissingContentLength": 411,
    "RequestEntityTooLarge": 413,
    "LimitExceededException": 429,
    "ThrottlingException": 429,
    "InternalServiceException": 500,
    "ServiceUnavailable": 503,
}


class ApiError(Exception):
    """Ends the request with the error ``name`` of ``STATUS`` and its message.

    ``retry_after_s``: whole seconds until the same request may succeed, where that is known.
    """

    def __init__(self, name: str, message: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name
        self.message = message
        self.retry_after_s = retry_after_s

    @property
    def status(self) -> int:
        return STATUS[self.name]
