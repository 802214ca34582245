"""What the web app's rows tell people, in which language, and what they can do about it."""

from __future__ import annotations

import re
import uuid

import pytest
from allauth.account.models import EmailAddress
from django.conf import settings as site
from django.contrib.auth import get_user_model
from django.core import mail
from django.utils import translation

import steps
from audio_transcoder import covers
from audio_transcoder import steps as our_steps
from audio_transcoder.models import Rendition, TranscodeJob
from audio_transcoder.tests.factories import make_file, make_job
from audio_transcoder.tests.test_models import report_for
from audio_transcoder.tests.test_sharing import put_cover
from transcode_messages.languages import language_of
from transcode_messages.models import Email, Message, Preferences
from transcode_messages.outbox import Server

pytestmark = pytest.mark.django_db

Status = TranscodeJob.Status


def fail(job: TranscodeJob) -> Message:
    assert job.report(report_for(job, Status.ERROR, reason="internal"))
    return Message.objects.get(event=f"job:{job.code}:Error")


def offers(audio_file) -> list[str]:
    messages = Message.objects.filter(about=audio_file.code).exclude(retry_url="").order_by("pk")
    return [message.event for message in messages]


# --- Good news ------------------------------------------------------------------------------


def texts() -> list[str]:
    return list(Message.objects.order_by("pk").values_list("text", flat=True))


def test_a_further_order_says_what_is_new_and_the_first_success_is_as_ever(person):
    audio_file = make_file(person)
    fail(make_job(audio_file, ("wav",)))
    for formats in (("wav",), ("mp3", "flac")):
        job = make_job(audio_file, formats)
        job.report(report_for(job, Status.COMPLETE))
    assert texts()[1:] == [
        "Your file Interview is ready.",
        "Your file Interview is ready. New: MP3, FLAC.",
    ]


def test_a_message_shows_the_cover_of_its_file_wherever_it_stands(signed_in, person):
    with_cover, without = make_file(person, name="Covered"), make_file(person, name="Bare")
    put_cover(with_cover)
    for audio_file in (with_cover, without):
        job = make_job(audio_file)
        job.report(report_for(job, Status.COMPLETE))
    Message.objects.tell(person, event="x", about=uuid.uuid4(), level="error", text="Refused.")
    address = covers.url(with_cover, covers.square(96))
    for page in ("/audio/upload/", "/messages/", "/messages/unread/"):
        text = signed_in.get(page).text
        assert re.findall(r'class="message-picture" src="([^"]+)"', text) == [
            covers.url(without, covers.square(96)),
            address,
        ]
    assert signed_in.get(address)["Content-Type"].startswith("image/")


# --- Trying again ---------------------------------------------------------------------------


def test_a_failure_offers_to_try_again_and_a_success_does_not(person):
    audio_file = make_file(person)
    message = fail(make_job(audio_file, ("wav",)))
    job = make_job(audio_file, ("flac",))
    job.report(report_for(job, Status.COMPLETE))

    assert message.retry_url == f"/audio/{audio_file.code}/retry/"
    assert offers(audio_file) == [message.event]


def test_the_button_of_the_message_orders_again_and_is_gone(signed_in, person):
    audio_file = make_file(person)
    message = fail(make_job(audio_file))
    for page in ("/audio/", "/messages/"):
        assert f'action="{message.retry_url}"' in signed_in.get(page).text

    response = signed_in.post(message.retry_url)

    assert (response.status_code, response.url) == (302, audio_file.get_absolute_url())
    assert audio_file.jobs.unfinished().count() == 1
    assert offers(audio_file) == []
    assert message.retry_url not in signed_in.get("/messages/").text
    assert not Message.objects.unread().exists()  # who tries again has read it


def test_w3_trying_again_twice_orders_once_and_answers_the_same(signed_in, person):
    audio_file = make_file(person)
    message = fail(make_job(audio_file))

    answers = [signed_in.post(message.retry_url) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [302, 302]
    assert audio_file.jobs.count() == 2


def test_a_retry_that_fails_too_offers_it_anew_once(person):
    audio_file = make_file(person)
    first = make_job(audio_file)
    fail(first)
    second = first.retry()

    message = fail(second)

    assert offers(audio_file) == [message.event]


def test_while_one_format_is_still_missing_the_offer_stands(person):
    audio_file = make_file(person)
    message = fail(make_job(audio_file, ("wav", "flac")))

    audio_file.order_missing(["wav"])
    assert offers(audio_file) == [message.event]

    audio_file.order_missing(["flac"])
    assert offers(audio_file) == []


def test_ordering_another_format_takes_no_offer_back(person):
    audio_file = make_file(person)
    message = fail(make_job(audio_file, ("wav",)))

    audio_file.order_missing(["mp4"])

    assert offers(audio_file) == [message.event]


def test_w4_somebody_elses_offer_stands(person):
    mine, theirs = make_file(person), make_file()
    job = make_job(mine)
    fail(job)
    message = fail(make_job(theirs))

    job.retry()

    assert offers(theirs) == [message.event]


# --- Language -------------------------------------------------------------------------------


def test_signing_up_remembers_the_language_of_the_page(client, settings):
    form = {"username": "zofia", "email": "", "password1": "kingfisher-9"}
    form["password2"] = form["password1"]

    client.post("/accounts/signup/", form, headers={"Accept-Language": "pl"})

    assert language_of(get_user_model().objects.get(username="zofia")) == "pl"


@pytest.mark.parametrize(
    ("language", "said"),
    [("en", "Your file Interview could not be converted to WAV, FLAC. Something went wrong"),
     ("pl", "Nie udało się przekonwertować pliku Interview na WAV, FLAC. Coś poszło nie tak"),
     ("es", "Tu archivo Interview no se pudo convertir a WAV, FLAC. Algo falló por nuestra")],
)  # fmt: skip
def test_a_message_is_told_in_the_language_of_its_reader(person, language, said):
    Preferences.objects.remember_language(person, language)

    with translation.override("de"):
        message = fail(make_job(make_file(person)))
        assert translation.get_language() == "de"

    assert message.text.startswith(said)


# --- E-mail ---------------------------------------------------------------------------------


@pytest.fixture
def reader(person):
    person.email = "reader@example.org"
    person.save()
    EmailAddress.objects.create(user=person, email=person.email, verified=True, primary=True)
    return person


def test_the_step_mails_what_failed(reader):
    audio_file = make_file(reader, name="Choir")
    fail(make_job(audio_file))

    our_steps.mail()

    (sent,) = mail.outbox
    assert "Choir" in sent.subject
    assert f"{site.SITE_URL}{audio_file.get_absolute_url()}" in sent.body


@pytest.mark.django_db(transaction=True)
def test_an_email_wakes_its_step_after_the_commit(reader, monkeypatch):
    woken = []
    monkeypatch.setattr("steps.nudges._send", woken.append)

    fail(make_job(make_file(reader)))

    assert "mail" in woken
    assert "mail" in [step.name for step in steps.registry.steps_of("steps")]


def test_d10_a_mail_server_that_is_down_stops_no_other_step(reader, settings, monkeypatch):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", 9, 1
    monkeypatch.setattr(Server, "_away_until", None)
    monkeypatch.setattr(Server, "_failures", 0)
    fail(make_job(make_file(reader)))

    assert our_steps.mail() is not None

    row = Email.objects.get()
    assert (row.attempts, row.sent_at) == (1, None)
    assert "refused" in row.problem


def test_w9_a_deleted_file_takes_its_email_along(reader):
    audio_file = make_file(reader)
    fail(make_job(audio_file))
    audio_file.delete()

    our_steps.mail()

    assert not mail.outbox
    assert not Rendition.objects.exists()
