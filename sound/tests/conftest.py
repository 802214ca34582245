"""Sounds made by FFmpeg, to be looked at."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import imageio_ffmpeg
import pytest


def run_ffmpeg(*arguments: str) -> None:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *arguments]
    subprocess.run(command, check=True, timeout=60, stdin=subprocess.DEVNULL)


@pytest.fixture(scope="session")
def tone(tmp_path_factory) -> Callable[..., Path]:
    """Return a maker of sine tones: ``tone("a.flac", "-ac", "2", seconds=1, rate=44100)``."""
    folder = tmp_path_factory.mktemp("tones")
    made: dict[tuple, Path] = {}

    def make(name: str, *arguments: str, seconds: float = 1, rate: int = 44100) -> Path:
        key = (name, arguments, seconds, rate)
        if key not in made:
            path = folder / f"{len(made)}-{name}"
            source = f"sine=frequency=440:duration={seconds}:sample_rate={rate}"
            run_ffmpeg("-f", "lavfi", "-i", source, *arguments, str(path))
            made[key] = path
        return made[key]

    return make
