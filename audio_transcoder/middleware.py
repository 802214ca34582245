"""What happens around every request."""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Callable

from django.conf import settings
from django.core.files.uploadhandler import FileUploadHandler, StopUpload
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.middleware.locale import LocaleMiddleware
from django.template.loader import render_to_string
from django.urls import resolve
from django.utils import translation
from django.utils.cache import has_vary_header, patch_cache_control
from django.utils.translation import gettext as _
from django.views import defaults

from audio_transcoder.floods import Turnstile
from audio_transcoder.unavailable import is_machine_path, unavailable
from buckets import in_a_hurry

GetResponse = Callable[[HttpRequest], HttpResponse]

polls = Turnstile()


class VisitorAddressMiddleware:
    """Makes REMOTE_ADDR the visitor's address where proxies of ours stand in front.

    Each of them adds to X-Forwarded-For whom it serves, at the end; what stands before the last
    ``TRUSTED_PROXY_COUNT`` entries anybody can write. Too few entries, or one that is no address:
    the address stays whose connection it is.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        # A server that listens on a socket of its own has no address to tell, or that socket's.
        request.META["REMOTE_ADDR"] = (
            self._forwarded(request) or _address(request.META.get("REMOTE_ADDR")) or "127.0.0.1"
        )
        return self.get_response(request)

    @staticmethod
    def _forwarded(request: HttpRequest) -> str:
        count = settings.TRUSTED_PROXY_COUNT
        entries = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
        return _address(entries[-count].strip()) if 0 < count <= len(entries) else ""


def _address(text: str | None) -> str:
    """Return the address that ``text`` is, or an empty string."""
    try:
        return str(ipaddress.ip_address(text or ""))
    except ValueError:
        return ""


class UnavailableMiddleware:
    """Answers 503, and soon, when a view finds the database or the store unable to serve just now.

    What goes wrong in a middleware never comes here: that is ``server_error``'s.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with in_a_hurry():
            return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if isinstance(error, UnreadablePostError):
            # The client went away or stood still for too long; a page for whoever still reads.
            return defaults.bad_request(request, error)
        return unavailable(request, error)


class NoUploadHandler(FileUploadHandler):
    """Ends the reading of a body that holds a file where none is expected."""

    def new_file(self, *args: object, **kwargs: object) -> None:
        raise StopUpload(connection_reset=True)

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """Never called: no file begins."""

    def file_complete(self, file_size: int) -> None:
        """Never called: no file begins."""


class UnfinishedUploadsMiddleware:
    """Removes the temporary file of an upload that broke off, before the answer leaves.

    Django closes the files of a body that was read to its end; one that it was still writing when
    the client went away stays on the disk until Python happens to collect it.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        # The property would make handlers for a request that never had any.
        for handler in request.__dict__.get("_upload_handlers", []):
            file = getattr(handler, "file", None)
            if file is not None:
                file.close()
        return response


class PrivateAnswersMiddleware:
    """Keeps out of every cache what depends on who asks, unless its view says something else.

    Stands around the sessions: they note by ``Vary: Cookie`` that an answer read one.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if has_vary_header(response, "Cookie") and not response.has_header("Cache-Control"):
            patch_cache_control(response, private=True, no_store=True)
        return response


class RetryAfterMiddleware:
    """Says when to come again in every 429 that does not say so itself."""

    # Seconds; the longest that a limit on guessing lasts (allauth's "login_failed").
    AGAIN_S = 300

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if response.status_code == 429:
            response.headers.setdefault("Retry-After", str(self.AGAIN_S))
        return response


class LanguageMiddleware(LocaleMiddleware):
    """Django's, and the language that the address asks for: ``?language=pl``.

    So pages without cookies and forms, for whoever has a link or met an error, let people choose.
    """

    def process_request(self, request: HttpRequest) -> None:
        super().process_request(request)
        if asked := _language_asked_for(request):
            translation.activate(asked)
            request.LANGUAGE_CODE = asked


def _language_asked_for(request: HttpRequest) -> str:
    asked = request.GET.get("language", "")
    return asked if asked in dict(settings.LANGUAGES) else ""


class RefusedVerbsMiddleware:
    """Gives people a page where only a form may be sent: Django's 405 is empty.

    They come there by reloading the address of a form that was refused.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if response.status_code == 405 and request.method == "GET" and not response.content:
            response.content = render_to_string("405.html")
            patch_cache_control(response, private=True, no_store=True)
        return response


class PollsMiddleware:
    """Answers 429 where pages ask for news more often than any page of ours does.

    Counted by session, or by address where there is none, before a row is read.
    """

    # What pages ask for again and again, by the names of their addresses.
    POLLED = frozenset({"audio:row", "audio:state", "messages:unread"})
    # Of a session's key, which has 32: whoever asks may send any length, and it is remembered.
    KEY_CHARACTERS = 32

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, *_view: object) -> HttpResponse | None:
        if request.resolver_match.view_name not in self.POLLED:
            return None
        session = request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")[: self.KEY_CHARACTERS]
        wait_s = polls.wait_s(session or request.META["REMOTE_ADDR"], settings.POLLS_PER_MINUTE)
        if not wait_s:
            return None
        words = _("This page asks too often. Wait a moment, then reload it.")
        body = {"reason": "too_many_polls", "message": words}
        return JsonResponse(body, status=429, headers={"Retry-After": str(wait_s)})


class MachinePathsMiddleware:
    """Calls the views of machine paths itself, past the middleware that follows.

    SNS, old SDKs and monitors have no session, account, CSRF token or language, and follow no
    redirects; a call of theirs neither reads nor writes a row for any of that.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not is_machine_path(request.path_info):
            return self.get_response(request)
        # The thread still has the language of whoever it served before.
        with translation.override(settings.LANGUAGE_CODE):
            response = self._answer(request)
        if not response.streaming and not response.has_header("Content-Length"):
            response["Content-Length"] = str(len(response.content))
        return response

    def _answer(self, request: HttpRequest) -> HttpResponse:
        try:
            request.resolver_match = match = resolve(request.path_info)
            return match.func(request, *match.args, **match.kwargs)
        except Http404:
            return JsonResponse({"message": "There is nothing here."}, status=404)
        except UnreadablePostError:
            return JsonResponse({"message": "The request broke off."}, status=400)
        except Exception as error:
            response = unavailable(request, error)
            if response is None:
                raise
            return response


def server_error(request: HttpRequest) -> HttpResponse:
    """Return the answer to an unexpected error: 503 when it only says "not now", else 500.

    This is the site's ``handler500``. Sessions are saved after the view, so a locked database
    is met here too. What goes wrong before LocaleMiddleware finds the thread with the language of
    whoever it served before.
    """
    language = _language_asked_for(request) or translation.get_language_from_request(request)
    with translation.override(language):
        return _server_error(request)


def _server_error(request: HttpRequest) -> HttpResponse:
    response = unavailable(request, sys.exc_info()[1])
    if response is not None:
        return response
    if is_machine_path(request.path_info):
        return JsonResponse(
            {"message": "Something went wrong on our side."},
            status=500,
            headers={"x-amzn-ErrorType": "InternalServiceException"},
        )
    return defaults.server_error(request)
