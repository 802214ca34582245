"""What e-mails say, and what no name can make them say."""

from __future__ import annotations

import pytest
from django.core import mail
from django.utils import timezone
from django.utils.translation import gettext

from transcode_messages import outbox
from transcode_messages.languages import language_of, spoken_to
from transcode_messages.letters import one_line
from transcode_messages.models import Email, Message, Preferences

FAILED = {"level": Message.Level.ERROR}


def sent(user, tell, text, **values):
    tell(user, text, **{**FAILED, **values})
    outbox.send_due()
    return mail.outbox[-1]


@pytest.mark.parametrize(
    "name",
    [
        "x\r\nBcc: victim@example.org",
        "x\nSubject: other\n\nbody",
        "x\u2028y\u0085z",
        "\u202egnp.exe",
        "x\0y\x1b[31m",
    ],
)
def test_f17_a_hostile_name_adds_no_header(with_address, tell, name):
    letter = sent(with_address, tell, f"Your file {name} could not be converted.")

    raw = letter.message()
    assert letter.recipients() == ["ana@example.org"]
    assert raw["Bcc"] is None
    assert len(raw.get_all("Subject")) == 1
    assert letter.subject == one_line(letter.subject)
    assert not set(letter.subject) & set("\r\n\0\x1b\x85\u2028\u202e")


def test_f17_markup_in_a_name_is_text_in_both_forms(with_address, tell):
    name = '<script>alert(1)</script><img src=x onerror="y"> {{ 7 }} & "quotes"'

    letter = sent(with_address, tell, f"Your file {name} failed.", link='/audio/"><b>x')

    ((page, media_type),) = letter.alternatives
    assert media_type == "text/html"
    assert "<script" not in page and "<img" not in page and '"><b>x' not in page
    assert "&lt;script&gt;alert(1)" in page and "{{ 7 }}" in page
    assert name in letter.body


def test_a_long_text_is_a_short_subject(with_address, tell):
    letter = sent(with_address, tell, "x" * 600)

    assert letter.subject == "x" * 149 + "…"
    assert "x" * 600 in letter.body


def test_links_are_absolute(with_address, tell, settings):
    settings.SITE_URL = "https://audio.example.org"

    letter = sent(with_address, tell, "It failed.", link="/audio/1/")

    ((page, _),) = letter.alternatives
    assert 'href="https://audio.example.org/audio/1/"' in page
    assert "https://audio.example.org/messages/preferences/" in letter.body
    assert 'href="/' not in page
    headers = letter.message()
    assert headers["List-Unsubscribe"].startswith("<https://audio.example.org/messages/unsub")
    assert headers["Message-ID"] == f"<{Email.objects.get().code}@audio.example.org>"


@pytest.mark.parametrize(
    ("language", "spoken"), [("es-mx", "es"), ("de", "en"), ("xx", "en"), ("", "en")]
)
def test_a_letter_is_in_the_language_of_its_reader(with_address, tell, language, spoken):
    Preferences.objects.remember_language(with_address, language)

    letter = sent(with_address, tell, "Failed.")

    assert f'<html lang="{spoken}"' in letter.alternatives[0][0]
    assert language_of(with_address) == spoken


def test_dates_in_a_letter_are_in_the_language_of_its_reader(with_address, tell):
    Preferences.objects.remember_language(with_address, "pl")
    Preferences.objects.update(
        email_daily=True, next_daily_at=timezone.now(), daily_since=timezone.now()
    )
    tell(with_address)
    Message.objects.update(created_at=timezone.now().replace(month=5, day=2, year=2099))

    outbox.send_due()

    assert "2 maja 2099" in mail.outbox[0].body


def test_what_is_said_inside_is_in_the_persons_language(ana):

    Preferences.objects.remember_language(ana, "pl")

    with spoken_to(ana):
        assert gettext("May") == "Maj"
    assert gettext("May") == "May"


def test_a_letter_costs_the_same_whatever_is_in_it(with_address, django_assert_max_num_queries):
    email = Email.objects.create(user=with_address, kind="failed")
    Message.objects.bulk_create(
        Message(
            user=with_address, event=str(n), about="0" * 32, level="error", text="F", email=email
        )
        for n in range(2000)
    )

    with django_assert_max_num_queries(16):
        outbox.send_due()

    assert mail.outbox[0].subject == "2000 new messages"
    assert len(mail.outbox[0].body) < 10_000
