"""A fence around programs that read what strangers sent: FFmpeg, our examiner and our painter.

A program behind it sees no network, writes only into its own folder, reads only the system's
libraries and what it was given, starts no further process, keeps to its memory, processor time
and file size, and dies with the thread that started it. Where the kernel lacks one of the fences
the others still stand; ``capabilities()`` says which do.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

_LAUNCHER = Path(__file__).resolve().with_name("launch.py")


def command(
    argv: Sequence[str],
    *,
    folder: Path | None,
    memory_bytes: int,
    cpu_s: float,
    file_bytes: int,
    readable: Iterable[Path] = (),
    nice: int = 10,
) -> list[str]:
    """Return the argument list that runs ``argv`` behind the fence.

    ``folder`` may be read and written, ``readable`` files and folders read; everything else but
    the system's libraries is out of sight. ``memory_bytes`` is address space, ``cpu_s`` processor
    time of all threads (then SIGXCPU, a second later SIGKILL), ``file_bytes`` the size of any one
    file written (then SIGXFSZ), ``nice`` by how much priority is lowered. Must be started by this
    process, and dies with the *thread* that starts it (prctl(2), PR_SET_PDEATHSIG). Raises
    FileNotFoundError for an unknown program.
    """
    program = shutil.which(argv[0])
    if program is None:
        raise FileNotFoundError(f"no program {argv[0]!r}")
    return [
        sys.executable,
        "-I",
        "-S",
        str(_LAUNCHER),
        str(os.getpid()),
        str(nice),
        str(int(memory_bytes)),
        str(max(1, int(cpu_s))),
        str(int(file_bytes)),
        str(folder.resolve()) if folder else "",
        *(str(path.resolve()) for path in readable),
        "--",
        str(Path(program).absolute()),
        *argv[1:],
    ]


def python() -> list[Path]:
    """Return what a fenced Python has to read: its own folders."""
    return [Path(prefix) for prefix in dict.fromkeys([sys.prefix, sys.base_prefix])]


def environment() -> dict[str, str]:
    """Return the whole environment of a fenced program: no secret, no address, no home."""
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        # glibc reserves 64 MiB of address space for each thread's heap, which is limited here.
        "MALLOC_ARENA_MAX": "2",
    }


def start(argv: Sequence[str], *, folder: Path | None, **limits: Any) -> subprocess.Popen[bytes]:
    """Start ``argv`` behind the fence, in a session of its own, with pipes for stdout and stderr.

    ``limits`` are those of ``command()``, and ``stdin``/``stderr`` as for Popen (default: none,
    a pipe).
    """
    stdin = limits.pop("stdin", subprocess.DEVNULL)
    stderr = limits.pop("stderr", subprocess.PIPE)
    return subprocess.Popen(
        command(argv, folder=folder, **limits),
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=stderr,
        cwd=folder or "/",
        env=environment(),
        start_new_session=True,
    )


def kill(process: subprocess.Popen[bytes]) -> None:
    """End ``process`` and its whole group at once, and wait until it is gone."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@functools.cache
def capabilities() -> Mapping[str, bool]:
    """Return which fences the kernel grants.

    ``network``: an empty network namespace; ``files``: Landlock; ``calls``: seccomp.
    Limits, priority, environment and death with the parent need no grant and always stand.
    """
    argv = command(["true"], folder=None, memory_bytes=1 << 30, cpu_s=5, file_bytes=0)
    answer = subprocess.run(argv[:-1], capture_output=True, text=True, timeout=30, check=True)
    return {
        name: value == "1"
        for name, _, value in (line.partition("=") for line in answer.stdout.splitlines())
    }
