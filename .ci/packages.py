"""Make node_modules from package-lock.json, unless it is there and as it should be.

Prints nothing when all is well, else one line on what to do; npm's own words go to stderr. Run by
make, with the Python of .venv, whose npm is taken before another one of this machine.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from environment import ROOT, say

FILES = ("package.json", "package-lock.json", ".npmrc")
STAMP = ROOT / "node_modules" / "made"


def problem() -> str:
    """Return what keeps node_modules from being ready; empty when it is."""
    # Two makes in one fresh clone: the second waits and finds everything done.
    with (ROOT / FILES[1]).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            return "" if STAMP.is_file() and STAMP.read_text() == _wanted() else _make()
        except OSError as error:
            return f"node_modules could not be made: {error}"


def _wanted() -> str:
    contents = [(ROOT / name).read_text() for name in FILES]
    return hashlib.sha256("\0".join(contents).encode()).hexdigest()


def _make() -> str:
    beside = Path(sys.executable).parent / "npm"
    npm = str(beside) if beside.exists() else shutil.which("npm")
    if npm is None:
        return "There is no npm: pip install -r requirements.txt brings one, then say make again"
    say("Making node_modules; this downloads some 10 MB, once.")
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    made = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    if made.returncode:
        return "npm could not install package-lock.json, see above; is there a network?"
    STAMP.write_text(_wanted())
    say("node_modules is made.")
    return ""


if __name__ == "__main__":
    found = problem()
    if found:
        print(found)
