from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model


@pytest.fixture
def operator(client, db):
    client.force_login(get_user_model().objects.create_superuser("operator"))
    return client


def test_the_list_shows_searches_and_filters(operator, ana, ben, tell):
    tell(ana, "Your file Choir is ready.")
    tell(ben, "Your file Birds is ready.")

    assert "Choir" in operator.get("/admin/transcode_messages/message/").text
    found = operator.get("/admin/transcode_messages/message/", {"q": "ben"}).text
    assert "Birds" in found
    assert "Choir" not in found
    for query in ({"level": "success"}, {"read_at__isempty": "1"}, {"q": r"%_'\\"}):
        assert operator.get("/admin/transcode_messages/message/", query).status_code == 200


def test_the_list_asks_the_same_number_of_queries_for_any_number_of_people(
    operator, tell, django_assert_max_num_queries
):
    for number in range(20):
        tell(get_user_model().objects.create_user(f"person{number}"))

    with django_assert_max_num_queries(9):
        operator.get("/admin/transcode_messages/message/")


def test_a_message_is_looked_at_and_not_changed(operator, ana, tell):
    message = tell(ana, "Your file Choir is ready.")

    page = operator.get(f"/admin/transcode_messages/message/{message.pk}/change/").text

    assert "Your file Choir is ready." in page
    assert 'name="text"' not in page
    assert operator.get("/admin/transcode_messages/message/add/").status_code == 403


def test_the_action_marks_as_read(operator, ana, tell):
    message = tell(ana)

    operator.post(
        "/admin/transcode_messages/message/",
        {"action": "mark_read", "_selected_action": [message.pk]},
    )

    message.refresh_from_db()
    assert not message.is_unread
