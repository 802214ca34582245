from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from transcode_messages.models import Message, Preferences

READ = "/messages/read/"
READ_ALL = "/messages/read-all/"
UNREAD = "/messages/unread/"
HTMX = {"HX-Request": "true"}
SCRIPT = {"X-Requested-With": "XMLHttpRequest"}


@pytest.fixture
def signed_in(client, ana):
    client.force_login(ana)
    return client


def test_the_addresses_have_their_names():
    assert reverse("messages:list") == "/messages/"
    assert reverse("messages:read-message") == READ
    assert reverse("messages:read-all") == READ_ALL
    assert reverse("messages:unread") == UNREAD


# --- Dismissing one -------------------------------------------------------------------------


def test_a_dismissed_message_is_read_and_the_person_is_back_where_they_were(signed_in, ana, tell):
    message = tell(ana)

    response = signed_in.post(READ, {"message_id": message.pk, "next": "/audio/?q=choir&page=2"})

    assert (response.status_code, response.url) == (302, "/audio/?q=choir&page=2")
    message.refresh_from_db()
    assert abs((timezone.now() - message.read_at).total_seconds()) < 5


def test_w3_dismissing_twice_gives_the_same_answer(signed_in, ana, tell):
    message = tell(ana)

    answers = [signed_in.post(READ, {"message_id": message.pk}) for _ in range(2)]

    assert [(answer.status_code, answer.url) for answer in answers] == [(302, "/messages/")] * 2


def test_w2_a_visitor_is_sent_to_the_sign_in_page(client, ana, tell):
    message = tell(ana)

    response = client.post(READ, {"message_id": message.pk})

    assert (response.status_code, response.url) == (302, "/accounts/login/?next=/messages/")
    message.refresh_from_db()
    assert message.is_unread


@pytest.mark.parametrize("headers", [HTMX, SCRIPT, {"Accept": "application/json"}])
def test_w2_w12_a_script_that_is_signed_out_gets_401(client, db, headers):
    for response in (
        client.post(READ, {"message_id": 1}, headers=headers),
        client.post(READ_ALL, headers=headers),
        client.get(UNREAD, headers=headers),
    ):
        assert response.status_code == 401
        assert response.json()["reason"] == "signed_out"


@pytest.mark.parametrize("method", ["get", "head", "put", "patch", "delete"])
def test_w2_only_post_dismisses(signed_in, ana, tell, method):
    message = tell(ana)

    response = getattr(signed_in, method)(f"{READ}?message_id={message.pk}")

    assert response.status_code == 405
    assert response["Allow"] == "POST"
    message.refresh_from_db()
    assert message.is_unread


def test_w2_without_a_csrf_token_nothing_is_dismissed(ana, tell):
    message = tell(ana)
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(ana)

    response = strict.post(READ, {"message_id": message.pk})

    assert response.status_code == 403
    message.refresh_from_db()
    assert message.is_unread


def test_w1_w2_somebody_elses_message_is_not_found(signed_in, ben, tell):
    message = tell(ben)

    assert signed_in.post(READ, {"message_id": message.pk}).status_code == 404
    message.refresh_from_db()
    assert message.is_unread


@pytest.mark.parametrize(
    "number",
    [
        "999999",
        "abc",
        str(10**30),
        str(2**63),
        "-1",
        "",
        " ",
        "1.0",
        "1e3",
        "٣",
        "²",
        "\0",
        "x" * 999,
    ],
)
def test_w2_a_message_that_does_not_exist_is_not_found(signed_in, number):
    assert signed_in.post(READ, {"message_id": number}).status_code == 404


def test_w2_a_missing_message_id_is_a_bad_request(signed_in):
    response = signed_in.post(READ)

    assert response.status_code == 400
    assert "We could not read this request" in response.text


@pytest.mark.parametrize(
    "back",
    [
        "//evil.test",
        "https://evil.test/",
        "http://evil.test",
        "javascript:alert(1)",
        r"\\evil.test",
        "///evil.test",
        "foo",
        "audio",
        "?x",
        "#",
        "\r\nX: y",
        "",
    ],
)
def test_w6_a_foreign_next_is_ignored(signed_in, ana, tell, back):
    response = signed_in.post(READ, {"message_id": tell(ana).pk, "next": back})

    assert (response.status_code, response.url) == (302, "/messages/")


def test_htmx_gets_the_messages_that_are_left_and_the_new_count(signed_in, ana, tell):
    tell(ana, "Stays")
    message = tell(ana, "Goes")

    response = signed_in.post(READ, {"message_id": message.pk}, headers=HTMX)

    assert response.status_code == 200
    assert "Stays" in response.text
    assert "Goes" not in response.text
    assert 'id="unread-count" class="count" hx-swap-oob="true"' in response.text
    assert "<html" not in response.text


def test_a_script_gets_the_number_that_is_left(signed_in, ana, tell):
    tell(ana)

    response = signed_in.post(READ, {"message_id": tell(ana).pk}, headers=SCRIPT)

    assert response.json() == {"unread": 1}


# --- Dismissing all -------------------------------------------------------------------------


def test_all_are_dismissed_and_nobody_elses(signed_in, ana, ben, tell):
    tell(ana)
    tell(ana)
    others = tell(ben)

    response = signed_in.post(READ_ALL, {"next": "/audio/"})

    assert (response.status_code, response.url) == (302, "/audio/")
    assert list(Message.objects.unread()) == [others]


def test_what_came_after_the_page_was_made_stays(signed_in, ana, tell):
    tell(ana)
    seen = tell(ana)
    unseen = tell(ana)

    signed_in.post(READ_ALL, {"until": seen.pk})

    assert list(ana.transcode_messages.unread()) == [unseen]


def test_dismissing_all_by_get_or_with_nonsense_dismisses_none(signed_in, ana, tell):
    tell(ana)

    assert signed_in.get(READ_ALL).status_code == 405
    assert signed_in.post(READ_ALL, {"until": "abc"}).status_code == 400
    assert signed_in.post(READ_ALL, {"until": str(10**30)}).status_code == 400
    assert ana.transcode_messages.unread().count() == 1


def test_a_visitor_dismisses_nothing(client, ana, tell):
    tell(ana)

    assert client.post(READ_ALL).url == "/accounts/login/?next=/messages/"
    assert ana.transcode_messages.unread().count() == 1


# --- Live -----------------------------------------------------------------------------------


def have(page: str) -> str:
    """Return the address that a page polls."""
    return html.unescape(re.search(r'hx-get="([^"]+)"', page)[1])


def test_a_page_learns_of_a_new_message_and_goes_on_asking(signed_in, ana, tell, busy):
    busy(True)
    page = signed_in.get("/messages/unread/").text
    assert "every 5s" in page

    assert signed_in.get(have(page), headers=HTMX).status_code == 204
    tell(ana, "Your file Choir is ready.")
    response = signed_in.get(have(page), headers=HTMX)

    assert response.status_code == 200
    assert "Your file Choir is ready." in response.text
    assert signed_in.get(have(response.text), headers=HTMX).status_code == 204


def test_a_page_stops_asking_when_nothing_is_open(signed_in, ana, tell, busy):
    busy(True)
    page = signed_in.get("/messages/unread/").text
    busy(False)

    unchanged = signed_in.get(have(page), headers=HTMX)
    assert (unchanged.status_code, unchanged["HX-Reswap"]) == (286, "none")

    tell(ana, "Last news.")
    changed = signed_in.get(have(page), headers=HTMX)
    assert changed.status_code == 286
    assert "HX-Reswap" not in changed
    assert "Last news." in changed.text
    assert "every" not in changed.text


def test_a_dismissal_elsewhere_reaches_the_page(signed_in, ana, tell, busy):
    busy(True)
    tell(ana, "Seen on the phone.")
    page = signed_in.get("/messages/unread/").text

    ana.transcode_messages.mark_read()

    response = signed_in.get(have(page), headers=HTMX)
    assert response.status_code == 200
    assert "Seen on the phone." not in response.text


def test_w16_answers_are_private(signed_in, ana, tell):
    message = tell(ana)

    for response in (
        signed_in.get(UNREAD),
        signed_in.get("/messages/"),
        signed_in.post(READ, {"message_id": message.pk}),
        Client().get("/messages/"),
    ):
        assert "no-store" in response["Cache-Control"]
        assert "private" in response["Cache-Control"]


def test_a_poll_of_a_page_that_knows_all_costs_one_query_for_messages(
    signed_in, ana, tell, django_assert_num_queries
):
    tell(ana)
    address = have(signed_in.get(UNREAD).text)

    with django_assert_num_queries(3 + 1):  # session, person, messages, open work
        signed_in.get(address, headers=HTMX)


# --- The page of all messages ---------------------------------------------------------------


def test_the_page_shows_read_and_unread_newest_first(signed_in, ana, tell):
    tell(ana, "Older and read.")
    ana.transcode_messages.mark_read()
    tell(ana, "Newer and unread.")

    everything, unread = (
        signed_in.get("/messages/").text,
        signed_in.get("/messages/?show=unread").text,
    )

    assert everything.index("Newer and unread.") < everything.index("Older and read.")
    assert "Newer and unread." in unread
    assert "Older and read." not in unread


def test_w1_the_page_shows_nobody_elses(signed_in, ben, tell):
    tell(ben, "Not for Ana.")

    assert "Not for Ana." not in signed_in.get("/messages/").text


def test_a_visitor_signs_in_first(client, db):
    assert client.get("/messages/").url == "/accounts/login/?next=/messages/"


@pytest.mark.parametrize(
    ("page", "shown"), [("abc", 29), ("-1", 0), ("1000000000", 0), ("", 29), ("2", 0), ("\0", 29)]
)
def test_w7_any_page_number_gives_a_page(signed_in, ana, tell, page, shown):
    for number in range(30):
        tell(ana, f"Message {number:02}.")

    response = signed_in.get("/messages/", {"page": page})

    assert response.status_code == 200
    assert (f"Message {shown:02}." in response.text) and "of 2" in response.text


def test_the_filter_is_kept_while_paging(signed_in, ana, tell):
    for _ in range(30):
        tell(ana)

    assert "?page=2&amp;show=unread" in signed_in.get("/messages/?show=unread").text


def test_kind_time_and_words_narrow_the_messages_together(signed_in, ana, tell):
    for name in ("Łódź one", "Łódź two", "Choir"):
        tell(ana, f"Your file {name} is ready.")
    tell(ana, "Your file Łódź three could not be converted.", level=Message.Level.ERROR)
    old = Message.objects.filter(text__contains="two")
    old.update(created_at=timezone.now() - timedelta(days=3))

    def found(**query: str) -> list[str]:
        texts = [one.text for one in signed_in.get("/messages/", query).context["page_obj"]]
        return [re.search(r"file (\S+ ?(?:one|two|three)?) ", text)[1].strip() for text in texts]

    assert found(show="ready") == ["Choir", "Łódź one", "Łódź two"]
    assert found(q="łódź") == ["Łódź three", "Łódź one", "Łódź two"]
    assert found(q="ŁÓDŹ ready", show="ready", days="1") == ["Łódź one"]
    assert found(q="łódź", days="7", show="ready") == ["Łódź one", "Łódź two"]
    assert found(q="100%") == []
    page = signed_in.get("/messages/?q=%C5%82%C3%B3d%C5%BA&days=7").text
    assert 'href="/messages/?show=failures&amp;days=7&amp;q=%C5%82%C3%B3d%C5%BA"' in page
    assert 'value="łódź"' in page and '<option value="7" selected>' in page


def test_today_begins_at_midnight_where_the_site_is(signed_in, ana, tell, settings):
    settings.TIME_ZONE = "Europe/Warsaw"
    tell(ana, "Last night.")
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    Message.objects.update(created_at=midnight - timedelta(seconds=1))
    tell(ana, "This morning.")
    Message.objects.filter(text="This morning.").update(created_at=midnight)

    page = signed_in.get("/messages/?days=1").text

    assert "This morning." in page and "Last night." not in page


def test_failures_can_be_looked_at_alone(signed_in, ana, tell):
    tell(ana, "Your file Choir is ready.")
    tell(ana, "Your file Birds could not be converted.", level=Message.Level.ERROR)
    ana.transcode_messages.mark_read()

    page = signed_in.get("/messages/?show=failures").text

    assert "Birds" in page and "Choir" not in page
    assert 'href="/messages/?show=failures" aria-current="page"' in page


@pytest.mark.parametrize("nonsense", ["", "read", "UNREAD", "\0", "a" * 5000, "-1", "8", "²"])
def test_w7_an_unknown_filter_shows_all(signed_in, ana, tell, nonsense):
    tell(ana, "Your file Choir is ready.")

    for name in ("show", "days"):
        page = signed_in.get("/messages/", {name: nonsense})
        assert page.status_code == 200
        assert "Choir" in page.text
        assert page.context["query"] == ""


def test_a_failure_has_its_retry_button_wherever_it_is_shown(signed_in, ana, tell):
    tell(ana, "It failed.", level=Message.Level.ERROR, retry_url="/audio/1/retry/")
    tell(ana, "It is ready.")

    for address in (UNREAD, "/messages/", "/audio/"):
        page = signed_in.get(address).text
        assert page.count('action="/audio/1/retry/"') == 1, address
        form = page[page.index('action="/audio/1/retry/"') :].split("</form>")[0]
        assert "csrfmiddlewaretoken" in form
        assert "Try again" in form and "It failed." in form


def test_messages_say_when_in_the_readers_language(signed_in, ana, tell):
    message = tell(ana)
    Message.objects.update(created_at=timezone.now() - timedelta(hours=3))
    message.refresh_from_db()

    page = signed_in.get("/messages/", headers={"Accept-Language": "pl"}).text

    assert re.search(r"3\sgodziny\stemu", page)
    assert f'datetime="{message.created_at:%Y-%m-%dT%H:%M}' in page
    assert re.search(r'title="\d+ [a-zś]+ \d{4} \d\d:\d\d"', page)


def test_only_who_wants_it_has_messages_shown_by_the_browser(signed_in, ana, tell):
    tell(ana)
    for address in (UNREAD, "/messages/"):
        assert "data-notifies" not in signed_in.get(address).text

    Preferences.objects.create(user=ana, browser_notifications=True)

    for address in (UNREAD, "/messages/"):
        assert signed_in.get(address).text.count("data-notifies") == 1


def test_w17_a_page_with_five_thousand_unread_messages_stays_cheap(
    signed_in, ana, django_assert_max_num_queries
):
    Message.objects.bulk_create(
        Message(user=ana, event=str(n), about="0" * 32, level="error", text="Failed.")
        for n in range(5000)
    )

    with django_assert_max_num_queries(6):
        page = signed_in.get("/messages/").text

    assert page.count("Failed.</p>") == 25
    assert "5000 unread" in page


def test_w5_a_script_in_a_message_is_shown_as_text(signed_in, ana, tell):
    tell(ana, "Your file <script>alert(1)</script> is ready.", link='/audio/"onmouseover="x')

    for page in (signed_in.get("/messages/").text, signed_in.get(UNREAD).text):
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
        assert '"onmouseover="' not in page


def test_the_page_asks_for_news_and_keeps_what_is_the_same(signed_in, ana, tell, busy):
    busy(True)
    tell(ana)
    page = signed_in.get("/messages/").text
    address = "/messages/" + have(page)

    assert signed_in.get(address, headers=HTMX).status_code == 204
    tell(ana, "News.")
    assert "News." in signed_in.get(address, headers=HTMX).text


def test_an_empty_page_says_so(signed_in):
    assert "No messages yet" in signed_in.get("/messages/").text
    assert "Nothing unread" in signed_in.get("/messages/?show=unread").text
    assert "Nothing is ready yet" in signed_in.get("/messages/?show=ready").text
    nothing = signed_in.get("/messages/?show=unread&q=x").text
    assert "Nothing was found" in nothing and 'name="show" value="unread"' in nothing
    assert "No failures" in signed_in.get("/messages/?show=failures").text
