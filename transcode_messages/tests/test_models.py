from __future__ import annotations

import uuid
from functools import partial

import pytest
from django.db import transaction

from tests.at_once import at_once
from transcode_messages.models import Message


def test_a_person_is_told_of_an_event_once(ana, tell):
    first = tell(ana, "First", event="job:1:Complete")
    second = tell(ana, "Second", event="job:1:Complete")

    assert first is not None and first.text == "First"
    assert second is None
    assert Message.objects.get().text == "First"


def test_another_outcome_and_another_person_are_told(ana, ben, tell):
    assert tell(ana, event="job:1:Complete")
    assert tell(ana, event="job:1:Error")
    assert tell(ben, event="job:1:Complete")


def test_telling_twice_inside_a_transaction_leaves_the_transaction_usable(ana, tell):
    with transaction.atomic():
        tell(ana, event="job:1:Complete")
        tell(ana, event="job:1:Complete")
        tell(ana, event="job:2:Complete")

    assert Message.objects.count() == 2


def test_a_message_goes_when_the_transaction_that_wrote_it_fails(ana, tell):
    with pytest.raises(RuntimeError), transaction.atomic():
        tell(ana)
        raise RuntimeError

    assert not Message.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_eight_tellers_at_once_leave_one_message(ana, tell):
    told = at_once(*[partial(tell, ana, event="job:1:Complete")] * 8)
    assert len([message for message in told if message]) == 1
    assert Message.objects.count() == 1


def test_a_text_is_cut_to_what_fits(ana, tell):
    exact, long = tell(ana, "x" * 600), tell(ana, "x" * 5000)

    assert exact.text == "x" * 600
    assert long.text == "x" * 599 + "…"
    long.full_clean()


def test_forgetting_a_thing_deletes_what_was_told_of_it_and_nothing_else(ana, ben, tell):
    gone, stays = uuid.uuid4(), uuid.uuid4()
    tell(ana, about=gone)
    tell(ben, about=gone)
    kept = tell(ana, about=stays)

    assert Message.objects.forget([gone]) == 2
    assert Message.objects.get() == kept
    assert Message.objects.forget([]) == 0


def test_reading_keeps_the_first_time(ana, tell):
    message = tell(ana)

    assert ana.transcode_messages.mark_read() == 1
    message.refresh_from_db()
    first = message.read_at
    assert ana.transcode_messages.mark_read() == 0

    message.refresh_from_db()
    assert message.read_at == first
    assert not message.is_unread


def test_messages_go_with_their_person(ana, tell):
    tell(ana)

    ana.delete()

    assert not Message.objects.exists()
