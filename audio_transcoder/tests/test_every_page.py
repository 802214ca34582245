"""What holds for every address that people have, whoever shows it.

The addresses are those of the URL table, so a new one is asked the same by itself. One that is open
to everybody, or takes another verb than GET and POST, says so here.
"""

from __future__ import annotations

import re
import uuid

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audio_transcoder import covers
from audio_transcoder.models import AudioFile, Rendition, Share, TranscodeJob, Upload
from audio_transcoder.tests.addresses import NOBODYS, Route, fill, routes
from audio_transcoder.tests.factories import make_file, make_job, make_person, store_results
from audio_transcoder.tests.test_scale import fill as fill_library
from transcode_messages.models import Message

pytestmark = pytest.mark.django_db

SIGN_IN = "/accounts/login/"
MOST_QUERIES = 10

# Addresses that ask for no sign-in, and why.
PUBLIC = {
    "landing": "the start page",
    "messages:unsubscribe": "the link in the mail",
    "set_language": "visitors read too",
    "robots": "programs read it",
    "shared": "whoever has the link",
    "shared-cover": "whoever has the link",
    "shared-listen": "whoever has the link",
    "shared-download": "whoever has the link",
    "audio:put-part": "the address is signed",
    "audio:post-form": "the address is signed",
    "account_login": "the way in",
    "account_signup": "the way in",
    "account_logout": "nobody is signed out who is not in: it leads to the start page",
    "account_deleted": "said to whoever has no account any more",
    "account_inactive": "said to whoever may not sign in",
    "account_email_verification_sent": "after signing up",
    "account_confirm_email": "the link in the mail",
    "account_confirm_login_code": "the way in",
    "account_reset_password": "for whoever cannot sign in",
    "account_reset_password_done": "for whoever cannot sign in",
    "account_reset_password_from_key": "the link in the mail",
    "account_reset_password_from_key_done": "for whoever cannot sign in",
}
# Verbs besides GET, HEAD, POST and OPTIONS.
VERBS = {"audio:upload-parts": {"delete"}, "audio:put-part": {"put"}}
# Whose code is wanted, where an address is not of a file.
UPLOADS = {"audio:upload-parts", "audio:complete", "audio:sign-part"}

# Of allauth's views only that they hold up is asked: which verbs they take is theirs to say.
ALL = routes()
OURS = [route for route in ALL if not route.module.startswith("allauth.")]
PRIVATE = [route for route in ALL if route.name not in PUBLIC]
OF_SOMEBODY = [route for route in OURS if "code" in route.parameters]
HTMX = {"HX-Request": "true"}
FROM_HERE = {"Origin": "http://testserver"}  # scripts' calls that change something are asked for it

NONSENSE = ("", "abc", "-1", "0", str(10**9), str(10**30), "1e5", "%", "_", "\\", "'\"<b>", "\0",
            "a\0b", "\ud7ff", "🎵" * 300, "x" * 3000, "../../etc/passwd", "[]", "null")  # fmt: skip
NAMES = ("page", "sort", "order", "q", "show", "status", "format", "date", "from", "to", "next",
         "have", "id", "key", "size", "start", "end")  # fmt: skip


def named(found: list[Route]) -> dict:
    """Return the arguments of ``parametrize`` for these routes, each by its name."""
    return {"argnames": "route", "argvalues": found, "ids": [route.name for route in found]}


def address_of(route: Route, owner: object) -> str:
    """Return the address that ``route`` has for something of ``owner``'s."""
    if route.name in UPLOADS:
        upload = Upload.objects.create(
            owner=owner, part_bytes=8 * 1024**2, size_bytes=5, file_name="a.mp3", formats=["wav"],
            media_type="audio/mpeg", store_id="1",
            finished_at=None if route.name == "audio:sign-part" else timezone.now(),
        )  # fmt: skip
        return f"{fill(route, {**NOBODYS, 'code': str(upload.code)})}?key={upload.key}"
    job = make_job(make_file(owner, cover="uploads/none/cover-0"))
    if route.name == "audio:end-share":
        share = Share.objects.create(audio_file=job.audio_file)
        return fill(route, {**NOBODYS, "code": str(share.code)})
    store_results(job)
    Rendition.objects.filter(job=job).update(status="Complete", size_bytes=6)
    TranscodeJob.objects.filter(pk=job.pk).update(status="Complete")
    size = covers.token(job.audio_file, covers.square(96))
    return fill(route, {**NOBODYS, "code": str(job.audio_file.code), "size": size})


def counts() -> list[int]:
    return [model.objects.count() for model in (AudioFile, TranscodeJob, Rendition, Upload)]


def test_the_url_table_has_the_pages_of_every_room():
    names = {route.name for route in ALL}
    assert {"landing", "audio:list", "messages:list", "account_login"} <= names
    assert not any(name.startswith("admin:") for name in names)
    assert set(PUBLIC) <= names, "PUBLIC names an address that is gone"


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize(**named(PRIVATE))
def test_w1_whoever_is_not_signed_in_is_sent_to_sign_in(client, route, method):
    address = address_of(route, make_person())
    before = counts()
    answer = getattr(client, method)(address)
    assert answer.status_code in (302, 401, 405), (answer.status_code, "not in PUBLIC?")
    if answer.status_code == 302:
        assert answer["Location"].startswith(SIGN_IN), answer["Location"]
    by_script = getattr(client, method)(address, headers=HTMX)
    is_of_allauth = route not in OURS
    assert by_script.status_code in ((302, 401, 405) if is_of_allauth else (401, 405))
    assert counts() == before


@pytest.mark.parametrize(
    ("route", "method"),
    [
        pytest.param(route, method, id=f"{route.name}-{method}")
        for route in OURS
        for method in ("put", "patch", "delete", "trace")
        if method not in VERBS.get(route.name, ())
    ],
)
def test_w1_a_verb_that_an_address_does_not_take_is_405(signed_in, person, route, method):
    address = address_of(route, person)
    before = counts()
    answer = getattr(signed_in, method)(address)
    assert answer.status_code == 405
    assert re.fullmatch(r"[A-Z, ]+", answer["Allow"])
    assert counts() == before


@pytest.mark.parametrize("method", ["get", "head", "post", "put", "patch", "delete"])
@pytest.mark.parametrize(**named(OF_SOMEBODY))
def test_w1_what_is_somebody_elses_is_not_there_by_any_verb(signed_in, route, method):
    theirs = address_of(route, make_person())
    before = counts()
    for address in (theirs, fill(route, NOBODYS)):
        answer = getattr(signed_in, method)(address, headers=FROM_HERE)
        assert answer.status_code in (404, 405), answer.status_code
        assert "Interview" not in _text(answer)
    assert counts() == before


@pytest.mark.parametrize(**named(OF_SOMEBODY))
def test_w1_some_verb_finds_what_is_ones_own(signed_in, person, route):
    """Else the test above would hold for an address that finds nothing at all."""
    found = set()
    for method in ("get", "post"):
        address = address_of(route, person)
        answer = getattr(signed_in, method)(address, headers=FROM_HERE)
        found.add(answer.status_code)
    assert found - {404, 405}


@pytest.mark.parametrize(**named(ALL))
def test_w7_nonsense_in_the_query_is_never_a_500(signed_in, person, route):
    address = address_of(route, person)
    for value in NONSENSE:
        for headers in ({}, HTMX):
            everything = dict.fromkeys(NAMES, value)
            assert signed_in.get(address, everything, headers=headers).status_code < 500
    for name in ("page", "q", "sort"):
        several = signed_in.get(f"{address.partition('?')[0]}?{name}=1&{name}=%ff&{name}[]=2&&=&;")
        assert several.status_code < 500


@pytest.mark.parametrize("value", ["%00", "%2e%2e", "%25", "🎵", "x" * 3000, str(10**30), "-1"])
@pytest.mark.parametrize(**named([route for route in ALL if "<" in route.path]))
def test_w7_nonsense_in_the_path_is_never_a_500(signed_in, route, value):
    path = "/" + re.sub(r"\(\?P<\w+>[^)]*\)|<[^>]+>", value.replace("\\", ""), route.path)
    path = path.replace("^", "").replace("$", "")
    for method in ("get", "post"):
        answer = getattr(signed_in, method)(path)
        assert answer.status_code < 500
        assert answer.status_code not in (201, 202)


@pytest.mark.parametrize(**named(PRIVATE))
def test_w16_an_answer_to_one_person_is_kept_by_no_cache(signed_in, person, route):
    for headers in ({}, HTMX):
        answer = signed_in.get(address_of(route, person), headers=headers)
        policy = answer.get("Cache-Control", "")
        assert {"no-store", "private"} <= set(re.findall(r"[\w-]+", policy)), policy
        assert answer.status_code != 405 or answer.content, "a blank page"


def test_w14_w17_every_page_costs_the_same_with_a_thousand_files(signed_in, person):
    """At most ten queries, whatever the number of files and of unread messages."""
    addresses = {route.name: address_of(route, person) for route in PRIVATE}
    costs = {}
    for files in (30, 1000):
        fill_library(files - AudioFile.objects.filter(owner=person).count(), owner=person)
        _tell(person, files)
        costs[files] = {name: _queries(signed_in, it) for name, it in addresses.items()}
    dear = {name for name, count in costs[1000].items() if count > MOST_QUERIES}
    # A new secret goes into the session, which allauth's page writes in a transaction.
    assert dear <= {"mfa_activate_totp"}
    assert costs[1000] == costs[30]


def _tell(person: object, number: int) -> None:
    Message.objects.bulk_create(
        Message(user=person, event=uuid.uuid4().hex, about=uuid.uuid4(), level="success", text="t")
        for _ in range(number)
    )


def _queries(client: Client, address: str) -> int:
    client.get(address)  # what is read once and kept is no cost of a page
    with CaptureQueriesContext(connection) as captured:
        answer = client.get(address)
        _text(answer)
    return len(captured)


def _text(answer: object) -> str:
    if answer.streaming:
        return b"".join(answer.streaming_content).decode(errors="replace")
    return answer.content.decode(errors="replace")
