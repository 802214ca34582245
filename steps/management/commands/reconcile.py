"""`manage.py reconcile`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

import steps
from steps.locks import wait_for_the_lock


class Command(BaseCommand):
    help = "Looks once for everything that is overdue, as the workers do by themselves."

    def handle(self, *_arguments: Any, **_options: Any) -> None:
        wait_for_the_lock()
        try:
            names = steps.reconcile()
        except steps.StepsFailed as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Looked after: {', '.join(names)}")
