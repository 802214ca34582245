"""A virtual environment that is made once from files of pins, and anew when they change."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Environment:
    """``folder`` and the files below the project's root. Has the Python that runs this."""

    folder: str
    files: tuple[str, ...]  # what it is made from; pip installs the first
    modules: str  # what must be importable, separated by commas
    megabytes: int  # of the download, roughly

    @property
    def path(self) -> Path:
        return ROOT / self.folder

    @property
    def python(self) -> Path:
        return self.path / "bin" / "python"

    def problem(self) -> str:
        """Return what keeps the environment from being ready; empty when it is.

        What is missing is made; pip's own words go to stderr.
        """
        # Two makes in one fresh clone: the second waits and finds everything done.
        with (ROOT / self.files[0]).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                return "" if self._is_ready() else self._make()
            except OSError as error:
                return f"{self.folder} could not be made: {error}"

    def _wanted(self) -> str:
        """Return what it has to be made from: versions, this Python, this folder."""
        made_from = [sys.version, sys.base_prefix, str(ROOT)]
        made_from += [(ROOT / name).read_text() for name in self.files]
        return hashlib.sha256("\0".join(made_from).encode()).hexdigest()

    def _is_ready(self) -> bool:
        """Return whether it was made to its end, from the same, and still starts."""
        stamp = self.path / "made"
        if not stamp.is_file() or stamp.read_text() != self._wanted():
            return False
        command = [str(self.python), "-c", f"import {self.modules}"]
        try:
            return subprocess.run(command, capture_output=True, timeout=30).returncode == 0
        except (OSError, subprocess.TimeoutExpired):
            return False

    def _make(self) -> str:
        if not _has_venv():
            version = f"{sys.version_info[0]}.{sys.version_info[1]}"
            return (
                f"Python {version} comes without venv here: install it, on Debian and Ubuntu with "
                f"apt-get install python{version}-venv, then say make again"
            )
        say(f"Making {self.folder}; this downloads some {self.megabytes} MB, once.")
        self.path.parent.mkdir(exist_ok=True)
        made = subprocess.run(
            [sys.executable, "-m", "venv", "--clear", str(self.path)],
            capture_output=True,
            text=True,
        )
        if made.returncode:
            last = (made.stdout + made.stderr).strip().splitlines()[-1:]
            return f"python -m venv failed: {' '.join(last)}"
        pip = [str(self.python), "-m", "pip", "--quiet", "--disable-pip-version-check"]
        installed = subprocess.run(
            [*pip, "--no-input", "install", "-r", str(ROOT / self.files[0])],
            stdout=sys.stderr,  # what goes to stdout is make's
        )
        if installed.returncode:
            return f"pip could not install {self.files[0]}, see above; is there a network?"
        (self.path / "made").write_text(self._wanted())
        say(f"{self.folder} is made.")
        return ""


def _has_venv() -> bool:
    # Debian ships Python without these two.
    command = [sys.executable, "-I", "-c", "import venv, ensurepip; ensurepip.version()"]
    return subprocess.run(command, capture_output=True).returncode == 0


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
