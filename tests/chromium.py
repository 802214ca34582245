"""The Chromium of this machine, as Playwright starts it for tests and benchmarks."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from playwright.sync_api import Playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
ARGUMENTS = ("--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking")


def launch_arguments(playwright: Playwright) -> dict[str, Any]:
    """Return what ``launch`` takes. Raises FileNotFoundError, with what to do."""
    found = next(filter(None, map(shutil.which, NAMES)), playwright.chromium.executable_path)
    if not Path(found).exists():
        raise FileNotFoundError("no Chromium on this machine: `make test` installs one")
    return {"executable_path": found, "args": list(ARGUMENTS)}
