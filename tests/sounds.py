"""Real sound for tests, made by FFmpeg, and what FFmpeg says of a result."""

from __future__ import annotations

import subprocess
from pathlib import Path

import imageio_ffmpeg

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()

# Three voices with a beat between them and a slow swell: no codec finds it trivial.
MUSIC = (
    "0.3*sin(2*PI*220*t)*(0.6+0.4*sin(2*PI*0.5*t))+0.2*sin(2*PI*331*t)+0.1*sin(2*PI*(440+3*t)*t)"
    "|0.3*sin(2*PI*221*t)+0.2*sin(2*PI*660*t)*(0.5+0.5*sin(2*PI*2*t))"
)


def make(path: Path, seconds: float = 1.0, *arguments: str, rate: int = 44100) -> Path:
    """Write ``seconds`` of stereo music to ``path``, in the format its extension names."""
    source = f"aevalsrc={MUSIC}:s={rate}:d={seconds}"
    command = [FFMPEG, "-v", "error", "-y", "-f", "lavfi", "-i", source, *arguments, str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=300)
    return path


def decoded_seconds(path: Path) -> float:
    """Return how long the sound in ``path`` is when FFmpeg decodes all of it to 8 kHz mono."""
    command = [
        FFMPEG,
        "-v",
        "error",
        "-i",
        str(path),
        "-ac",
        "1",
        "-ar",
        "8000",
        "-f",
        "s16le",
        "-",
    ]
    decoded = subprocess.run(command, check=True, capture_output=True, timeout=300).stdout
    return len(decoded) / 2 / 8000
