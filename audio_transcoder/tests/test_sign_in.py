"""The sign-in page of the admin, where no allauth limits guessing."""

import pytest
from django.core.cache import cache
from django.http import HttpResponse
from django.test import RequestFactory

from audio_transcoder.installation.sign_in import limit_guessing

pytestmark = pytest.mark.django_db


@pytest.fixture
def guess():
    """Return a function that tries one password and gives the status of the answer."""
    cache.clear()
    login = limit_guessing(lambda request: HttpResponse("wrong"))

    def guess(name, address):
        request = RequestFactory().post("/", {"username": name}, REMOTE_ADDR=address)
        return login(request).status_code

    return guess


def test_w11_others_who_try_often_give_nobody_more_guesses(guess):
    assert [guess("admin", f"10.0.0.{n}") for n in range(6)] == [200] * 5 + [429]
    for number in range(900):
        guess(f"somebody {number}", f"10.0.1.{number % 90}")
    assert guess("admin", "10.0.2.1") == 429
