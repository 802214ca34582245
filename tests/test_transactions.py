"""The guard against network calls inside a transaction can fail."""

from __future__ import annotations

import socket

import pytest
from django.db import transaction


def connect() -> None:
    with socket.socket() as listener, socket.socket() as caller:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        caller.connect(listener.getsockname())


@pytest.mark.django_db
def test_a_connection_inside_a_transaction_fails_the_test():
    with transaction.atomic(), pytest.raises(AssertionError, match="inside a transaction"):
        connect()
    connect()


@pytest.mark.django_db(transaction=True)
def test_the_same_with_a_test_that_commits():
    with transaction.atomic(), pytest.raises(AssertionError, match="inside a transaction"):
        connect()
    connect()
