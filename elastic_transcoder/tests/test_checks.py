"""The transcoder's own system checks."""

import pytest
from django.core.checks import run_checks


def faults():
    found = [error for error in run_checks() if (error.id or "").startswith("transcoder.")]
    assert all(error.hint for error in found)
    return [error.id for error in found]


@pytest.mark.parametrize("account", ["", "12345", "1234-5678-9012", "\uff1122222222222", "1" * 13])
def test_d8_an_account_that_is_none_is_refused_with_a_hint(settings, account):
    settings.TRANSCODER_ACCOUNT_ID = account
    assert faults() == ["transcoder.E002"]


@pytest.mark.parametrize(
    "limits",
    [
        {},
        {"CreateJob": [2, 100], "ReadJob": [4, 50]},
        {"*": [0.5, 1]},
    ],
)
def test_d8_limits_on_calls_are_fine(settings, limits):
    settings.TRANSCODER_RATE_LIMITS = limits
    assert faults() == []


@pytest.mark.parametrize(
    "limits",
    [
        [],
        None,
        {"CreateJobs": [2, 100]},
        {"CreateJob": 2},
        {"CreateJob": [2]},
        {"CreateJob": [2, 100, 1]},
        {"CreateJob": ["2", 100]},
        {"CreateJob": [0, 100]},
        {"CreateJob": [-1, 100]},
        {"CreateJob": [float("nan"), 100]},
        {"CreateJob": [float("inf"), 100]},
        {"CreateJob": [True, 100]},
        {"CreateJob": [2, 0]},
        {"CreateJob": [2, 1.5]},
        {"CreateJob": [2, 10**9]},
        {"CreateJob": {"rate": 2}},
        {"": [2, 100]},
    ],
)
def test_d8_wrong_limits_on_calls_are_refused_with_a_hint(settings, limits):
    settings.TRANSCODER_RATE_LIMITS = limits
    assert faults() == ["transcoder.E001"]
