"""The whole journey with objects on Azure's API: only the environment is another."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from azure.storage.blob import ContainerClient

from buckets.tests.azure_server import BACKEND, AzureServer
from tests import sounds
from tests.system import Person, System, wait_for
from tests.test_end_to_end import code_of

pytest_plugins = ["buckets.tests.azure_server"]
pytestmark = pytest.mark.azure


@pytest.fixture(scope="module")
def container(azure_server: AzureServer) -> ContainerClient:
    return ContainerClient.from_connection_string(
        azure_server.connection_string, azure_server.new_container()
    )


@pytest.fixture(scope="module")
def azure_system(
    azure_server: AzureServer,
    container: ContainerClient,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[System]:
    running = System(
        tmp_path_factory.mktemp("azure-system"),
        MEDIA_STORAGE_BACKEND=BACKEND,
        MEDIA_STORAGE_OPTIONS=json.dumps(azure_server.options),
        MEDIA_STORAGE_BUCKET=container.container_name,
        MEDIA_STORAGE_ORIGINS=azure_server.url,
    ).start()
    yield running
    running.stop()


def test_a_file_goes_through_on_azure_and_leaves_nothing(
    container: ContainerClient, azure_server: AzureServer, azure_system: System, music: Path
):
    person = Person(azure_system, "ada").sign_up()
    location = person.upload(music)
    person.wait_until_ready()
    code = code_of(location)

    def names() -> list[str]:
        return [name for name in container.list_blob_names() if code in name]

    assert f"media/uploads/{code}/source" in names()
    assert len([name for name in names() if name.startswith(f"media/renditions/{code}/")]) == 3

    policy = person.get(location).headers["Content-Security-Policy"]
    # In any order: each process has its own.
    assert f"media-src 'self' {azure_server.url}" in policy.split("; ")
    for kind in ("wav", "flac", "mp4"):
        answer = person.get(f"{location}download/{kind}/", allow_redirects=False)
        assert answer.status_code == 302
        assert urlsplit(answer.headers["Location"]).netloc == urlsplit(azure_server.url).netloc
        fetched = person.get(f"{location}download/{kind}/")
        assert f"Five seconds.{kind}" in fetched.headers["Content-Disposition"]
        path = azure_system.data_dir / f"fetched.{kind}"
        path.write_bytes(fetched.content)
        assert sounds.decoded_seconds(path) == pytest.approx(5, abs=0.1)
    part = person.get(f"{location}listen/wav/", headers={"Range": "bytes=0-3"})
    assert (part.status_code, part.content) == (206, b"RIFF")

    person.post(f"{location}delete/", {})
    wait_for(lambda: not names(), "an empty container")
