"""What the tests of messages share."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable

import pytest
from allauth.account.models import EmailAddress
from django.contrib.auth import get_user_model

from transcode_messages import live
from transcode_messages.models import Message
from transcode_messages.outbox import Server

_numbers = itertools.count(1)


@pytest.fixture(autouse=True)
def mail_server_is_not_known_to_be_away(monkeypatch):
    monkeypatch.setattr(Server, "_away_until", None)
    monkeypatch.setattr(Server, "_failures", 0)


@pytest.fixture
def ana(db):
    return get_user_model().objects.create_user("ana")


@pytest.fixture
def ben(db):
    return get_user_model().objects.create_user("ben")


@pytest.fixture
def with_address(ana):
    """Ana, with an e-mail address that she has confirmed."""
    ana.email = "ana@example.org"
    ana.save()
    EmailAddress.objects.create(user=ana, email=ana.email, verified=True, primary=True)
    return ana


@pytest.fixture
def tell() -> Callable[..., Message | None]:
    """Write a message; a test names only what it is about."""

    def write(user, text="Your file Interview is ready.", **values):
        values = {
            "event": f"job:{next(_numbers)}:Complete",
            "about": uuid.uuid4(),
            "level": Message.Level.SUCCESS,
            "link": "/audio/",
            **values,
        }
        return Message.objects.tell(user, text=text, **values)

    return write


@pytest.fixture
def busy(monkeypatch) -> Callable[[bool], None]:
    """Say whether work is under way; until then it is not."""
    questions = []
    monkeypatch.setattr(live, "_questions", questions)

    def answer(is_busy: bool) -> None:
        questions[:] = [lambda request: is_busy]

    return answer
