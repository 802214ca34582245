"""How long a process may wait for SQLite's one write lock."""

from __future__ import annotations

from django.conf import settings
from django.db import connections


def wait_for_the_lock() -> None:
    """Have this process wait longer for SQLite's write lock than a page may."""
    for alias in connections:
        settings_dict = connections.settings[alias]
        if settings_dict["ENGINE"] == "django.db.backends.sqlite3":
            settings_dict["OPTIONS"]["timeout"] = settings.WORKER_BUSY_TIMEOUT
            if not connections[alias].in_atomic_block:
                connections[alias].close()
