"""``manage.py sweep``: objects without rows and rows without objects."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.template.defaultfilters import filesizeformat
from tqdm import tqdm

from audio_transcoder import litter
from audio_transcoder.litter import Litter
from buckets import BucketError


class Command(BaseCommand):
    help = "List objects that no row knows and rows whose object is gone; --delete removes them."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--delete", action="store_true", help="remove what was found")

    def handle(self, *args: Any, delete: bool, **options: Any) -> None:
        try:
            # disable=None: a bar on a terminal, nothing in a log.
            with tqdm(unit=" objects", disable=None, leave=False) as bar:
                found = litter.find(bar.update)
        except BucketError as error:
            raise CommandError(f"The store cannot be listed: {error}") from error
        except litter.NotOurs as error:
            raise CommandError(
                "The store has nothing of any file here. Is it the right bucket and "
                "MEDIAFILES_LOCATION, and is the disk mounted? Nothing was removed."
            ) from error
        self._list(found)
        if not (found.orphans or found.renditions or found.files):
            return
        if not delete:
            self.stdout.write("Nothing was removed; --delete removes all of this.")
            return
        kept = litter.remove(found)
        self.stdout.write("Removed; the objects go with the next step.")
        for file in kept:
            self.stdout.write(f"Kept, because results of it are there: {file.code} {file.name}")

    def _list(self, found: Litter) -> None:
        self.stdout.write(f"{found.objects_seen} objects looked at.")
        if found.foreign:
            self.stdout.write(f"{found.foreign} of them are not of our making and stay.")
        size = filesizeformat(found.orphan_bytes).replace("\N{NO-BREAK SPACE}", " ")
        self.stdout.write(f"Objects without a row: {len(found.orphans)} ({size})")
        for orphan in found.orphans:
            self.stdout.write(f"  {orphan.name}  {orphan.info.size_bytes} bytes")
        self.stdout.write(f"Results without their object: {len(found.renditions)}")
        for rendition in found.renditions:
            self.stdout.write(f"  {rendition.file.name}  of {rendition.audio_file.name}")
        self.stdout.write(f"Files without their original: {len(found.files)}")
        for file in found.files:
            self.stdout.write(f"  {file.mp3_file.name}  {file.name}, {file.owner}")
