"""``manage.py clear_variants``: the stored sizes of covers."""

from __future__ import annotations

import uuid
from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from audio_transcoder import covers
from buckets import BucketError


class Command(BaseCommand):
    help = "Remove the stored sizes of covers; they are made again when somebody asks for them."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--file", type=uuid.UUID, help="of this file alone, by its code")

    def handle(self, *args: Any, file: uuid.UUID | None, **options: Any) -> None:
        try:
            found = Counter(covers.stored_variants(file))
            # disable=None: a bar on a terminal, nothing in a log.
            with tqdm(total=found.total(), unit=" sizes", disable=None, leave=False) as bar:
                for prefix, count in found.items():
                    covers.clear_variants(prefix)
                    bar.update(count)
        except BucketError as error:
            raise CommandError(f"The store does not do it: {error}") from error
        self.stdout.write(f"{found.total()} sizes of covers were removed.")
