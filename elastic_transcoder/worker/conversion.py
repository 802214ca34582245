"""One run of FFmpeg: fenced, watched, and read for what it says of itself."""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import sandbox

LOG_BYTES = 256 * 1024  # of the end, where the numbers are
KEPT_LOG_BYTES = 2048  # of what people may see
LINE_BYTES = 4096
# Never fill the disk that others need too.
FREE_BYTES = 256 * 1024**2
LOOK_S = 0.5
# What FFmpeg says of covers and video, which are never decoded here.
EXPECTED = re.compile(
    r"\(\w+\) not on whitelist|Failed to open codec in avformat_find_stream_info"
    r"|Could not find codec parameters for stream \d+ \(Video"
    r"|Consider increasing the value for the 'analyzeduration'"
)

# The log holds the tags of the input too, which are text from a stranger: only what stands where
# FFmpeg itself begins a line is its own word. It indents the lines of a tag.
_OWN = r"^(?:\[[^\]\n]* @ 0x[0-9a-f]+\] )*"
_FAILED = rf"{_OWN}\[(?:error|fatal|panic)\] .*"
_DECODED = rf"{_OWN}\[verbose\] +Input stream #(\d+):\d+ \(audio\):.*\((\d+) samples\)"
_ENCODED = (
    rf"{_OWN}\[verbose\] +Output stream #(\d+):0 \(audio\): \d+ frames encoded \((\d+) samples\)"
)
# What the filter ebur128 says at its end.
_LOUDNESS = (
    r"^\[Parsed_ebur128_\d+ @ 0x[0-9a-f]+\] \[info\] Summary:\n\n"
    r"  Integrated loudness:\n    I: +(-?[\d.]+) LUFS\n"
    r"(?:[^\n]*\n){1,12}?  True peak:\n    Peak: +(-?[\d.]+|-inf) dBFS$"
)
_CHANGED_RATE = re.compile(rf"{_OWN}\[info\] Reconfiguring filter graph".encode())


@dataclass(frozen=True)
class Limits:
    """When FFmpeg is ended. Seconds of wall time; bytes; seconds of sound."""

    time_s: float
    stall_s: float
    memory_bytes: int
    file_bytes: int
    sound_s: float


@dataclass
class Outcome:
    """What a run came to. The exit code is no verdict: results are proven one by one."""

    # done, failed, crashed, stalled, timed_out, too_long, too_large or disk_full
    ended: str = "done"
    returncode: int | None = None
    # By input, from 0: samples of one channel, at the input's rate.
    decoded_samples: dict[int, int] = field(default_factory=dict)
    # The decoder changed its mind about the rate: samples at one rate are not all of them.
    changed_rate: bool = False
    encoded_samples: dict[int, int] = field(default_factory=dict)  # by output, from 0
    # Integrated, in LUFS, and the true peak in dBTP, where the filter ebur128 ran.
    loudness: tuple[float, float] | None = None
    log: str = ""


def convert(
    argv: list[str],
    *,
    folder: Path,
    readable: Iterable[Path],
    limits: Limits,
    progressed: Callable[[float], None],
) -> Outcome:
    """Run ``argv`` in ``folder`` and return what came of it.

    Must be called from the main thread, which outlives the run: FFmpeg dies with the thread that
    started it. ``progressed`` is called about twice a second, with the seconds of sound done so
    far, or -1 when nothing at all moved; whatever it raises ends FFmpeg and travels on.
    """
    process = sandbox.start(
        argv,
        folder=folder,
        readable=readable,
        memory_bytes=limits.memory_bytes,
        cpu_s=limits.time_s * (os.cpu_count() or 1),
        file_bytes=limits.file_bytes,
    )
    watch = _Watch(process.pid, limits, folder, progressed)
    try:
        with selectors.DefaultSelector() as selector:
            assert process.stdout and process.stderr  # noqa: S101 -- pipes of sandbox.start
            selector.register(process.stdout, selectors.EVENT_READ, watch.read_progress)
            selector.register(process.stderr, selectors.EVENT_READ, watch.read_log)
            while selector.get_map() and not watch.ended:
                for key, _ in selector.select(LOOK_S):
                    chunk = os.read(key.fd, 1 << 16)
                    if chunk:
                        key.data(chunk)
                    else:
                        selector.unregister(key.fileobj)
                watch.look()
    finally:
        if not watch.ended:
            _wait_a_moment(process)
        sandbox.kill(process)
        process.stdout.close()
        process.stderr.close()
    return watch.outcome(process.returncode)


def _wait_a_moment(process: subprocess.Popen[bytes]) -> None:
    """Let a process that has closed its pipes end by itself, so that its exit code counts."""
    deadline = time.monotonic() + 1.0
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)


class _Watch:
    def __init__(
        self,
        process_id: int,
        limits: Limits,
        folder: Path,
        progressed: Callable[[float], None],
    ) -> None:
        self.ended = ""
        self._process_id = process_id
        self._limits, self._folder, self._progressed = limits, folder, progressed
        self._started = self._moved_at = time.monotonic()
        self._looked = 0.0
        self._seconds, self._seen = 0.0, (0.0, 0, 0)
        self._line, self._log, self._log_line, self._changed_rate = b"", b"", b"", False

    def read_progress(self, chunk: bytes) -> None:
        *lines, self._line = (self._line + chunk).split(b"\n")
        self._line = self._line[-LINE_BYTES:]
        for line in lines:
            name, _, value = line.partition(b"=")
            if name == b"out_time_us" and re.fullmatch(rb"\d+", value):
                self._seconds = max(self._seconds, int(value) / 1_000_000)

    def read_log(self, chunk: bytes) -> None:
        self._log = (self._log + chunk)[-LOG_BYTES:]
        *lines, self._log_line = (self._log_line + chunk).split(b"\n")
        self._log_line = self._log_line[:LINE_BYTES]
        self._changed_rate |= any(_CHANGED_RATE.match(line) for line in lines)

    def look(self) -> None:
        now = time.monotonic()
        if now - self._looked < LOOK_S:
            return
        self._looked = now
        # Where a clip begins late, nothing is written for as long as it takes to read up to there.
        seen = self._seconds, _size(self._folder), _position(self._process_id)
        has_moved, self._seen = seen != self._seen, seen
        if has_moved:
            self._moved_at = now
        self._progressed(self._seconds if has_moved else -1.0)
        if self._seconds > self._limits.sound_s:
            self.ended = "too_long"
        elif now - self._started > self._limits.time_s:
            self.ended = "timed_out"
        elif now - self._moved_at > self._limits.stall_s:
            self.ended = "stalled"
        elif shutil.disk_usage(self._folder).free < FREE_BYTES:
            self.ended = "disk_full"

    def outcome(self, returncode: int) -> Outcome:
        log = self._log.decode("utf-8", "replace")
        ended = self.ended or _ended(returncode, log)
        decoded = re.findall(_DECODED, log, re.MULTILINE)
        encoded = re.findall(_ENCODED, log, re.MULTILINE)
        return Outcome(
            ended=ended,
            returncode=returncode,
            decoded_samples={int(number): int(count) for number, count in decoded},
            changed_rate=self._changed_rate,
            encoded_samples={int(number): int(count) for number, count in encoded},
            loudness=_loudness(log),
            log=cleaned(log, self._folder),
        )


def _loudness(log: str) -> tuple[float, float] | None:
    *_, found = [None, *re.finditer(_LOUDNESS, log, re.MULTILINE)]
    return (float(found[1]), float(found[2])) if found else None


def _ended(returncode: int, log: str) -> str:
    # SIGXFSZ, or the error that a program gets which ignores it.
    if returncode == -25 or re.search(f"{_FAILED}File too large", log, re.MULTILINE):
        return "too_large"
    if re.search(f"{_FAILED}No space left on device", log, re.MULTILINE):
        return "disk_full"
    if returncode:
        return "crashed" if returncode < 0 else "failed"
    return "done"


def _size(folder: Path) -> int:
    size_bytes = 0
    for entry in os.scandir(folder):
        # FFmpeg renames playlists while it writes them.
        with contextlib.suppress(FileNotFoundError):
            size_bytes += entry.stat().st_size if entry.is_file() else 0
    return size_bytes


def _position(process_id: int) -> int:
    """Return how far the process is in its files, in bytes of all together; 0 if it is gone.

    Source: Linux man-pages proc_pid_fdinfo(5).
    """
    position = 0
    with contextlib.suppress(OSError):
        for opened in Path(f"/proc/{process_id}/fdinfo").iterdir():
            with contextlib.suppress(FileNotFoundError), opened.open("rb") as lines:
                position += int(lines.readline().partition(b":")[2])
    return position


def cleaned(log: str, folder: Path) -> str:
    """Return the last warnings and errors of a log, without paths and control characters."""
    lines = []
    for line in log.splitlines():
        if re.search(r"\[(verbose|info|debug|trace)\]", line) or EXPECTED.search(line):
            continue
        line = line.replace(str(folder.parent), "").replace(str(folder), "")
        line = re.sub(r"(file:)?/\S*/", "", line)
        line = re.sub(r" @ 0x[0-9a-f]+", "", line)
        lines.append("".join(c if c.isprintable() else " " for c in line).strip()[:500])
    kept = "\n".join(line for line in lines if line).encode()[-KEPT_LOG_BYTES:]
    return kept.decode("utf-8", "ignore")
