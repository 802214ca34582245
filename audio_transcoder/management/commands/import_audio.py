"""``manage.py import_audio``: files of a folder, or objects of a bucket, into a library."""

from __future__ import annotations

import os
import stat
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from tqdm import tqdm

from audio_transcoder.formats import DEFAULT_FORMATS, FORMATS
from audio_transcoder.models import IntakeObject
from audio_transcoder.uploads import imports, intake
from buckets import BucketError
from sound.examination import ExaminerNotStarted
from steps.locks import wait_for_the_lock

_INTERRUPTED = 130  # as a shell counts Ctrl-C


class Command(BaseCommand):
    help = (
        "Bring the sound files of a folder, or the objects of a bucket, into a person's library. "
        "What is there already is not brought twice."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("source", help="a folder, a file, or s3://bucket/prefix")
        parser.add_argument("--owner", default="", help="the user name of whose library it is")
        parser.add_argument(
            "--formats",
            default="",
            help=f"of {','.join(FORMATS)}; default {','.join(DEFAULT_FORMATS)}",
        )
        parser.add_argument("--move", action="store_true", help="remove what was taken in")
        parser.add_argument("--dry-run", action="store_true", help="change nothing")

    def handle(self, *args: Any, source: str, **options: Any) -> None:
        wait_for_the_lock()
        if IntakeObject._meta.db_table not in connection.introspection.table_names():
            raise CommandError("There are no tables yet: say manage.py migrate first.")
        formats = _formats(options["formats"])
        scheme, _, place = source.partition("://")
        try:
            if scheme == "s3" and place:
                self._from_bucket(place, formats, options)
            else:
                self._from_folder(Path(source), formats, options)
        except BucketError as error:
            raise CommandError(f"The store: {error}") from error
        except ExaminerNotStarted as error:
            raise CommandError(f"Nothing can look into sound files now: {error}") from error
        except KeyboardInterrupt:
            self.stderr.write("Stopped. What was taken in stays; say the same again to go on.")
            sys.exit(_INTERRUPTED)

    def _from_folder(self, source: Path, formats: list[str], options: dict[str, Any]) -> None:
        try:
            mode = source.stat().st_mode
        except FileNotFoundError as error:
            raise CommandError(f"There is no {_shown(source)}.") from error
        except OSError as error:
            raise CommandError(f"{_shown(source)}: {error.strerror}.") from error
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise CommandError(f"{_shown(source)} is neither a file nor a folder.")
        owner = _owner(options["owner"])
        paths = imports.files_below(source)
        total = sum(map(imports.size_of, paths))
        counts: Counter[str] = Counter()
        # disable=None: a bar on a terminal, none in a log.
        with tqdm(total=total, unit="B", unit_scale=True, disable=None, leave=False) as bar:
            for path in paths:
                outcome = imports.take_file(
                    owner,
                    path,
                    formats=formats or list(DEFAULT_FORMATS),
                    is_moved=options["move"],
                    is_dry=options["dry_run"],
                    moved=bar.update,
                )
                counts[outcome.state] += 1
                self._tell(bar, _shown(path), outcome.state, outcome.sentence)
        self._sum_up(counts, options["dry_run"])
        if counts[imports.REFUSED]:
            raise CommandError(f"Refused: {counts[imports.REFUSED]} of {counts.total()} files.")

    def _from_bucket(self, place: str, formats: list[str], options: dict[str, Any]) -> None:
        name, _, prefix = place.partition("/")
        is_own = name == settings.MEDIA_BUCKET
        is_intake = is_own and prefix.startswith(intake.prefix())
        if is_own and not is_intake and prefix.startswith(f"{settings.MEDIAFILES_LOCATION}/"):
            raise CommandError(f"Of what is our own, only {intake.prefix()} can be imported.")
        if options["owner"] or not is_intake:
            _owner(options["owner"])
        counts: Counter[str] = Counter()
        objects = imports.record_objects(
            name,
            prefix,
            owner_name=options["owner"],
            formats=",".join(formats),
            is_moved=options["move"] or is_intake,
            is_dry=options["dry_run"],
        )
        with tqdm(unit=" objects", disable=None, leave=False) as bar:
            for key, state in objects:
                counts[state] += 1
                bar.update(1)
                self._tell(bar, _shown(key), state)
        self._sum_up(counts, options["dry_run"])
        if counts[imports.RECORDED] and not options["dry_run"]:
            self.stdout.write("The worker takes them in; the admin shows what it refuses.")

    def _tell(self, bar: tqdm, what: str, state: str, sentence: str = "") -> None:
        with bar.external_write_mode(file=sys.stdout):
            self.stdout.write(f"{state}: {what}" + (f": {sentence}" if sentence else ""))

    def _sum_up(self, counts: Counter[str], is_dry: bool) -> None:
        parts = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
        done = f"{parts}." if parts else "There is nothing to import."
        self.stdout.write(done + (" Nothing was changed." if is_dry else ""))


def _owner(name: str) -> AbstractBaseUser:
    people = get_user_model()
    if not name:
        raise CommandError("Whose are they? Say --owner NAME.")
    owner = people.objects.filter(is_active=True, **{people.USERNAME_FIELD: name}).first()
    if owner is None:
        raise CommandError(f"Nobody here is called {name}, or may not sign in.")
    return owner


def _formats(text: str) -> list[str]:
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    unknown = sorted(set(names) - set(FORMATS))
    if unknown:
        raise CommandError(f"No such format: {', '.join(unknown)}. There are {', '.join(FORMATS)}.")
    return [name for name in FORMATS if name in names]


def _shown(name: Path | str) -> str:
    """Return a name from outside as text that a terminal takes, whatever its bytes are."""
    text = os.fsencode(name).decode(errors="replace")
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
