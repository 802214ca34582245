from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import connection
from django.template import engines
from django.test.utils import CaptureQueriesContext

from transcode_messages import live
from transcode_messages.context_processors import message_context_processor
from transcode_messages.models import Message


@pytest.fixture
def messages_of(rf):
    """Return what a page of this person finds in ``transcode_messages``."""

    def find(user):
        request = rf.get("/")
        request.user = user
        return message_context_processor(request)["transcode_messages"]

    return find


def test_a_page_gets_the_newest_five_and_the_count_in_one_query(
    ana, tell, messages_of, django_assert_num_queries
):
    for number in range(7):
        tell(ana, f"Message {number}")

    with django_assert_num_queries(1):
        found = messages_of(ana)
        texts = [message.text for message in found]
        assert (found.count, found.more, len(found)) == (7, 2, 5)

    assert texts == [f"Message {number}" for number in (6, 5, 4, 3, 2)]


def test_a_page_that_shows_none_asks_nothing(ana, tell, messages_of, django_assert_num_queries):
    tell(ana)

    with django_assert_num_queries(0):
        messages_of(ana)


def test_w4_a_person_sees_their_own_and_visitors_none(
    ana, ben, tell, messages_of, django_assert_num_queries
):
    tell(ana)

    assert len(messages_of(ana)) == 1
    assert len(messages_of(ben)) == 0
    with django_assert_num_queries(0):
        visitor = messages_of(AnonymousUser())
        assert list(visitor) == []
        assert visitor.count == 0
        assert not visitor.is_live


def test_a_request_without_a_user_has_no_messages(rf):
    found = message_context_processor(rf.get("/health/"))["transcode_messages"]

    assert list(found) == []
    assert not found.is_live


def test_read_messages_are_not_shown(ana, tell, messages_of):
    tell(ana, "Old")
    ana.transcode_messages.mark_read()
    tell(ana, "New")

    found = messages_of(ana)

    assert [message.text for message in found] == ["New"]
    assert found.count == 1


def test_the_state_changes_with_every_arrival_and_every_dismissal(ana, tell, messages_of):
    states = [messages_of(ana).state]
    first = tell(ana)
    states.append(messages_of(ana).state)
    tell(ana)
    states.append(messages_of(ana).state)
    ana.transcode_messages.filter(pk=first.pk).mark_read()
    states.append(messages_of(ana).state)

    assert len(set(states)) == 4


def test_w17_five_thousand_unread_messages_are_found_through_the_index(ana, messages_of):
    Message.objects.bulk_create(
        Message(user=ana, event=str(n), about="0" * 32, level="success", text="Ready.")
        for n in range(5000)
    )

    with CaptureQueriesContext(
        connection,
    ) as queries:
        found = messages_of(ana)
        assert (len(found), found.count) == (5, 5000)

    (query,) = queries
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {query['sql']}")
        plan = " ".join(row[3] for row in cursor.fetchall())
    assert plan.count("message_unread") == 2, plan
    assert "SCAN transcode_messages_message" not in plan


@pytest.mark.parametrize("is_busy", [True, False])
def test_a_page_is_live_while_somebody_says_that_work_is_open(ana, messages_of, busy, is_busy):
    busy(is_busy)

    assert messages_of(ana).is_live is is_busy


def test_nobody_to_ask_means_not_live(ana, messages_of, monkeypatch):
    monkeypatch.setattr(live, "_questions", [])

    assert not messages_of(ana).is_live


def test_a_question_is_registered_once(monkeypatch):
    monkeypatch.setattr(live, "_questions", [])

    live.ask(bool)
    live.ask(bool)

    assert live._questions == [bool]


def test_the_processor_is_the_one_that_templates_use(ana, tell, rf):
    tell(ana, "Your file <b>x</b> is ready.")
    request = rf.get("/")
    request.user = ana
    template = engines["django"].from_string(
        "{% for message in transcode_messages %}{{ message.text }}{% endfor %}"
    )

    assert template.render({}, request) == "Your file &lt;b&gt;x&lt;/b&gt; is ready."
