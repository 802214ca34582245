"""`manage.py access_key`."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from elastic_transcoder import keys
from elastic_transcoder.models import AccessKey
from steps.locks import wait_for_the_lock


class Command(BaseCommand):
    help = "Creates, lists, disables and enables the access keys of the Elastic Transcoder API."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        create = actions.add_parser("create", help="make a key; its secret is shown this once")
        create.add_argument("name", help="who calls with it, for the lists and the access log")
        actions.add_parser("list", help="list all keys, without secrets")
        for action, words in (
            ("disable", "refuse what is signed with a key from now on"),
            ("enable", "let a key sign again"),
        ):
            actions.add_parser(action, help=words).add_argument("id", help="the access key id")

    def handle(self, *_arguments: Any, **options: Any) -> None:
        wait_for_the_lock()
        if AccessKey._meta.db_table not in connection.introspection.table_names():
            raise CommandError("There are no tables yet: say manage.py migrate first.")
        if options["action"] == "create":
            self.create(options["name"])
        elif options["action"] == "list":
            self.list()
        else:
            self.switch(options["action"], options["id"])

    def create(self, name: str) -> None:
        try:
            key, secret = keys.create(name)
        except ValueError as error:
            raise CommandError(str(error)) from error
        # As an environment or a credentials file takes it; the advice stays out of such a file.
        self.stdout.write(f"AWS_ACCESS_KEY_ID={key.access_key_id}\nAWS_SECRET_ACCESS_KEY={secret}")
        self.stderr.write("Keep the secret: it is not shown again.", self.style.NOTICE)

    def list(self) -> None:
        rows = [("name", "id", "state", "created", "last used")]
        for key in AccessKey.objects.order_by("created_at", "pk"):
            state = "enabled" if key.is_enabled else "disabled"
            last_used = f"{key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never"
            created = f"{key.created_at:%Y-%m-%d %H:%M}"
            rows.append((key.name, key.access_key_id, state, created, last_used))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            self.stdout.write("  ".join(cells).rstrip())

    def switch(self, action: str, access_key_id: str) -> None:
        is_known = {"enable": keys.enable, "disable": keys.disable}[action](access_key_id)
        if not is_known:
            raise CommandError(f"There is no access key {access_key_id}; see: access_key list")
        self.stdout.write(f"{access_key_id} is {action}d.")
