"""Around every request: 503 for what cannot be just now; machine paths by themselves."""

from __future__ import annotations

import errno
import io
import json
import sqlite3

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.core.exceptions import PermissionDenied
from django.db import InterfaceError, OperationalError, connection
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import ResolverMatch, get_resolver, path, reverse
from django.utils import translation

from audio_transcoder import middleware
from audio_transcoder.logged import without_token
from audio_transcoder.middleware import (
    MachinePathsMiddleware,
    UnavailableMiddleware,
    UnfinishedUploadsMiddleware,
    VisitorAddressMiddleware,
    server_error,
)
from audio_transcoder.tests.factories import make_file, make_person
from audio_transcoder.uploads import HashingUploadHandler
from buckets import BucketDenied, BucketMissing, BucketUnavailable, ObjectMissing


def remember(request: HttpRequest) -> HttpResponse:
    request.session["it"] = "here"
    return HttpResponse()


urlpatterns = [path("remember/", remember)]
handler500 = server_error


def locked() -> OperationalError:
    """The error that Django makes of SQLite's, really made by SQLite."""
    cause = sqlite3.OperationalError("database is locked")
    cause.sqlite_errorcode = sqlite3.SQLITE_BUSY
    error = OperationalError("database is locked")
    error.__cause__ = cause
    return error


NOT_NOW = [
    pytest.param(locked(), id="database locked"),
    pytest.param(OperationalError("server closed the connection"), id="database gone"),
    pytest.param(InterfaceError("connection already closed"), id="connection gone"),
    pytest.param(BucketUnavailable("no answer", bucket="b"), id="store silent"),
    pytest.param(BucketDenied("refused", bucket="b"), id="store refuses"),
    pytest.param(BucketMissing("not there", bucket="b"), id="no bucket"),
    pytest.param(OSError(errno.ENOSPC, "No space left on device"), id="disk full"),
]


def answer(error: Exception, path: str = "/audio/", **headers: str) -> HttpResponse | None:
    request = RequestFactory().get(path, headers=headers)
    return UnavailableMiddleware(lambda _: HttpResponse()).process_exception(request, error)


@pytest.mark.parametrize("error", NOT_NOW)
def test_d1_d3_what_cannot_be_just_now_is_a_503_with_retry_after(error):
    response = answer(error)
    assert response.status_code == 503
    assert int(response["Retry-After"]) > 0
    assert response["Content-Type"].startswith("text/html")
    assert "no-store" in response["Cache-Control"]
    assert b"try again" in response.content.lower()


@pytest.mark.parametrize("error", NOT_NOW)
def test_s1_scripts_get_the_reason_as_json(error):
    response = answer(error, accept="application/json")
    assert response.status_code == 503
    assert json.loads(response.content)["reason"] == "storage_down"


@pytest.mark.parametrize("error", NOT_NOW)
def test_machines_get_json_and_no_page(error):
    response = answer(error, "/2012-09-25/jobs")
    assert response.status_code == 503
    assert response["x-amzn-ErrorType"] == "ServiceUnavailable"
    assert json.loads(response.content)["message"]


def test_s4_an_operators_mistake_is_one_error_in_the_log_and_nothing_on_the_page(caplog):
    error = BucketDenied("SignatureDoesNotMatch", bucket="our-bucket", key="media/x")
    response = answer(error)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert b"our-bucket" not in response.content
    assert b"Signature" not in response.content


def test_a_locked_database_is_one_warning(caplog):
    answer(locked())
    assert [record.levelname for record in caplog.records] == ["WARNING"]


@pytest.mark.parametrize(
    "error",
    [
        ObjectMissing("not there", bucket="b", key="k"),
        OSError(errno.EPIPE, "Broken pipe"),
        ValueError("a mistake of ours"),
        PermissionDenied(),
    ],
)
def test_other_errors_are_left_to_django(error):
    assert answer(error) is None


@pytest.mark.django_db
def test_a_mistake_in_a_statement_is_no_503():
    with pytest.raises(OperationalError) as caught, connection.cursor() as cursor:
        cursor.execute("SELECT nonsense FROM nowhere")
    assert answer(caught.value) is None


def test_an_upload_that_broke_off_is_a_400():
    assert answer(UnreadablePostError("reset")).status_code == 400


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [("/audio/", 503, "text/html"), ("/2012-09-25/jobs", 503, "application/json")],
)
def test_d3_errors_outside_the_view_get_the_same_answer(path, status, kind):
    """Sessions are saved in their middleware; handler500 hears of that."""
    try:
        raise locked()
    except OperationalError:
        response = server_error(RequestFactory().get(path))
    assert response.status_code == status
    assert response["Content-Type"].startswith(kind)


def test_w10_an_unexpected_error_is_a_500_that_says_nothing():
    for address in ("/audio/", "/2012-09-25/jobs"):
        try:
            raise ValueError("SECRET_KEY=hunter2")
        except ValueError:
            response = server_error(RequestFactory().get(address))
        assert response.status_code == 500
        assert b"hunter2" not in response.content


def test_an_error_is_told_in_the_language_of_whoever_meets_it():
    for error, words in ((locked(), "Ahora estamos ocupados"), (ValueError(), "Algo falló")):
        with translation.override("pl"):  # of whoever the thread served before
            try:
                raise error
            except type(error):
                wish = RequestFactory().get("/audio/", headers={"Accept-Language": "es"})
                page = server_error(wish).content.decode()
        assert '<html lang="es">' in page
        assert words in page


def test_handler500_is_ours():
    assert get_resolver().resolve_error_handler(500) is server_error


def test_d3_a_session_that_cannot_be_saved_is_a_503(client, db, settings, monkeypatch):
    """The view is done by then: the session middleware meets the lock."""
    settings.ROOT_URLCONF = __name__
    client.raise_request_exception = False

    def save(*_: object, **__: object) -> None:
        raise locked()

    monkeypatch.setattr(SessionStore, "save", save)
    response = client.get("/remember/")
    assert response.status_code == 503
    assert response["Retry-After"] == "5"


# --- machine paths ----------------------------------------------------------------------------


@pytest.mark.django_db
def test_machine_paths_have_no_session_and_set_no_cookie(client, django_assert_num_queries):
    client.cookies["sessionid"] = "a" * 32
    with django_assert_num_queries(0):
        response = client.get("/transcode-complete/")
    assert response.status_code == 405
    assert response.cookies == {}
    assert "Vary" not in response
    assert not hasattr(response.wsgi_request, "session")
    assert not hasattr(response.wsgi_request, "user")


def test_machine_paths_are_never_redirected(client, settings):
    settings.SECURE_SSL_REDIRECT = True
    for address in ("/transcode-complete/", "/2012-09-25/jobs", "/2012-09-25/"):
        response = client.get(address)
        assert response.status_code not in (301, 302), address


def test_machine_paths_need_no_csrf_token():
    response = Client(enforce_csrf_checks=True).post(
        "/transcode-complete/", "{", content_type="text/plain"
    )
    assert response.status_code == 400


def test_machine_paths_say_how_long_they_are(client):
    response = client.get("/transcode-complete/")
    assert int(response["Content-Length"]) == len(response.content)


def test_machine_paths_speak_one_language_whoever_was_served_before(settings):
    seen = []
    around = MachinePathsMiddleware(lambda _: HttpResponse())
    around._answer = lambda _: seen.append(translation.get_language()) or HttpResponse()
    with translation.override("de"):
        around(RequestFactory().post("/transcode-complete/"))
        assert translation.get_language() == "de"
    assert seen == [settings.LANGUAGE_CODE]


def test_pages_go_through_the_whole_stack(client, db):
    response = client.get("/accounts/login/")
    assert hasattr(response.wsgi_request, "session")


def test_paths_that_only_look_like_machine_paths_are_pages(client, db):
    for address in ("/transcode-complete/x", "/2012-09-25x/", "/healthy/"):
        assert client.get(address)["Content-Type"].startswith("text/html"), address


@pytest.mark.parametrize(
    ("error", "status"), [(locked(), 503), (UnreadablePostError("reset"), 400)]
)
def test_n29_a_machine_paths_view_that_cannot_just_now_is_a_503(monkeypatch, error, status):
    def view(_request: object) -> HttpResponse:
        raise error

    monkeypatch.setattr(middleware, "resolve", lambda _: ResolverMatch(view, (), {}))
    response = MachinePathsMiddleware(lambda _: HttpResponse())(
        RequestFactory().post("/transcode-complete/")
    )
    assert response.status_code == status
    assert json.loads(response.content)["message"]


def test_u5_a_body_that_breaks_off_leaves_no_temporary_file(settings):
    class BreaksOff(io.BytesIO):
        def read(self, *arguments: int) -> bytes:
            data = super().read(*arguments)
            if not data:
                raise ConnectionResetError
            return data

    def view(request: HttpRequest) -> HttpResponse:
        request.upload_handlers = [HashingUploadHandler(request)]
        with pytest.raises(UnreadablePostError):
            request.POST.get("name")
        assert len(list(settings.FILE_UPLOAD_TEMP_DIR.iterdir())) == 1
        return HttpResponse(status=403)

    body = (
        b'--b\r\nContent-Disposition: form-data; name="mp3_file"; filename="a.mp3"\r\n'
        b"Content-Type: audio/mpeg\r\n\r\nID3" + bytes(300_000)
    )
    request = RequestFactory().generic(
        "POST",
        "/audio/upload/",
        CONTENT_TYPE="multipart/form-data; boundary=b",
        CONTENT_LENGTH="1000000",
        **{"wsgi.input": BreaksOff(body)},
    )
    assert UnfinishedUploadsMiddleware(view)(request).status_code == 403
    assert list(settings.FILE_UPLOAD_TEMP_DIR.iterdir()) == []


@pytest.mark.parametrize(
    ("address", "in_the_log"),
    [
        ("/s/made-up.token/listen/flac/", "/s/.../listen/flac/"),
        ("/messages/unsubscribe/failed.1:x/", "/messages/unsubscribe/.../"),
        ("/messages/unread/", "/messages/unread/"),
    ],
)
def test_a_token_in_an_address_stays_out_of_the_log(address, in_the_log):
    assert without_token(address) == in_the_log


# --- whose request it is ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (0, "203.0.113.9", "127.0.0.1"),
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "198.51.100.1, 203.0.113.9", "203.0.113.9"),  # the first one is the visitor's own word
        (2, "198.51.100.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        (1, "2001:DB8::1", "2001:db8::1"),
        (2, "203.0.113.9", "127.0.0.1"),
        (1, "", "127.0.0.1"),
        (1, "not an address", "127.0.0.1"),
    ],
)
def test_w11_a_visitor_behind_our_proxies_has_an_address(rf, settings, proxies, forwarded, address):
    settings.TRUSTED_PROXY_COUNT = proxies
    request = rf.get("/", headers={"X-Forwarded-For": forwarded})
    VisitorAddressMiddleware(lambda _: HttpResponse())(request)
    assert request.META["REMOTE_ADDR"] == address


def test_w11_guesses_of_one_visitor_lock_out_nobody_else_behind_the_proxy(client, db, settings):
    settings.TRUSTED_PROXY_COUNT = 1
    make_person("ada")
    guesses = [
        client.post(
            "/accounts/login/",
            {"login": f"nobody{number}", "password": "wrong"},
            headers={"X-Forwarded-For": "203.0.113.9"},
        ).status_code
        for number in range(40)
    ]
    assert guesses[-1] == 429
    other = client.post(
        "/accounts/login/",
        {"login": "ada", "password": "wrong too"},
        headers={"X-Forwarded-For": "203.0.113.10"},
    )
    assert other.status_code == 200


# --- who asks too often -------------------------------------------------------------------------


@pytest.fixture
def polls():
    middleware.polls.forget()
    yield
    middleware.polls.forget()


@pytest.mark.django_db
@pytest.mark.parametrize("name", sorted(middleware.PollsMiddleware.POLLED))
def test_w11_pages_that_ask_too_often_are_429_before_a_row_is_read(client, settings, polls, name):
    settings.POLLS_PER_MINUTE = 2
    ada = make_person("ada")
    audio_file = make_file(ada)
    client.force_login(ada)
    url = reverse(name, args=[audio_file.code] if name.startswith("audio:") else [])
    assert [client.get(url).status_code < 400 for _ in range(2)] == [True, True]
    with CaptureQueriesContext(connection) as captured:
        refused = client.get(url)
    assert refused.status_code == 429
    assert refused.json()["reason"] == "too_many_polls"
    assert 1 <= int(refused["Retry-After"]) <= 60
    assert captured.captured_queries == []
    # Whoever asks too often still has every page, and others ask as they like.
    assert client.get("/audio/").status_code == 200
    other = Client()
    other.force_login(ada)
    assert other.get(url).status_code < 400


@pytest.mark.django_db
def test_w11_no_more_is_remembered_of_a_session_than_a_session_has(client, settings, polls):
    settings.POLLS_PER_MINUTE = 2
    statuses = []
    for end in "abc":
        client.cookies[settings.SESSION_COOKIE_NAME] = "x" * 4000 + end
        statuses.append(client.get(reverse("messages:unread")).status_code)
    assert [status == 429 for status in statuses] == [False, False, True]
