"""What the tests of the steps share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from steps import registry
from tests import system

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def no_other_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the steps that a test registers itself."""
    monkeypatch.setattr(registry, "_steps", {})


@pytest.fixture(autouse=True)
def nudge_folder(tmp_path: Path, settings) -> Path:
    settings.NUDGE_DIR = tmp_path / "nudges"
    return settings.NUDGE_DIR


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen]]:
    """Start a Python program of its own with Django set up; none outlives the test."""
    started: list[subprocess.Popen] = []

    def start(source: str, **variables: str) -> subprocess.Popen:
        path = tmp_path / f"program{len(started)}.py"
        path.write_text("import django\ndjango.setup()\n" + source)
        process = subprocess.Popen(
            [sys.executable, str(path)],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(ROOT),
                "DJANGO_SETTINGS_MODULE": "audio_transcoder.settings",
                "DATA_DIR": str(tmp_path),
                "ENV_FILE": "",
                **variables,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def wait_for(condition: Callable[[], object], timeout_s: float = 30) -> object:
    return system.wait_for(condition, "what a step does", timeout_s, every_s=0.01)
