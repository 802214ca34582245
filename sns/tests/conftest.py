"""A signer with a key of its own, and messages that it signed."""

from datetime import UTC, datetime

import pytest

from sns import keys, sign

TOPIC = "arn:aws:sns:eu-west-1:000000000000:transcode-complete"
NOW = datetime(2026, 3, 2, 10, 15, 31, 204000, tzinfo=UTC)


@pytest.fixture(scope="session")
def key_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    keys.ensure(folder / "sns.key.pem", folder / "sns.cert.pem")
    return folder / "sns.key.pem", folder / "sns.cert.pem"


@pytest.fixture(scope="session")
def certificate_pem(key_files):
    return key_files[1].read_bytes()


@pytest.fixture(scope="session")
def signer(key_files):
    return sign.Signer(key_files[0].read_bytes(), key_files[1].read_bytes())


@pytest.fixture
def signed(signer):
    """Return a function that signs one notification; a test states only what it is about."""

    def make(**changes):
        arguments = {
            "topic_arn": TOPIC,
            "message": '{\n  "state" : "COMPLETED"\n}',
            "subject": "A job is done",
            "message_id": "5b6f2c1e-41d3-5c0e-9a8b-7f3e21d0aa01",
            "timestamp": NOW,
            "subscriber": "http://127.0.0.1:8000/transcode-complete/",
        }
        return signer.notification(**{**arguments, **changes})

    return make
