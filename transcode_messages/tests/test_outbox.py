"""E-mails: written with their message, sent afterwards, once."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.db import transaction
from django.utils import timezone

from tests.at_once import at_once
from transcode_messages import bell, outbox
from transcode_messages.models import Email, Kind, Message, Preferences, next_daily
from transcode_messages.tests.smtp import smtp_server

FAILED = {"level": Message.Level.ERROR}


@pytest.fixture
def server(settings):
    with smtp_server() as running:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", running.port
        settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
        settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
        settings.EMAIL_TIMEOUT = 5
        yield running


def choose(user, **wishes) -> Preferences:
    preferences, _ = Preferences.objects.get_or_create(user=user)
    for name, wish in wishes.items():
        setattr(preferences, name, wish)
    preferences.plan_daily()
    preferences.save()
    return preferences


def give_address(user) -> None:
    """Let the person have an e-mail address that they have confirmed."""
    user.email = f"{user.get_username()}@example.org"
    user.save()
    EmailAddress.objects.create(user=user, email=user.email, verified=True)


def make_due() -> None:
    """Let the pauses be over."""
    Email.objects.filter(next_step_at__isnull=False).update(next_step_at=timezone.now())
    outbox.Server._away_until = None


# --- Who gets one ---------------------------------------------------------------------------


def test_by_default_a_failure_is_mailed_and_a_success_is_not(with_address, tell):
    tell(with_address)
    failure = tell(with_address, "Your file Choir could not be converted.", **FAILED)

    outbox.send_due()

    (sent,) = mail.outbox
    assert sent.to == ["ana@example.org"]
    assert sent.subject == "Your file Choir could not be converted."
    assert failure.email.kind == Kind.FAILED


def test_who_wants_it_hears_of_success_and_who_does_not_of_no_failure(with_address, tell):
    choose(with_address, email_when_ready=True, email_when_failed=False)
    tell(with_address, **FAILED)
    tell(with_address, "Your file Birds is ready.")

    outbox.send_due()

    assert [sent.subject for sent in mail.outbox] == ["Your file Birds is ready."]


def test_w4_nobody_else_gets_it(with_address, ben, tell):
    give_address(ben)
    tell(with_address, **FAILED)

    outbox.send_due()

    assert [sent.recipients() for sent in mail.outbox] == [["ana@example.org"]]


@pytest.mark.parametrize(
    ("verification", "count"), [("none", 1), ("optional", 0), ("mandatory", 0)]
)
def test_an_address_that_nobody_confirmed_gets_none_where_that_is_asked_for(
    ana, tell, settings, verification, count
):
    settings.ACCOUNT_EMAIL_VERIFICATION = verification
    ana.email = "stranger@example.org"
    ana.save()
    EmailAddress.objects.create(user=ana, email=ana.email, verified=False, primary=True)
    tell(ana, **FAILED)

    outbox.send_due()

    assert len(mail.outbox) == Email.objects.count() == count


def test_who_has_no_address_gets_none(ana, tell):
    tell(ana, **FAILED)

    assert not Email.objects.exists()


def test_an_email_goes_when_the_transaction_that_wrote_it_fails(with_address, tell):
    with pytest.raises(RuntimeError), transaction.atomic():
        tell(with_address, **FAILED)
        raise RuntimeError

    assert not Email.objects.exists()


def test_telling_twice_writes_one_email(with_address, tell):
    for _ in range(2):
        tell(with_address, event="job:1:Error", **FAILED)

    assert Email.objects.count() == 1


def test_the_bell_rings_for_an_email_and_for_nothing_else(with_address, tell, monkeypatch):
    rung = []
    monkeypatch.setattr(bell, "_woken", [lambda: rung.append(1)])

    tell(with_address)
    assert rung == []
    tell(with_address, **FAILED)
    assert rung == [1]


# --- Many at once ---------------------------------------------------------------------------


def test_a_thousand_failures_are_two_emails_and_not_a_thousand(with_address, tell):
    tell(with_address, "The first.", **FAILED)
    outbox.send_due()
    for number in range(30):
        tell(with_address, f"Number {number:02}.", **FAILED)
    outbox.send_due()
    assert len(mail.outbox) == 1

    make_due()
    outbox.send_due()

    first, second = mail.outbox
    assert first.subject == "The first."
    assert second.subject == "30 new messages"
    assert second.body.count("Number ") == 20
    assert "10 more messages" in second.body
    assert not Message.objects.filter(email=None).exists()


def test_what_is_being_sent_takes_no_further_message(with_address, tell):
    first = tell(with_address, **FAILED)
    Email.objects.update(attempts=1)

    assert tell(with_address, **FAILED).email != first.email


# --- Once -----------------------------------------------------------------------------------


def test_an_email_is_sent_once_however_often_the_step_runs(with_address, tell):
    tell(with_address, **FAILED)

    for _ in range(3):
        outbox.send_due()

    assert len(mail.outbox) == 1
    row = Email.objects.get()
    assert row.sent_at and row.next_step_at is None and row.attempts == 1


@pytest.mark.django_db(transaction=True)
def test_six_steps_at_once_send_each_email_once(with_address, ben, tell, server):
    give_address(ben)
    choose(with_address, email_when_ready=True)
    for user in (with_address, ben):
        tell(user, **FAILED)
    tell(with_address)
    at_once(*[outbox.send_due] * 6)

    assert len(server.mails) == 3
    assert len({sent["Message-ID"] for sent in server.mails}) == 3
    assert Email.objects.exclude(sent_at=None).count() == 3


def test_what_a_killed_process_had_in_hand_is_sent_by_the_next_one(with_address, tell):
    tell(with_address, **FAILED)
    Email.objects.update(attempts=1, next_step_at=timezone.now() + outbox.IN_HAND)
    outbox.send_due()
    assert not mail.outbox

    make_due()
    outbox.send_due()

    assert len(mail.outbox) == 1


def test_what_a_killed_process_had_begun_to_hand_over_is_not_sent_again(with_address, tell):
    tell(with_address, **FAILED)
    Email.objects.update(attempts=1, next_step_at=None, handed_over_at=timezone.now())

    outbox.send_due()

    assert not mail.outbox


# --- A mail server with its moods -----------------------------------------------------------


def test_a_real_server_gets_text_and_html_and_the_way_out(with_address, tell, server):
    tell(with_address, "Your file Größe 音 could not be converted.", link="/audio/x/", **FAILED)

    outbox.send_due()

    (sent,) = server.mails
    assert sent["Subject"].strip() == "Your file Größe 音 could not be converted."
    assert sent["To"] == "ana@example.org"
    assert sent["Auto-Submitted"] == "auto-generated"
    assert sent["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    text, page = (sent.get_body((kind,)).get_content() for kind in ("plain", "html"))
    for part in (text, page):
        assert "Größe 音" in part
        assert "http://localhost:8000/audio/x/" in part
        assert sent["List-Unsubscribe"].strip(" <>") in part
    assert server.connections == 1


def test_a_server_that_refuses_is_asked_again_later_and_later(with_address, tell, server):
    tell(with_address, **FAILED)
    server.fault = "busy"
    pauses = []
    for _ in range(3):
        make_due()
        outbox.send_due()
        row = Email.objects.get()
        pauses.append(round((row.next_step_at - timezone.now()).total_seconds() / 60))
    assert pauses == [1, 2, 4]
    assert "451" in row.problem

    server.fault = ""
    make_due()
    outbox.send_due()

    assert len(server.mails) == 1
    row.refresh_from_db()
    assert row.sent_at and not row.problem


def test_one_refusal_does_not_hold_up_the_others(with_address, ben, tell, server, monkeypatch):
    give_address(ben)
    tell(with_address, **FAILED)
    tell(ben, **FAILED)
    plain = outbox.Server.take

    def refuse_ana(self, letter):
        server.fault = "busy" if letter.to == ["ana@example.org"] else ""
        plain(self, letter)

    monkeypatch.setattr(outbox.Server, "take", refuse_ana)

    outbox.send_due()

    assert [sent["To"] for sent in server.mails] == ["ben@example.org"]


def test_a_silent_server_costs_its_time_limit_once(with_address, ben, tell, server, settings):
    settings.EMAIL_TIMEOUT = 0.5
    server.fault = "silent"
    choose(with_address, email_when_ready=True)
    tell(with_address)
    tell(with_address, **FAILED)

    began = time.monotonic()
    again = outbox.send_due()

    assert time.monotonic() - began < 5
    assert server.connections == 1
    assert again > timezone.now()
    # What comes meanwhile does not ask it either.
    Email.objects.update(next_step_at=timezone.now())
    assert outbox.send_due() > timezone.now()
    assert server.connections == 1


def test_a_server_that_breaks_off_before_the_end_has_nothing_and_is_asked_again(
    with_address, tell, server
):
    tell(with_address, **FAILED)
    server.fault = "early"
    outbox.send_due()
    server.fault = ""
    make_due()
    outbox.send_due()

    assert len(server.mails) == 1


def test_a_server_that_breaks_off_after_the_end_may_have_it_and_gets_it_once(
    with_address, tell, server
):
    tell(with_address, **FAILED)
    server.fault = "goodbye"
    outbox.send_due()
    server.fault = ""
    make_due()
    outbox.send_due()

    assert len(server.mails) == 1
    row = Email.objects.get()
    assert (row.sent_at, row.next_step_at) == (None, None)
    assert "NoAnswer" in row.problem


def test_after_a_day_an_email_is_given_up(with_address, tell, server, caplog):
    tell(with_address, **FAILED)
    server.fault = "busy"
    Email.objects.update(created_at=timezone.now() - timedelta(hours=25))

    outbox.send_due()

    assert Email.objects.get().next_step_at is None
    assert "given up" in caplog.text


@pytest.mark.parametrize("address", ["a\nb@example.org", "@", "ä" * 300 + "@example.org"])
def test_an_address_that_cannot_be_written_stops_nobody(with_address, ben, tell, server, address):
    give_address(ben)
    tell(with_address, **FAILED)
    tell(ben, **FAILED)
    EmailAddress.objects.filter(user=with_address).update(email=address)

    outbox.send_due()

    assert "ben@example.org" in [sent["To"] for sent in server.mails]


# --- What is overtaken by events ------------------------------------------------------------


def test_one_that_cannot_be_put_together_stops_nobody_and_is_tried_again(
    with_address, ben, tell, settings, tmp_path, caplog
):
    give_address(ben)
    broken = tmp_path / "transcode_messages" / "email.txt"
    broken.parent.mkdir()
    broken.write_text(
        "{% if person == 'ana' %}{% url 'nowhere' %}{% endif %}"
        "{% for message in transcode_messages %}{{ message.text }}{% endfor %}"
    )
    templates = settings.TEMPLATES[0]
    settings.TEMPLATES = [templates | {"DIRS": [tmp_path, *templates["DIRS"]]}]
    tell(with_address, "Of Ana.", **FAILED)
    tell(ben, "Of Ben.", **FAILED)

    wants = outbox.send_due()

    assert [sent.to for sent in mail.outbox] == [["ben@example.org"]]
    waiting = Email.objects.get(user=with_address)
    assert waiting.problem.startswith("NoReverseMatch")
    assert waiting.next_step_at == wants > timezone.now()
    assert "cannot be put together" in caplog.text
    settings.TEMPLATES = [templates]
    make_due()
    outbox.send_due()
    assert [sent.to for sent in mail.outbox] == [["ben@example.org"], ["ana@example.org"]]


def test_an_email_of_a_deleted_file_is_not_sent(with_address, tell):
    message = tell(with_address, **FAILED)
    Message.objects.forget([message.about])

    outbox.send_due()

    assert not mail.outbox
    assert Email.objects.get().next_step_at is None


def test_what_is_not_wanted_any_more_is_not_sent(with_address, tell):
    tell(with_address, **FAILED)
    choose(with_address, email_when_failed=False)

    outbox.send_due()

    assert not mail.outbox


def test_emails_go_with_their_person(with_address, tell):
    tell(with_address, **FAILED)
    choose(with_address, email_daily=True)

    with_address.delete()

    assert not Email.objects.exists()
    assert not Preferences.objects.exists()
    assert outbox.send_due() is None


def test_old_emails_are_swept_and_their_messages_stay(with_address, tell):
    tell(with_address, **FAILED)
    outbox.send_due()
    assert outbox.sweep() == 0
    Email.objects.update(created_at=timezone.now() - timedelta(days=31))

    assert outbox.sweep() == 1
    assert Message.objects.get().email is None


# --- The daily e-mail -----------------------------------------------------------------------


def daily_is_due(preferences: Preferences) -> None:
    Preferences.objects.filter(pk=preferences.pk).update(next_daily_at=timezone.now())


@pytest.mark.parametrize(
    ("now", "then"),
    [
        ("2026-11-26 06:59", "2026-11-26 07:00"),
        ("2026-11-26 07:00", "2026-11-27 07:00"),
        ("2026-03-28 12:00", "2026-03-29 07:00"),  # the clocks are put forward that night
        ("2026-10-24 12:00", "2026-10-25 07:00"),  # and back
    ],
)
def test_the_daily_email_is_due_at_seven_in_the_sites_time(settings, now, then):
    settings.TIME_ZONE = "Europe/Warsaw"
    warsaw = ZoneInfo("Europe/Warsaw")
    moment = datetime.strptime(now, "%Y-%m-%d %H:%M").replace(tzinfo=warsaw)

    due = next_daily(moment)

    assert due.astimezone(warsaw).strftime("%Y-%m-%d %H:%M") == then


def test_the_daily_email_tells_what_no_other_did_and_once(with_address, tell):
    tell(with_address, "Before it was wanted.")
    Message.objects.update(created_at=timezone.now() - timedelta(hours=2))
    preferences = choose(with_address, email_daily=True)
    tell(with_address, "Your file Choir is ready.")
    tell(with_address, "Your file Birds could not be converted.", **FAILED)
    tell(with_address, "Your file Rain is ready.")
    outbox.send_due()
    assert len(mail.outbox) == 1  # the failure, at once

    daily_is_due(preferences)
    wants = outbox.send_due()

    daily = mail.outbox[1]
    assert daily.subject == "2 new messages"
    assert "Choir" in daily.body and "Rain" in daily.body
    assert "Birds" not in daily.body and "Before" not in daily.body
    assert wants == next_daily(timezone.now())
    daily_is_due(preferences)
    outbox.send_due()
    assert len(mail.outbox) == 2


def test_daily_emails_take_no_longer_than_their_turn(with_address, ben, tell, monkeypatch):
    give_address(ben)
    for person in (with_address, ben):
        preferences = choose(person, email_daily=True)
        tell(person)
        daily_is_due(preferences)
    monkeypatch.setattr(outbox, "TURN_S", 0.0)

    again = outbox.send_due()

    assert Email.objects.count() == 1  # and the other one in the next turn, which is due now
    assert again <= timezone.now()
    monkeypatch.setattr(outbox, "TURN_S", 5.0)
    outbox.send_due()
    assert sorted(sent.to[0] for sent in mail.outbox) == ["ana@example.org", "ben@example.org"]


def test_no_daily_email_when_nothing_came(with_address):
    daily_is_due(choose(with_address, email_daily=True))

    outbox.send_due()

    assert not mail.outbox and not Email.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_six_steps_at_once_write_one_daily_email(with_address, tell, server):
    preferences = choose(with_address, email_daily=True)
    tell(with_address)
    daily_is_due(preferences)
    at_once(*[outbox.send_due] * 6)

    assert len(server.mails) == 1
