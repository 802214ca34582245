"""Settings: every variable is listed, and a wrong one says so."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from audio_transcoder.variables import Variables

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = (ROOT / "audio_transcoder" / "settings.py").read_text()
EXAMPLE = (ROOT / ".env.example").read_text()


def read_by_settings() -> set[str]:
    return set(re.findall(r'\benv(?:\.\w+)?\(\s*"([A-Z0-9_]+)"', SETTINGS))


def listed() -> list[str]:
    return re.findall(r"^#?([A-Z0-9_]+)=", EXAMPLE, re.MULTILINE)


def settings_under(data_dir: Path, expression: str, **variables: str) -> str:
    """What an expression of settings is in a process of its own."""
    code = f"from django.conf import settings; print({expression})"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "DJANGO_SETTINGS_MODULE": "audio_transcoder.settings",
            "DATA_DIR": str(data_dir),
            "ENV_FILE": "",
            **variables,
        },
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_players_may_load_from_where_links_lead_and_from_nowhere_else(tmp_path):
    what = "settings.CONTENT_SECURITY_POLICY['DIRECTIVES']['media-src']"
    s3 = {"AWS_STORAGE_BUCKET_NAME": "files"}
    cloudfront = {**s3, "CLOUDFRONT_DOMAIN": "media.example.org"}
    azure = {
        "MEDIA_STORAGE_BACKEND": "storages.backends.azure_storage.AzureStorage",
        "MEDIA_STORAGE_ORIGINS": "https://example.blob.core.windows.net",
    }
    of_s3 = ["https://s3.eu-west-1.amazonaws.com", "https://files.s3.eu-west-1.amazonaws.com"]
    for variables, hosts in (
        ({}, []),
        (s3, of_s3),
        (cloudfront, ["https://media.example.org"]),
        (azure, ["https://example.blob.core.windows.net"]),
    ):
        assert settings_under(tmp_path, what, **variables) == str(["'self'", *hosts])


def test_cloudfronts_key_may_stand_in_one_line_or_in_a_file(tmp_path):
    (tmp_path / "key.pem").write_text("-----BEGIN\nkey\n")
    domain = {"CLOUDFRONT_DOMAIN": "media.example.org"}
    file = {**domain, "CLOUDFRONT_KEY_FILE": str(tmp_path / "key.pem")}
    line = {**domain, "CLOUDFRONT_KEY": r"-----BEGIN\nkey\n"}
    nowhere = {**domain, "CLOUDFRONT_KEY_FILE": str(tmp_path / "nothing")}
    for variables, key in ((file, "-----BEGIN\nkey\n"), (line, "-----BEGIN\nkey\n"), (nowhere, "")):
        assert settings_under(tmp_path, "repr(settings.CLOUDFRONT_KEY)", **variables) == repr(key)


def test_the_example_lists_every_variable_that_settings_read():
    assert read_by_settings() - set(listed()) == set()


def test_the_example_lists_no_variable_that_nobody_reads():
    assert set(listed()) - read_by_settings() == set()


def test_the_example_lists_each_variable_once_with_one_line_on_it():
    assert len(listed()) == len(set(listed()))
    lines = EXAMPLE.splitlines()
    for number, line in enumerate(lines):
        if re.match(r"#?[A-Z0-9_]+=", line):
            assert lines[number - 1].startswith("# "), line
            assert not lines[number - 2].startswith("# ") or "---" in lines[number - 2], line


def test_the_example_changes_nothing_as_it_is(tmp_path):
    """Copied to .env untouched, it leaves every setting at its default."""
    what = "settings.PORT, settings.SITE_URL, settings.SNS_TOPIC_ARN, settings.TRANSCODER_TOPICS"
    without = settings_under(tmp_path, what)
    assert settings_under(tmp_path, what, ENV_FILE=str(ROOT / ".env.example")) == without


def test_the_example_shows_the_real_defaults(tmp_path):
    """With every shown default switched on, the numbers are those without any file."""
    shown = dict(re.findall(r"^#([A-Z0-9_]+)=(.+)$", EXAMPLE, re.MULTILINE))
    numbers = {name: value for name, value in shown.items() if re.fullmatch(r"[\d.]+", value)}
    del numbers["TRANSCODER_WORKERS"]  # 0 stands for the number of cores
    what = "{name: getattr(settings, name) for name in " + repr(sorted(numbers)) + "}"
    without = settings_under(tmp_path, what)
    assert settings_under(tmp_path, what, **numbers) == without


def test_d8_a_variable_that_cannot_be_read_is_named_and_its_value_is_not(monkeypatch):
    monkeypatch.setenv("PORT", "hunter2")
    with pytest.raises(ImproperlyConfigured) as caught:
        Variables().int("PORT", default=8000)
    assert "PORT" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_d8_json_that_is_none_names_its_variable(monkeypatch):
    monkeypatch.setenv("TRANSCODER_TOPICS", "{")
    with pytest.raises(ImproperlyConfigured, match="TRANSCODER_TOPICS"):
        Variables().json("TRANSCODER_TOPICS", default={})


def test_d8_a_word_that_is_not_offered_is_refused_with_those_that_are(monkeypatch):
    monkeypatch.setenv("ACCOUNT_EMAIL_VERIFICATION", "yes")
    with pytest.raises(ImproperlyConfigured, match="none of: none, optional"):
        Variables().one_of("ACCOUNT_EMAIL_VERIFICATION", ("none", "optional"), default="none")


def test_secrets_are_written_once_and_for_their_owner_alone(tmp_path):
    first = settings_under(tmp_path, "settings.SECRET_KEY, settings.TRANSCODER_SECRET_ACCESS_KEY")
    again = settings_under(tmp_path, "settings.SECRET_KEY, settings.TRANSCODER_SECRET_ACCESS_KEY")
    assert first == again
    assert (tmp_path / "env").stat().st_mode & 0o777 == 0o600


def test_connections_to_the_database_outlive_a_request_unless_its_address_says_otherwise(tmp_path):
    kept_s = "settings.DATABASES['default'].get('CONN_MAX_AGE', 0)"
    assert settings_under(tmp_path, kept_s) == "60"
    address = f"sqlite:///{tmp_path}/db.sqlite3?conn_max_age=0"
    assert settings_under(tmp_path, kept_s, DATABASE_URL=address) == "0"


def test_https_in_the_address_switches_on_secure_cookies_and_hsts(tmp_path):
    what = (
        "settings.SESSION_COOKIE_SECURE, settings.CSRF_COOKIE_SECURE, "
        "settings.SECURE_SSL_REDIRECT, settings.SECURE_HSTS_SECONDS > 0"
    )
    on = settings_under(tmp_path, what, SITE_URL="https://audio.example.org")
    assert on == "True True True True"
    assert settings_under(tmp_path, what) == "False False False False"


def test_alone_the_transcoder_is_its_own_whatever_a_web_app_was_told(tmp_path):
    what = "settings.TRANSCODER_ENDPOINT_URL, settings.SNS_TOPIC_ARN, settings.TRANSCODER_TOPICS"
    told = {
        "PORT": "8100",
        "TRANSCODER_ENDPOINT_URL": "https://transcoder.example.org",
        "SNS_TOPIC_ARN": "arn:aws:sns:eu-west-1:123456789012:theirs",
    }
    alone = settings_under(tmp_path, what, TRANSCODER_ALONE="1", **told)
    assert alone == "http://127.0.0.1:8100 [] {}"


def test_a_web_app_and_a_transcoder_alone_on_one_host_have_cookies_of_their_own(tmp_path):
    names = "settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME"
    of_web_app = settings_under(tmp_path, names).split()
    alone = settings_under(tmp_path, names, TRANSCODER_ALONE="1").split()
    assert len({*of_web_app, *alone}) == 4


@pytest.mark.parametrize("alone", ["false", "true"])
def test_w10_production_settings_pass_djangos_deployment_checks(tmp_path, alone):
    """`check --deploy` has nothing to say."""
    done = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "DATA_DIR": str(tmp_path),
            "ENV_FILE": "",
            "SITE_URL": "https://audio.example.org",
            "TRANSCODER_ALONE": alone,
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout
