"""The generated secrets of one installation, in ``DATA_DIR/env``.

Written once, mode 600, as ``NAME=value`` lines; settings read it like any other environment
file, so plain ``manage.py`` commands and ``make run`` agree. A value in the process environment
or in ``.env`` wins over it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from pathlib import Path

GENERATED = {
    "SECRET_KEY": lambda: secrets.token_urlsafe(50),
    # Amazon's form: 20 capitals and digits, then 40 characters of secret.
    "TRANSCODER_ACCESS_KEY_ID": lambda: (
        "AT" + "".join(secrets.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") for _ in range(18))
    ),
    "TRANSCODER_SECRET_ACCESS_KEY": lambda: secrets.token_hex(20),
    "ADMIN_PASSWORD": lambda: secrets.token_urlsafe(12),
}

# Without these no process starts; where all of them come from elsewhere no file is written.
NEEDED = ("SECRET_KEY", "TRANSCODER_ACCESS_KEY_ID", "TRANSCODER_SECRET_ACCESS_KEY")


def ensure(path: Path) -> Path:
    """Return ``path``, first writing it with fresh secrets if it is not there.

    Safe to call from several processes at once: the file appears whole or not at all, and
    the first writer wins.
    """
    if path.exists():
        return path
    # People's recordings come here too: nobody else on the machine looks in.
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lines = "".join(f"{name}={make()}\n" for name, make in GENERATED.items())
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".env-")  # mkstemp: mode 600
    try:
        with os.fdopen(handle, "w") as file:
            file.write(lines)
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        Path(temporary).unlink()
    return path
