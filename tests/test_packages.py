"""What npm installs, and that the site works without it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from audio_transcoder.tests.factories import make_person

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def page(client, db):
    client.force_login(make_person("ana"))
    return lambda: client.get("/audio/upload/").text


def test_the_lock_file_pins_every_package_and_names_no_registry():
    text = (ROOT / "package-lock.json").read_text()
    packages = json.loads(text)["packages"]
    wanted = json.loads((ROOT / "package.json").read_text())["dependencies"]

    assert '"resolved"' not in text
    assert all(found["integrity"] for path, found in packages.items() if path)
    for name, version in wanted.items():
        assert packages[f"node_modules/{name}"]["version"] == version


def test_without_npm_make_is_told_what_to_do(tmp_path):
    """A copy, so that nothing of this clone is made or removed."""
    (tmp_path / ".ci").mkdir()
    for name in (".ci/packages.py", ".ci/environment.py", "package-lock.json"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    for name in ("package.json", ".npmrc"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    (tmp_path / "python").symlink_to(sys.executable)  # a folder without an npm

    said = subprocess.run(
        [str(tmp_path / "python"), ".ci/packages.py"],
        cwd=tmp_path,
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )

    assert re.fullmatch("There is no npm: .+say make again\n", said.stdout)
    assert not (tmp_path / "node_modules").exists()


def test_without_uppy_the_upload_page_is_the_plain_form(page, settings):
    settings.HAS_UPPY = False
    assert "js/uploads/" not in page()
    assert 'enctype="multipart/form-data"' in page()


def test_with_uppy_the_upload_page_alone_loads_it(page, client, settings):
    settings.HAS_UPPY = True
    assert "uppy.min.js" in page()
    assert "uppy" not in client.get("/audio/").text
