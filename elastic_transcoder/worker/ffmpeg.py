"""The FFmpeg that does the work: which one, and whether it can.

Source: FFmpeg 9 documentation of the named options.
"""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
from pathlib import Path

import imageio_ffmpeg
from django.conf import settings

import sandbox
from elastic_transcoder.worker.encoding import CONTAINERS

OLDEST_VERSION = 5
# What a job may ask for; the worker does not start without.
ENCODERS = ("libmp3lame", "aac", "mp2", "flac", "libvorbis", "pcm_s16le")
MUXERS = tuple(sorted({"hash", "hls", *(container.muxer for container in CONTAINERS.values())}))


class FFmpegMissing(Exception):
    """There is no FFmpeg that could do the work; the text says what to install or set."""


def binary() -> str:
    """Return the path of the FFmpeg to run: ``settings.FFMPEG_BINARY``, else imageio-ffmpeg's.

    Raises FFmpegMissing.
    """
    if settings.FFMPEG_BINARY:
        found = shutil.which(settings.FFMPEG_BINARY)
        if found is None:
            raise FFmpegMissing(
                f"FFMPEG_BINARY names {settings.FFMPEG_BINARY!r}, which is no program. "
                "Set it to FFmpeg's path, or unset it to use the one of imageio-ffmpeg."
            )
        return found
    return _packaged()


@functools.cache
def _packaged() -> str:
    try:
        return imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:
        raise FFmpegMissing(
            "The package imageio-ffmpeg brings no FFmpeg for this machine. "
            "Install one and set FFMPEG_BINARY to its path."
        ) from error


def check() -> None:
    """Return if FFmpeg is there, new enough and has every one of ENCODERS and MUXERS.

    Raises FFmpegMissing with what to do otherwise.
    """
    program = binary()
    version = _said(program, "-version")
    # A release ("9.0.2", "n9.0.2", "5.1.9-0+deb12u1") or a build of the day ("N-123456-g…").
    release = re.match(r"ffmpeg version n?(\d+)\.", version)
    if not version.startswith("ffmpeg version"):
        raise FFmpegMissing(f"{program} does not answer like FFmpeg. Set FFMPEG_BINARY.")
    if release and int(release[1]) < OLDEST_VERSION:
        raise FFmpegMissing(
            f"{program} is FFmpeg {release[1]}; {OLDEST_VERSION} or newer is needed. Unset "
            "FFMPEG_BINARY to use the one of imageio-ffmpeg."
        )
    for kind, names, pattern in (
        ("encoders", ENCODERS, r"^ A\S{5} (\S+)"),
        ("muxers", MUXERS, r"^ [D ]E.? +(\S+)"),
    ):
        known = set(re.findall(pattern, _said(program, "-hide_banner", f"-{kind}"), re.M))
        missing = [name for name in names if name not in known]
        if missing:
            raise FFmpegMissing(
                f"{program} lacks the {kind} {', '.join(missing)}. Unset FFMPEG_BINARY to use the "
                "FFmpeg of imageio-ffmpeg, or install a build that has them."
            )


def readable() -> list[Path]:
    """Return what FFmpeg itself has to read: libraries beside it, as an own installation has."""
    home = Path(binary()).resolve().parent.parent
    return [folder for folder in (home / "lib", home / "lib64") if folder.is_dir()]


def _said(program: str, *argv: str) -> str:
    # Behind the fence, so that what passes here also works there.
    process = sandbox.start(
        [program, *argv],
        folder=None,
        memory_bytes=settings.FFMPEG_MEMORY_BYTES,
        cpu_s=30,
        file_bytes=0,
        readable=readable(),
    )
    try:
        answer, errors = process.communicate(timeout=30)
    except subprocess.TimeoutExpired as error:
        raise FFmpegMissing(f"{program} does not answer. Set FFMPEG_BINARY.") from error
    finally:
        sandbox.kill(process)
    if process.returncode:
        told = errors.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise FFmpegMissing(
            f"{program} does not run ({told or process.returncode}). Set FFMPEG_BINARY to "
            "another FFmpeg."
        )
    return answer.decode("utf-8", "replace")
