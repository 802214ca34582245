"""Temporary folders, one for each attempt, and what dead processes left of them.

Who uses a folder holds a lock on it, which the kernel ends with the process; so a folder nobody
holds is a leftover, on whichever machine or in whichever container its owner was.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def workspace(work_dir: Path) -> Iterator[Path]:
    """An empty folder below ``work_dir`` for one attempt; gone afterwards.

    It has two parts: what comes ``in`` may be read by FFmpeg, what comes ``out`` written.
    """
    folder = work_dir / uuid.uuid4().hex
    # The outer lock closes the moment in which the folder is there and not held yet.
    with _locked(work_dir):
        folder.mkdir(mode=0o700)
        held = _hold(folder)
    try:
        for part in ("in", "out"):
            (folder / part).mkdir(mode=0o700)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def remove_leftovers(work_dir: Path) -> int:
    """Remove the folders below ``work_dir`` that nobody holds; return how many there were."""
    removed = 0
    with _locked(work_dir):
        for folder in work_dir.iterdir():
            if not folder.is_dir():
                continue
            try:
                held = _hold(folder)
            except (BlockingIOError, FileNotFoundError):  # in use, or gone by now
                continue
            shutil.rmtree(folder, ignore_errors=True)
            os.close(held)
            removed += 1
    return removed


@contextmanager
def _locked(work_dir: Path) -> Iterator[None]:
    work_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(work_dir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _hold(folder: Path) -> int:
    """Return a descriptor that holds ``folder``. Raises BlockingIOError when another does."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
