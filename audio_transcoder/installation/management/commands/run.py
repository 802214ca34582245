"""`manage.py run`: everything that one machine needs, under one parent."""

from __future__ import annotations

import logging
import os
import socket
import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from sns import keys
from steps import parent

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Sets everything up, then runs web server, workers and steps until Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--set-up-only", action="store_true", help="set the site up and start nothing"
        )

    def handle(self, *_arguments: Any, **options: Any) -> None:
        os.umask(0o077)  # what is written from here on is nobody else's on this machine
        if options["set_up_only"]:
            self.set_up()
            return
        # First, for it costs nothing and is what goes wrong most often. The web server gets this
        # very socket: while it restarts, its visitors wait instead of being refused.
        with listen(settings.BIND_ADDRESS, settings.PORT) as listener:
            self.set_up()
            # SQLite's connections do not survive a fork; the children open their own.
            connections.close_all()
            children = [web_server(listener), *parent.workers(settings.TRANSCODER_WORKERS)]
            if not parent.run(children, started=self.say_where):
                raise CommandError("A process kept dying; its last words are above.")

    def set_up(self) -> None:
        """Bring database, static files, secrets and the first account to where they should be."""
        call_command("migrate", interactive=False, verbosity=0)
        keys.ensure(settings.SNS_KEY_FILE, settings.SNS_CERTIFICATE_FILE)
        if not settings.STATIC_ON_S3:
            call_command("collectstatic", interactive=False, verbosity=0)
        users = get_user_model().objects
        if settings.ADMIN_PASSWORD and not users.filter(is_superuser=True).exists():
            users.create_superuser("admin", password=settings.ADMIN_PASSWORD)
            logger.info("created the superuser admin")

    def say_where(self) -> None:
        if settings.TRANSCODER_ALONE:
            self.stdout.write(
                f"Elastic Transcoder starts at {settings.SITE_URL}/\n"
                "Access key: TRANSCODER_ACCESS_KEY_ID and TRANSCODER_SECRET_ACCESS_KEY in "
                f"{settings.DATA_DIR / 'env'}"
            )
        else:
            self.stdout.write(f"Audio Transcoder starts at {settings.SITE_URL}/")
        self.stdout.write(
            f"Admin: {settings.SITE_URL}/admin/ as admin; the password is ADMIN_PASSWORD in "
            f"{settings.DATA_DIR / 'env'}\n"
            "Ctrl-C ends it."
        )
        self.stdout.flush()


def listen(address: str, port: int) -> socket.socket:
    """Return a listening socket; raises CommandError with one line when there cannot be one."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # not from a minute ago
    try:
        listener.bind((address, port))
        listener.listen(1024)
    except (OSError, OverflowError) as error:
        listener.close()
        command = "make transcoder" if settings.TRANSCODER_ALONE else "make run"
        raise CommandError(
            f"Cannot listen on {address} port {port}: {error}. Stop what runs there, or choose "
            f"another port: {command} PORT=8001 DATA_DIR=var2"
        ) from error
    return listener


def web_server(listener: socket.socket) -> parent.Child:
    """Return the web server as a child that answers on ``listener``."""
    command = [sys.executable, "-m", "gunicorn", "-c", "python:audio_transcoder.gunicorn"]
    return parent.Child(
        "web",
        [*command, "--chdir", str(settings.BASE_DIR), "--bind", f"fd://{listener.fileno()}"],
        pass_fds=(listener.fileno(),),
        # glibc keeps what each of many threads has freed; of the parts of uploads that is a lot.
        environment={"MALLOC_ARENA_MAX": "2"},
    )
