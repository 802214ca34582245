"""Make .venv from requirements.txt, unless it is there and as it should be.

Prints nothing when all is well, else one line on what to do; pip's own words go to stderr. Run by
make, with the Python that .venv is to have.
"""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
FILES = ("requirements.txt", "requirements-run.txt", "constraints.txt")


def problem() -> str:
    """Return what keeps .venv from being ready; empty when it is."""
    try:
        import ensurepip
        import venv  # noqa: F401 - Debian ships Python without these two

        ensurepip.version()
    except Exception:
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        return (
            f"Python {version} comes without venv here: install it, on Debian and Ubuntu with "
            f"apt-get install python{version}-venv, then say make again"
        )
    # Two makes in one fresh clone: the second waits and finds everything done.
    with (ROOT / "requirements.txt").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            return "" if is_ready() else build()
        except OSError as error:
            return f".venv could not be made: {error}"


def wanted() -> str:
    """Return what .venv has to be made from: versions, this Python, this folder."""
    made_from = [sys.version, sys.base_prefix, str(ROOT)]
    made_from += [(ROOT / name).read_text() for name in FILES]
    return hashlib.sha256("\0".join(made_from).encode()).hexdigest()


def is_ready() -> bool:
    """Return whether .venv was made to its end, from the same, and still starts."""
    stamp = VENV / "made"
    if not stamp.is_file() or stamp.read_text() != wanted():
        return False
    command = [str(PYTHON), "-c", "import django, gunicorn, pip, pytest"]
    try:
        return subprocess.run(command, capture_output=True, timeout=30).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def build() -> str:
    say("Making .venv; this downloads some 250 MB, once.")
    made = subprocess.run(
        [sys.executable, "-m", "venv", "--clear", str(VENV)], capture_output=True, text=True
    )
    if made.returncode:
        last = (made.stdout + made.stderr).strip().splitlines()[-1:]
        return f"python -m venv failed: {' '.join(last)}"
    pip = [str(PYTHON), "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input"]
    installed = subprocess.run(
        [*pip, "install", "-r", str(ROOT / "requirements.txt")],
        stdout=sys.stderr,  # what goes to stdout is make's
    )
    if installed.returncode:
        return "pip could not install requirements.txt, see above; is there a network?"
    (VENV / "made").write_text(wanted())
    say(".venv is made.")
    return ""


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    found = problem()
    if found:
        print(found)
