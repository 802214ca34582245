"""TRANSCODER_RATE_LIMITS: how often a key may call."""

from datetime import UTC, datetime
from functools import partial

import pytest
import time_machine

from elastic_transcoder import keys
from elastic_transcoder.api import rates
from elastic_transcoder.models import CallRate, Pipeline
from elastic_transcoder.tests.api.conftest import PIPELINE, signed_call
from tests.at_once import at_once

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def clock():
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


def statuses(call, count, method="GET", path="/pipelines", **signed):
    return [call(method, path, **signed).status_code for _ in range(count)]


def test_without_a_limit_no_row_is_asked_for_or_made(call, django_assert_num_queries):
    call("GET", "/presets")  # notes the first use of the key
    with django_assert_num_queries(1):
        assert call("GET", "/presets/1351620000001-300110").status_code == 200
    assert not CallRate.objects.exists()


def test_a_burst_passes_then_the_rate_and_a_refusal_says_when(call, clock, settings):
    settings.TRANSCODER_RATE_LIMITS = {"ListPipelines": [0.5, 3]}
    assert statuses(call, 3) == [200, 200, 200]

    refused = call("GET", "/pipelines")
    assert refused.status_code == 429
    assert refused.error == "ThrottlingException"
    assert refused["Retry-After"] == "2"
    assert (
        "ListPipelines may be called 0.5 times a second, 3 times at once"
        in (refused.members["message"])
    )

    clock.shift(1.9)
    assert call("GET", "/pipelines").status_code == 429
    clock.shift(0.1)  # a refusal cost nothing
    assert statuses(call, 2) == [200, 429]
    clock.shift(3600)  # an hour's rest is worth one burst and no more
    assert statuses(call, 4) == [200, 200, 200, 429]


def test_a_looser_limit_holds_at_once_whatever_was_paid_under_a_tighter_one(call, clock, settings):
    settings.TRANSCODER_RATE_LIMITS = {"ListPipelines": [0.001, 3]}
    assert statuses(call, 4) == [200, 200, 200, 429]
    settings.TRANSCODER_RATE_LIMITS = {"ListPipelines": [1, 3]}
    refused = call("GET", "/pipelines")
    assert (refused.status_code, refused["Retry-After"]) == (429, "1")
    clock.shift(1)
    assert statuses(call, 2) == [200, 429]


def test_a_clock_that_is_set_back_shuts_nobody_out(call, clock, settings):
    settings.TRANSCODER_RATE_LIMITS = {"ListPipelines": [1, 2]}
    clock.shift(600)  # within what a signature may be off
    assert statuses(call, 1) == [200]
    clock.shift(-600)
    assert statuses(call, 1) == [429]
    clock.shift(1)
    assert statuses(call, 1) == [200]


def test_each_key_and_each_operation_has_its_own_allowance(call, clock, settings):
    settings.TRANSCODER_RATE_LIMITS = {"ListPipelines": [1, 1]}
    key, secret = keys.create("another")
    assert statuses(call, 2) == [200, 429]
    assert statuses(call, 2, key_id=key.access_key_id, secret=secret) == [200, 429]
    assert statuses(call, 3, path="/presets") == [200, 200, 200]


def test_a_star_stands_for_each_operation_that_is_not_named(call, clock, settings):
    settings.TRANSCODER_RATE_LIMITS = {"ListPipelines": [1, 2], "*": [1, 1]}
    assert statuses(call, 3) == [200, 200, 429]
    assert statuses(call, 2, path="/presets") == [200, 429]
    assert statuses(call, 2, path="/presets/1351620000001-300110") == [200, 429]


def test_whoever_does_not_prove_the_key_takes_nothing_of_it(call, clock, settings):
    settings.TRANSCODER_RATE_LIMITS = {"*": [1, 1]}
    assert statuses(call, 3, secret="wrong") == [403, 403, 403]
    assert statuses(call, 1) == [200]


def test_a_call_that_is_refused_is_not_read_and_leaves_nothing(call, clock, settings):
    settings.TRANSCODER_RATE_LIMITS = {"CreatePipeline": [1, 1]}
    before = Pipeline.objects.count()
    assert call("POST", "/pipelines", PIPELINE).status_code == 201
    for body in (PIPELINE, {}, b"no JSON"):
        assert call("POST", "/pipelines", body).status_code == 429
    assert Pipeline.objects.count() == before + 1


def test_a_first_call_that_is_overtaken_by_another_is_no_refusal(
    call, clock, settings, monkeypatch
):
    settings.TRANSCODER_RATE_LIMITS = {"ListPipelines": [1, 2]}
    pay = rates._pay

    def overtaken(*arguments):
        # Another call comes and is done between this one's update and its look for the row.
        monkeypatch.setattr(rates, "_pay", pay)
        has_paid = pay(*arguments)
        assert statuses(call, 1) == [200]
        return has_paid

    monkeypatch.setattr(rates, "_pay", overtaken)
    assert statuses(call, 2) == [200, 429]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("has_called_before", [False, True])
def test_calls_at_the_same_moment_share_no_place(api_alone, clock, settings, has_called_before):
    settings.TRANSCODER_RATE_LIMITS = {"ReadPreset": [1, 7]}
    keys.ensure_default_key()
    if has_called_before:
        assert signed_call("GET", "/presets/1351620000001-300110").status_code == 200
        clock.shift(3600)
    call_thrice = partial(statuses, signed_call, 3, path="/presets/1351620000001-300110")
    answers = [status for three in at_once(*[call_thrice] * 8) for status in three]
    assert sorted(answers) == [200] * 7 + [429] * 17
    assert CallRate.objects.count() == 1
