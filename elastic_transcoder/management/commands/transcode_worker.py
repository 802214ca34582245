"""`manage.py transcode_worker`."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

import steps
from elastic_transcoder.worker import ffmpeg
from steps import parent
from steps.locks import wait_for_the_lock


class Command(BaseCommand):
    help = "Transcodes, and does the short steps around it, until it is stopped."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--kind",
            choices=["transcode", "steps"],
            help="one process of this kind in the foreground, instead of TRANSCODER_WORKERS "
            "processes that transcode and one for the steps",
        )
        parser.add_argument(
            "--once", action="store_true", help="do what is due, then exit; for cron and tests"
        )
        parser.add_argument(
            "--check", action="store_true", help="only say whether FFmpeg can do the work"
        )

    def handle(self, *_arguments: Any, **options: Any) -> None:
        kind = options["kind"]
        if kind != "steps":
            try:
                ffmpeg.check()
            except ffmpeg.FFmpegMissing as error:
                # Jobs wait for a worker that can do them; none is turned into an error.
                raise CommandError(str(error)) from error
        if options["check"]:
            self.stdout.write(f"{ffmpeg.binary()} can write everything that a job may ask for.")
            return
        if options["once"] or kind:
            wait_for_the_lock()
        if options["once"]:
            try:
                steps.run_once(*([kind] if kind else []))
            except steps.StepsFailed as error:
                raise CommandError(str(error)) from error
        elif kind:
            steps.run(kind)
        else:
            # SQLite's connections do not survive a fork; the children open their own.
            connections.close_all()
            if not parent.run(parent.workers(settings.TRANSCODER_WORKERS)):
                raise CommandError("A process kept dying; its last words are above.")
