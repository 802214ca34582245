"""`manage.py reconcile`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

import steps


class Command(BaseCommand):
    help = "Looks once for everything that is overdue, as the workers do by themselves."

    def handle(self, *_arguments: Any, **_options: Any) -> None:
        try:
            names = steps.reconcile()
        except steps.StepsFailed as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Looked after: {', '.join(names)}")
