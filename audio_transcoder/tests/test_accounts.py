"""The account's own pages: profile, sessions, second factor, and its end."""

from __future__ import annotations

import re
import threading
import uuid
from datetime import timedelta
from functools import partial

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from allauth.usersessions.models import UserSession
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.core.management import call_command
from django.db import connections
from django.test import Client
from django.utils import timezone

from audio_transcoder import removal, uploads
from audio_transcoder.accounts import adapters, sessions
from audio_transcoder.models import AudioFile, DeletedJob, Deletion, TranscodeJob, Upload
from audio_transcoder.models.files import AudioFileQuerySet
from audio_transcoder.tests.conftest import notice_for
from audio_transcoder.tests.factories import make_file, make_job, make_person
from sound.probe import probe
from tests.at_once import at_once
from transcode_messages.languages import chosen_by, language_of
from transcode_messages.models import Message, Preferences

pytestmark = pytest.mark.django_db

PASSWORD = "a long Pass-phrase 7"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture(autouse=True)
def no_counts(db, settings):
    """allauth counts tries in the cache. Passwords are hashed fast: there are many sign-ins."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    call_command("createcachetable", verbosity=0)
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def ada(db):
    return get_user_model().objects.create_user("ada", password=PASSWORD)


def sign_in(name: str = "ada", **headers: str) -> Client:
    client = Client(**headers)
    answer = client.post("/accounts/login/", {"login": name, "password": PASSWORD})
    assert answer.status_code == 302, answer.text
    return client


def delete(client: Client, **data: str):
    mark = re.search(r'name="account" value="([^"]+)"', client.get("/accounts/delete/").text)[1]
    return client.post("/accounts/delete/", {"account": mark, "password": PASSWORD, **data})


# --- Profile ----------------------------------------------------------------------------------


def test_a_profile_keeps_name_and_language_and_the_next_sign_in_speaks_it(ada):
    client = sign_in()
    answer = client.post("/accounts/", {"display_name": "Ada\u202e / L.", "language": "es"})
    assert (answer.status_code, answer["Location"]) == (302, "/accounts/")
    ada.refresh_from_db()
    assert ada.get_full_name() == "Ada / L."
    assert client.cookies["django_language"].value == "es"
    assert 'lang="es"' in sign_in().get("/accounts/").text  # another browser

    client.post("/accounts/", {"display_name": "", "language": ""})
    assert client.cookies["django_language"].value == ""
    assert 'lang="en"' in sign_in().get("/accounts/").text


@pytest.mark.parametrize(
    "wrong", [{"language": "tlh"}, {"display_name": "x" * 151}, {"display_name": "\0"}]
)
def test_a_profile_refuses_what_it_cannot_keep_beside_the_field(ada, wrong):
    answer = sign_in().post("/accounts/", {"display_name": "", "language": "", **wrong})
    assert answer.status_code == 422
    assert f'aria-describedby="id_{next(iter(wrong))}' in answer.text
    assert 'aria-invalid="true"' in answer.text
    assert not Preferences.objects.exists()


def test_a_name_that_grows_when_it_is_written_as_one_should_is_cut(ada):
    sign_in().post("/accounts/", {"display_name": "\ufb2c" * 150, "language": ""})
    ada.refresh_from_db()
    assert len(ada.first_name) == 150


def test_whoever_is_signed_in_chooses_in_the_footer_for_everywhere(ada):
    sign_in().post("/language/", {"language": "pl", "next": "/accounts/"})
    assert language_of(ada) == "pl"
    page = sign_in().get("/accounts/").text  # another browser
    assert 'lang="pl"' in page
    assert '<option value="pl" selected>' in page
    sign_in().post("/language/", {"language": "tlh"})
    Client().post("/language/", {"language": "es"})
    assert language_of(ada) == "pl"


def test_a_language_that_is_offered_no_more_is_none(ada):
    Preferences.objects.remember_language(ada, "tlh")
    assert chosen_by(ada) == ""
    assert 'lang="en"' in sign_in().get("/accounts/").text


def test_the_profile_says_what_is_kept_and_what_may_be(ada, settings):
    settings.QUOTA_FILES, settings.QUOTA_BYTES, settings.QUOTA_FILES_PER_DAY = 2, 0, 1200
    make_file(ada, size_bytes=3 * 1024**2)
    make_file(ada, size_bytes=1024**2, created_at=timezone.now() - timedelta(days=2))
    make_file(size_bytes=7)  # somebody else's
    page = " ".join(re.sub(r"<[^>]+>", " ", sign_in().get("/accounts/").text).split())
    assert "Files 2 of 2 used up" in page
    assert "Uploaded files together 4.0\xa0MB, no limit" in page or "4.0 MB, no limit" in page
    assert "24 hours 1 of 1,200" in page


def test_the_profile_costs_as_many_queries_with_many_files(ada, django_assert_max_num_queries):
    client = sign_in()
    for _ in range(30):
        make_file(ada)
    with django_assert_max_num_queries(10):
        client.get("/accounts/")
    with django_assert_max_num_queries(10):
        client.get("/accounts/delete/")


@pytest.mark.parametrize("path", ["", "sessions/", "delete/", "2fa/", "email/"])
def test_visitors_are_sent_to_the_sign_in_page(client, path):
    answer = client.get(f"/accounts/{path}")
    assert (answer.status_code, answer["Location"]) == (
        302,
        f"/accounts/login/?next=/accounts/{path}",
    )


@pytest.mark.parametrize("path", ["", "sessions/", "delete/", "deleted/"])
def test_w16_the_accounts_pages_are_kept_by_no_cache_and_know_their_verbs(ada, path):
    client = sign_in()
    assert "no-store" in client.get(f"/accounts/{path}")["Cache-Control"]
    assert client.put(f"/accounts/{path}").status_code == 405


# --- Sessions ---------------------------------------------------------------------------------


def test_sessions_are_listed_in_words_and_one_of_them_is_ended(ada):
    here, there = sign_in(), sign_in(HTTP_USER_AGENT=FIREFOX)
    page = here.get("/accounts/sessions/").text
    assert "Firefox, Linux" in page
    assert page.count("this one") == 1
    row = UserSession.objects.get(session_key=there.session.session_key)
    here.post("/accounts/sessions/", {"session": str(row.pk)})
    assert there.get("/audio/").status_code == 302
    assert here.get("/audio/").status_code == 200


def test_all_other_sessions_are_ended_at_once(ada):
    here, *others = [sign_in() for _ in range(3)]
    here.post("/accounts/sessions/", {"session": "all"})
    assert [client.get("/audio/").status_code for client in others] == [302, 302]
    assert "Signed out in 2 places." in here.get("/accounts/sessions/").text


@pytest.mark.parametrize("number", ["", "0", "-1", "²", "9" * 30, "all\0", "x"])
def test_w7_nonsense_as_a_session_ends_none(ada, number):
    here, there = sign_in(), sign_in()
    assert here.post("/accounts/sessions/", {"session": number}).status_code == 302
    assert there.get("/audio/").status_code == 200


def test_w1_the_session_of_somebody_else_is_not_ended(ada):
    get_user_model().objects.create_user("eve", password=PASSWORD)
    hers = sign_in()
    row = UserSession.objects.get(session_key=hers.session.session_key)
    sign_in("eve").post("/accounts/sessions/", {"session": str(row.pk)})
    assert hers.get("/audio/").status_code == 200


def test_sessions_of_an_old_password_and_ended_ones_are_not_listed(ada):
    sign_in()
    run_out = sign_in()
    Session.objects.filter(pk=run_out.session.session_key).update(expire_date=timezone.now())
    ada.set_password(PASSWORD)  # salted anew: whoever was signed in is not any more
    ada.save()
    assert len(sign_in().get("/accounts/sessions/").context["places"]) == 1


def test_a_session_from_before_sessions_were_noted_is_listed(ada, client):
    client.force_login(ada)
    UserSession.objects.all().delete()
    assert [place.is_current for place in client.get("/accounts/sessions/").context["places"]] == [
        True
    ]


def test_sessions_cost_as_many_queries_however_many_there_are(ada, django_assert_max_num_queries):
    for _ in range(8):
        client = sign_in()
    with django_assert_max_num_queries(10):
        assert len(client.get("/accounts/sessions/").context["places"]) == 8


def test_the_oldest_sessions_end_when_there_are_too_many(ada, monkeypatch):
    monkeypatch.setattr(adapters, "MOST_SESSIONS", 2)
    oldest, *newest = [sign_in() for _ in range(3)]
    assert oldest.get("/audio/").status_code == 302
    assert [client.get("/audio/").status_code for client in newest] == [200, 200]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (FIREFOX, "Firefox, Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/139.0 Safari/537.36 Edg/139.0", "Edge, Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) Safari/604.1", "Safari, iPhone"),
        ("Mozilla/5.0 (Linux; Android 10; K) Chrome/139.0 Safari/537.36", "Chrome, Android"),
        ("curl/8.5.0", "curl/8.5.0"),
        ("", "Unknown browser"),
    ],
)
def test_a_browser_is_named_in_words(said, words):
    assert sessions.device(said) == words


# --- Second factor ----------------------------------------------------------------------------


def code_now(secret: str) -> str:
    return format_hotp_value(hotp_value(secret, int(timezone.now().timestamp()) // 30))


def turn_on(client: Client) -> str:
    """Turn the second factor on; return its secret."""
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    page = client.get("/accounts/2fa/totp/activate/")
    assert "data:image/svg+xml;base64," in page.text
    secret = page.context["form"].secret
    answer = client.post("/accounts/2fa/totp/activate/", {"code": code_now(secret)})
    assert answer.status_code == 302, answer.text
    return secret


def test_a_second_factor_is_asked_for_in_the_admins_sign_in_too(ada):
    get_user_model().objects.filter(pk=ada.pk).update(is_staff=True, is_superuser=True)
    secret = turn_on(sign_in())
    client = Client()
    at_the_door = client.get("/admin/login/?next=/admin/")
    assert at_the_door["Location"] == "/accounts/login/?next=%2Fadmin%2F"
    answer = client.post(at_the_door["Location"], {"login": "ada", "password": PASSWORD})
    assert answer["Location"] == "/accounts/2fa/authenticate/"
    assert client.get("/admin/").status_code == 302  # the password alone opens nothing
    client.post("/accounts/2fa/authenticate/", {"code": code_now(secret)})
    assert client.get("/admin/").status_code == 200


def test_a_recovery_code_signs_in_once(ada):
    client = sign_in()
    turn_on(client)
    code = client.get("/accounts/2fa/recovery-codes/").context["unused_codes"][0]

    def is_let_in() -> bool:
        other = sign_in()
        other.post("/accounts/2fa/authenticate/", {"code": code})
        return other.get("/audio/").status_code == 200

    assert [is_let_in(), is_let_in()] == [True, False]


def test_w11_guessing_a_second_factor_is_429_with_retry_after(ada):
    secret = turn_on(sign_in())
    client = sign_in()
    answers = [client.post("/accounts/2fa/authenticate/", {"code": "no code"}) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert int(answers[-1]["Retry-After"]) > 0
    right = client.post("/accounts/2fa/authenticate/", {"code": code_now(secret)})
    assert right.status_code == 429


def test_the_secret_is_not_readable_in_the_database(ada):
    secret = turn_on(sign_in())
    stored = Authenticator.objects.get(type="totp").data["secret"]
    assert secret not in stored
    assert adapters.SecondFactorAdapter().decrypt(stored) == secret


def test_a_factor_kept_under_another_secret_key_lets_nobody_in_and_breaks_nothing(ada, settings):
    secret = turn_on(sign_in())
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another " * 8
    kept = Authenticator.objects.get(type="totp").data["secret"]
    assert adapters.SecondFactorAdapter().decrypt(kept) == secret

    settings.SECRET_KEY_FALLBACKS = []
    client = sign_in()
    answer = client.post("/accounts/2fa/authenticate/", {"code": code_now(secret)})
    assert answer.status_code == 200
    assert "Incorrect code" in answer.text


# --- Its end ----------------------------------------------------------------------------------


def test_w9_deleting_ones_own_account_takes_everything_along(ada, deliver):
    client, elsewhere = sign_in(), sign_in()
    job = make_job(make_file(ada))
    notice = notice_for(job)
    upload = make_upload(ada)
    Message.objects.tell(ada, event="x", about=uuid.uuid4(), level="success", text="Ready.")
    EmailAddress.objects.create(user=ada, email="ada@example.org")
    default_storage.save("intake/ada/Song.wav", ContentFile(b"sound"))
    name = job.audio_file.mp3_file.name
    asked = client.get("/accounts/delete/").text
    for words in ("cannot be undone", "1 file with", "1 conversion that", "1 upload", "1 message"):
        assert words in asked

    answer = delete(client)

    assert (answer.status_code, answer["Location"]) == (302, "/accounts/deleted/")
    assert "Your account is deleted" in client.get("/accounts/deleted/").text
    for model in (get_user_model(), AudioFile, TranscodeJob, Message, EmailAddress, UserSession):
        assert not model.objects.exists()
    assert not Session.objects.filter(pk=elsewhere.session.session_key).exists()
    assert DeletedJob.objects.get().engine_id == job.engine_id  # the engine is still to be told
    upload.refresh_from_db()
    assert upload.aborted_at is not None and upload.next_step_at <= timezone.now()
    removal.remove_due()
    assert not default_storage.exists(name)
    assert not default_storage.exists("intake/ada/Song.wav")
    assert deliver(notice).status_code == 200
    Deletion.objects.all().delete()
    assert deliver(notice).status_code == 200
    assert not Message.objects.exists()


def make_upload(owner) -> Upload:
    return Upload.objects.create(
        owner=owner,
        store_id="1",
        part_bytes=8,
        size_bytes=8,
        file_name="On its way.wav",
        formats=["mp4"],
        media_type="audio/wav",
        next_step_at=timezone.now() + timedelta(hours=1),
    )


def test_w9_w15_deleting_an_account_twice_gets_the_same_calm_answer(ada):
    client = sign_in()
    cookie = client.cookies["sessionid"].value
    mark = re.search(r'name="account" value="([^"]+)"', client.get("/accounts/delete/").text)[1]
    form = {"account": mark, "password": PASSWORD}
    answers = []
    for _ in range(2):
        client.cookies["sessionid"] = cookie  # as the second click of a mouse sends it
        answers.append(client.post("/accounts/delete/", form))
    assert [answer["Location"] for answer in answers] == ["/accounts/deleted/"] * 2


def test_a_visitor_who_posts_a_deletion_is_sent_to_the_sign_in_page(ada, client):
    for mark in ("", "x", f"{ada.pk}:x", "\0"):
        answer = client.post("/accounts/delete/", {"account": mark, "password": PASSWORD})
        assert answer["Location"].startswith("/accounts/login/")


@pytest.mark.parametrize("password", ["", "wrong", PASSWORD.upper(), "\0", "x" * 5000])
def test_without_the_password_nothing_is_deleted_and_the_field_says_why(ada, password):
    client = sign_in()
    answer = delete(client, password=password)
    assert answer.status_code == 422
    assert 'aria-invalid="true"' in answer.text
    assert 'aria-describedby="id_password_error"' in answer.text
    assert client.get("/audio/").status_code == 200


def test_w11_guessing_the_password_of_an_open_session_is_429(ada):
    client = sign_in()
    statuses = [delete(client, password="wrong").status_code for _ in range(11)]
    assert (statuses[0], statuses[-1]) == (422, 429)
    assert delete(client).status_code == 429


def test_who_has_no_password_types_the_user_name(client):
    person = make_person("ada")
    person.set_unusable_password()
    person.save()
    client.force_login(person)
    assert delete(client, user_name="ad").status_code == 422
    assert delete(client, user_name="ada")["Location"] == "/accounts/deleted/"


def test_the_last_operator_stays_and_is_told_why(ada):
    operators = get_user_model().objects
    operators.filter(pk=ada.pk).update(is_superuser=True, is_staff=True)
    operators.create_superuser("gone", is_active=False)
    client = sign_in()
    answer = delete(client)
    assert answer.status_code == 422
    assert "only one who may administer this site" in answer.text
    operators.create_superuser("grace")
    assert delete(client)["Location"] == "/accounts/deleted/"


def test_a_person_whose_account_is_gone_already_is_not_there():
    assert removal.remove_person(10**9) is False


@pytest.mark.django_db(transaction=True)
def test_an_account_of_many_files_goes_in_transactions_that_end_soon(ada, monkeypatch):
    monkeypatch.setattr(removal, "FILES_AT_ONCE", 2)
    other = make_file()
    for _number in range(5):
        make_job(make_file(ada))
    seen_elsewhere: list[int] = []

    def look() -> None:
        seen_elsewhere.append(AudioFile.objects.filter(owner=ada).count())
        connections.close_all()

    remove = AudioFileQuerySet.remove

    def removed(files: AudioFileQuerySet) -> int:
        looking = threading.Thread(target=look)
        looking.start()
        looking.join()
        return remove(files)

    monkeypatch.setattr(AudioFileQuerySet, "remove", removed)
    assert removal.remove_person(ada.pk)
    assert seen_elsewhere == [5, 3, 1, 0]
    assert AudioFile.objects.get() == other


@pytest.mark.django_db(transaction=True)
def test_w15_two_operators_who_leave_at_once_leave_one(tmp_path):
    ids = [get_user_model().objects.create_superuser(name).pk for name in ("ada", "grace")]

    def leave(number: int) -> bool | str:
        try:
            return removal.remove_person(number)
        except removal.LastOperator:
            return "last"

    outcomes = at_once(*(partial(leave, number) for number in ids))
    assert sorted(map(str, outcomes)) == ["True", "last"]


@pytest.mark.django_db(transaction=True)
def test_w9_an_upload_that_arrives_after_its_account_went_leaves_nothing(ada, mp3):
    removal.remove_person(get_user_model().objects.get().pk)
    file = TemporaryUploadedFile("song.mp3", "audio/mpeg", mp3.stat().st_size, None)
    file.write(mp3.read_bytes())
    file.seek(0)
    file.sha256 = "0" * 64
    sound = probe(mp3)
    with pytest.raises(PermissionDenied):
        uploads.accept(ada, file, sound, name="", formats=["wav"], token=uuid.uuid4())
    assert not AudioFile.objects.exists()
    removal.remove_due()
    assert not default_storage.exists("uploads") or not any(
        default_storage.listdir(f"uploads/{folder}")[1]
        for folder in default_storage.listdir("uploads")[0]
    )
