"""How people choose to be told, and how they stop it."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from transcode_messages import outbox
from transcode_messages.letters import unsubscribe_token
from transcode_messages.models import Kind, Message, Preferences

PAGE = "/messages/preferences/"


@pytest.fixture
def signed_in(client, ana):
    client.force_login(ana)
    return client


def checked(page: str) -> set[str]:
    return set(re.findall(r'name="(\w+)"[^>]*\bchecked', page))


# --- The page -------------------------------------------------------------------------------


def test_the_defaults_are_an_email_for_failures_and_nothing_else(signed_in):
    page = signed_in.get(PAGE)

    assert checked(page.text) == {"email_when_failed"}
    assert not Preferences.objects.exists()


def test_what_is_chosen_is_kept_with_the_language_of_the_page(signed_in, ana):
    wishes = {"email_when_ready": "on", "email_daily": "on", "browser_notifications": "on"}

    response = signed_in.post(PAGE, wishes, headers={"Accept-Language": "pl"})

    assert (response.status_code, response.url) == (302, PAGE)
    page = signed_in.get(PAGE).text
    assert checked(page) == set(wishes)
    assert "Zapisano." in page
    chosen = ana.message_preferences
    assert chosen.language == "pl"
    assert timedelta() < chosen.next_daily_at - timezone.now() <= timedelta(days=1)


def test_a_language_that_was_chosen_is_not_changed_by_the_one_of_the_page(signed_in, ana):
    Preferences.objects.remember_language(ana, "es")
    signed_in.post(PAGE, {}, headers={"Accept-Language": "pl"})
    assert Preferences.objects.of(ana).language == "es"


def test_w3_saving_twice_gives_the_same_answer_and_keeps_the_time_of_the_daily_email(
    signed_in, ana
):
    answers = [signed_in.post(PAGE, {"email_daily": "on"}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [302, 302]
    first = Preferences.objects.get()
    signed_in.post(PAGE, {"email_daily": "on"})
    assert Preferences.objects.get().next_daily_at == first.next_daily_at


def test_switching_the_daily_email_off_ends_it(signed_in, ana):
    signed_in.post(PAGE, {"email_daily": "on"})
    signed_in.post(PAGE, {})

    assert ana.message_preferences.next_daily_at is None
    assert checked(signed_in.get(PAGE).text) == set()


def test_w2_a_visitor_signs_in_first_and_comes_back(client, db):
    for response in (client.get(PAGE), client.post(PAGE, {"email_daily": "on"})):
        assert (response.status_code, response.url) == (302, f"/accounts/login/?next={PAGE}")
    assert not Preferences.objects.exists()


def test_w2_nothing_is_chosen_without_a_csrf_token_or_by_another_verb(signed_in, ana):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(ana)

    assert strict.post(PAGE, {"email_daily": "on"}).status_code == 403
    for method in ("put", "patch", "delete"):
        assert getattr(signed_in, method)(PAGE).status_code == 405
    assert not Preferences.objects.exists()


def test_w4_one_persons_choice_is_not_anothers(signed_in, ana, ben):
    signed_in.post(PAGE, {"user": ben.pk, "email_when_ready": "on", "next_daily_at": "2000-01-01"})

    assert Preferences.objects.get().user == ana
    assert ana.message_preferences.next_daily_at is None


def test_w16_the_page_is_private(signed_in):
    assert "no-store" in signed_in.get(PAGE)["Cache-Control"]


def test_the_page_says_where_mail_goes_and_when_it_goes_nowhere(
    signed_in, ana, with_address, settings
):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    page = signed_in.get(PAGE).text
    assert "ana@example.org" in page and "no mail server" not in page

    settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
    with_address.emailaddress_set.all().delete()
    page = signed_in.get(PAGE).text
    assert "no mail server" in page and "before you have confirmed an address" in page


def test_the_page_is_cheap(signed_in, django_assert_max_num_queries):
    with django_assert_max_num_queries(8):
        signed_in.get(PAGE)


# --- Stopping without signing in ------------------------------------------------------------


@pytest.fixture
def address_to_stop(with_address, tell) -> str:
    """The address in the header of an e-mail about a failure."""
    tell(with_address, level=Message.Level.ERROR)
    outbox.send_due()
    url = mail.outbox[0].message()["List-Unsubscribe"].strip("<>")
    return url.removeprefix("http://localhost:8000")


def wants(user) -> set[str]:
    return {kind for kind in Kind if Preferences.objects.of(user).wants(kind)}


def test_looking_at_the_link_stops_nothing_and_its_button_does(client, ana, address_to_stop):
    page = client.get(address_to_stop)
    assert "Stop these e-mails?" in page.text
    assert "no-store" in page["Cache-Control"]
    assert wants(ana) == {Kind.FAILED}

    for _ in range(2):  # twice is fine
        page = client.post(address_to_stop)
        assert page.status_code == 200
        assert "These e-mails are stopped" in page.text
    assert wants(ana) == set()


def test_a_mail_program_stops_them_by_one_click(ana, address_to_stop):
    program = Client(enforce_csrf_checks=True)

    answer = program.post(address_to_stop, {"List-Unsubscribe": "One-Click"})

    assert answer.status_code == 200
    assert wants(ana) == set()


def test_only_one_kind_is_stopped_unless_all_are_asked_for(client, ana, address_to_stop):
    Preferences.objects.update(email_when_ready=True, email_daily=True)

    client.post(address_to_stop)
    assert wants(ana) == {Kind.READY, Kind.DAILY}

    client.post(address_to_stop, {"all": "1"})
    assert wants(ana) == set()
    assert Preferences.objects.get().next_daily_at is None


@pytest.mark.parametrize("change", [lambda t: t[:-1], lambda t: "x", lambda t: "\0", str.upper])
def test_w2_a_forged_link_is_not_found(client, ana, change):
    chosen = Preferences.objects.create(user=ana)
    token = change(unsubscribe_token(chosen, Kind.FAILED))

    for ask in (client.get, client.post):
        assert ask(f"/messages/unsubscribe/{token}/").status_code == 404
    assert wants(ana) == {Kind.FAILED}


def test_a_link_does_not_stop_another_kind(client, ana):
    token = unsubscribe_token(Preferences.objects.create(user=ana), Kind.FAILED)

    forged = token.replace(Kind.FAILED, Kind.READY)

    assert client.post(f"/messages/unsubscribe/{forged}/").status_code == 404


def test_the_link_of_a_deleted_person_is_not_found(client, ana, address_to_stop):
    ana.delete()

    assert client.post(address_to_stop).status_code == 404


def test_what_is_stopped_is_not_sent_any_more(client, with_address, tell, address_to_stop):
    client.post(address_to_stop)
    tell(with_address, level=Message.Level.ERROR)
    outbox.send_due()

    assert len(mail.outbox) == 1
