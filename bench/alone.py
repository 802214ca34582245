"""Each measure in a process and a DATA_DIR of its own: Django reads its settings once."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from bench.table import Line

# Name on the command line -> module of this package, in the order in which they run.
MEASURES = {
    "create-job": "create_job",
    "list": "list_jobs",
    "claim": "claim",
    "upload": "upload",
    "webhook": "webhook",
    "library": "library",
    "pages": "pages",
    "closing": "closing",
    "direct": "direct",
    "bytes": "bytes_read",
}


def measure(name: str) -> list[Line]:
    """Return what the measure found, in a process and a folder that are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix=f"bench-{name}-") as folder:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, context, initializer=_settle, initargs=[folder]) as pool:
            return pool.submit(_measure, name, folder).result()


def _settle(folder: str) -> None:
    """Let nothing but our own settings reach the process, before Django reads them."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "TRANSCODER_", "SNS_")) or name in ("DATABASE_URL", "SITE_URL"):
            del os.environ[name]
    os.environ |= {
        "DATA_DIR": folder,
        "ENV_FILE": "",
        "LOG_LEVEL": "WARNING",
        "DJANGO_SETTINGS_MODULE": "audio_transcoder.settings",
    }


def _measure(name: str, folder: str) -> list[Line]:
    return importlib.import_module(f"bench.{MEASURES[name]}").measure(Path(folder))
