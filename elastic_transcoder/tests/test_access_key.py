"""`manage.py access_key`."""

import subprocess
import sys
from io import StringIO

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from elastic_transcoder import keys
from elastic_transcoder.tests.api.conftest import api_alone, call  # noqa: F401 - fixtures

pytestmark = pytest.mark.django_db


def access_key(*arguments):
    out, err = StringIO(), StringIO()
    call_command("access_key", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def create(name):
    """Return id and secret of a new key, from what is printed."""
    printed, _ = access_key("create", name)
    values = dict(line.split("=", 1) for line in printed.splitlines())
    assert list(values) == ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]
    return values["AWS_ACCESS_KEY_ID"], values["AWS_SECRET_ACCESS_KEY"]


def row_of(access_key_id):
    printed, _ = access_key("list")
    [row] = [line for line in printed.splitlines() if access_key_id in line]
    return row


def test_a_key_is_made_and_signs_and_its_secret_is_never_shown_again(call):  # noqa: F811
    access_key_id, secret = create("The archive")
    assert call("GET", "/pipelines", key_id=access_key_id, secret=secret).status_code == 200
    printed, _ = access_key("list")
    assert secret not in printed


def test_the_list_has_name_id_state_and_both_times(call):  # noqa: F811
    access_key_id, secret = create("The archive")
    created = f"{keys.AccessKey.objects.get(access_key_id=access_key_id).created_at:%Y-%m-%d %H:%M}"
    printed, _ = access_key("list")
    assert printed.splitlines()[0].split("  ")[0] == "name"
    assert row_of(access_key_id).split() == [
        "The", "archive", access_key_id, "enabled", *created.split(), "never",
    ]  # fmt: skip
    call("GET", "/pipelines", key_id=access_key_id, secret=secret)
    used = keys.AccessKey.objects.get(access_key_id=access_key_id).last_used_at
    assert row_of(access_key_id).endswith(f"  {used:%Y-%m-%d %H:%M}")


def test_a_disabled_key_is_refused_until_it_is_enabled(call):  # noqa: F811
    access_key_id, secret = create("The archive")
    signed = {"key_id": access_key_id, "secret": secret}

    access_key("disable", access_key_id)
    assert " disabled " in row_of(access_key_id)
    assert call("GET", "/pipelines", **signed).status_code == 403

    access_key("enable", access_key_id)
    assert " enabled " in row_of(access_key_id)
    assert call("GET", "/pipelines", **signed).status_code == 200


@pytest.mark.parametrize(
    "arguments",
    [("disable", "AKIAUNKNOWN"), ("enable", "AKIAUNKNOWN"), ("create", ""), ("create", "a\nb"), ()],
)
def test_what_cannot_be_done_is_one_sentence(arguments):
    with pytest.raises(CommandError):
        access_key(*arguments)


def test_without_tables_it_says_what_to_do(tmp_path):
    environment = {"PATH": "/usr/bin:/bin", "DATA_DIR": str(tmp_path), "ENV_FILE": ""}
    asked = subprocess.run(
        [sys.executable, "manage.py", "access_key", "list"],
        cwd=settings.BASE_DIR, env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert asked.returncode == 1
    assert asked.stderr.strip().endswith("There are no tables yet: say manage.py migrate first.")
    assert "Traceback" not in asked.stderr
