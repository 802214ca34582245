"""What the guides say of settings is true."""

from __future__ import annotations

import re

import pytest

from deploy.aws.tests.template import SITE, Template, source
from deploy.aws.tests.test_template import VARIANTS

ROOT = SITE.parents[2]
GUIDE = (ROOT / "docs" / "deploying.md").read_text()
README = (SITE.parent / "README.md").read_text()
SETTINGS = set(re.findall(r"^#?([A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
# Read by boto3; settings of Django's that follow from ours.
OTHERS = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "STORAGES", "STATIC_URL"}


def settings_of_2016() -> list[tuple[str, str]]:
    table = GUIDE.partition("## What the settings of 2016 are now")[2]
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", table, re.MULTILINE)
    assert len(rows) > 20
    return rows[1:]


def test_every_setting_that_took_the_place_of_an_old_one_exists():
    now = {
        name for _, after in settings_of_2016() for name in re.findall(r"`([A-Z0-9_]{4,})", after)
    }
    assert now - SETTINGS - OTHERS == set()


@pytest.mark.parametrize(
    "name",
    [
        "AWS_HEADERS",
        "AWS_S3_HOST",
        "AWS_S3_CALLING_FORMAT",
        "S3BotoStorage",
        "DEFAULT_FILE_STORAGE",
        "STATICFILES_STORAGE",
        "AWS_DEFAULT_ACL",
        "AWS_PRINCIPAL",
    ],
)
def test_every_setting_of_the_old_tutorials_is_explained(name):
    assert any(name in before for before, _ in settings_of_2016())


def test_every_parameter_of_the_template_is_explained():
    table = README.partition("| parameter |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`([A-Z]\w+)`", table)) - {"SITE_URL"} == set(source()["Parameters"])


def test_every_output_of_the_template_is_a_setting():
    assert set(Template(VARIANTS[-1]).outputs) - SETTINGS == set()
