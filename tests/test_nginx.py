"""Files in folders sent by a real nginx, with the lines that docs/storage.md shows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.ports import own_port
from tests.system import ROOT, Person, System, wait_for

NGINX = shutil.which("nginx")

pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.skipif(not NGINX, reason="nginx is not installed here"),
]

CONFIGURATION = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log; {user}
events {{}}
http {{
    access_log off; default_type application/octet-stream;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{ listen 127.0.0.1:{port}; {locations} }}
}}
"""


@pytest.fixture
def system_behind_nginx(tmp_path: Path) -> Iterator[System]:
    running = System(tmp_path, ACCEL_REDIRECT_PREFIX="/buckets/").start()
    port = own_port()
    shown = re.search(r"```nginx\n(.*?)```", (ROOT / "docs/storage.md").read_text(), re.DOTALL)[1]
    locations = shown.replace("http://127.0.0.1:8000", running.url).replace(
        "/srv/audio/buckets", str(tmp_path / "buckets")
    )
    file = tmp_path / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    file.write_text(
        CONFIGURATION.format(folder=tmp_path, port=port, locations=locations, user=user)
    )
    nginx = subprocess.Popen([NGINX, "-p", tmp_path, "-c", file], stdin=subprocess.DEVNULL)
    behind, running.url = running.url, f"http://127.0.0.1:{port}"
    try:
        wait_for(running._is_healthy, "nginx")
        yield running
    finally:
        running.url = behind
        nginx.terminate()
        nginx.wait(60)
        running.stop()


def test_nginx_sends_what_the_site_allows_and_nothing_else(
    system_behind_nginx: System, music: Path
):
    system = system_behind_nginx
    person = Person(system, "ada").sign_up()
    location = person.upload(music, ("flac",))
    person.wait_until_ready()
    [key] = [key for key in system.objects() if key.endswith(".flac")]
    stored = (system.data_dir / "buckets/local" / key).read_bytes()

    whole = person.get(f"{location}download/flac/")
    assert whole.content == stored
    assert whole.headers["Content-Type"] == "audio/flac"
    assert 'filename="Five seconds.flac"' in whole.headers["Content-Disposition"]
    assert "no-store" in whole.headers["Cache-Control"]
    assert "X-Accel-Redirect" not in whole.headers
    assert whole.headers["Server"].startswith("nginx")

    part = person.get(f"{location}listen/flac/", headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, stored[10:20])
    assert part.headers["Content-Range"] == f"bytes 10-19/{len(stored)}"
    past = person.get(f"{location}listen/flac/", headers={"Range": f"bytes={len(stored)}-"})
    assert past.status_code == 416

    assert requests.get(f"{system.url}/buckets/local/{key}", timeout=10).status_code == 404
    stranger = Person(system, "eve").sign_up()
    assert stranger.get(f"{location}download/flac/").status_code == 404
