"""`manage.py doctor`."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from audio_transcoder import doctor
from audio_transcoder.doctor import Finding, State

# What stops the loop before it begins: without these it could only wait.
NEEDED = (
    "writing rows",
    "bucket is writable",
    "storage",
    "folder",
    "transcoder",
    "steps",
    "worker",
)


class Command(BaseCommand):
    help = "Looks at every step of the chain and says what is wrong and what to do about it."
    # They are its first look.
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--loop", action="store_true", help="also send one second of sound round the whole loop"
        )
        parser.add_argument(
            "--loop-limit",
            type=float,
            default=120.0,
            metavar="SECONDS",
            help="how long each leg of the loop may take (default: 120)",
        )
        parser.add_argument("--json", action="store_true", help="write one JSON document")

    def handle(self, *_arguments: Any, **options: Any) -> None:
        self.is_silent = options["json"]
        findings = []
        for finding in doctor.examine():
            findings.append(finding)
            self.show(finding)
        loop = self.loop(findings, options["loop_limit"]) if options["loop"] else None
        ok = not any(finding.state is State.WRONG for finding in findings)
        if loop is not None:
            ok = ok and loop["ok"]
        if options["json"]:
            self.stdout.write(json.dumps(_document(ok, findings, loop), indent=2))
        else:
            count = sum(finding.state is State.WRONG for finding in findings)
            self.say("All is well." if ok else f"Not well: {_counted(count, loop)}.")
        if not ok:
            raise SystemExit(1)

    def show(self, finding: Finding) -> None:
        styles = {
            State.FINE: self.style.SUCCESS,
            State.WARNING: self.style.WARNING,
            State.WRONG: self.style.ERROR,
        }
        style = styles.get(finding.state, self.style.NOTICE)
        hint = f" {finding.hint}" if finding.hint else ""
        self.say(f"{style(str(finding.state))}  {finding.name}: {finding.text}{hint}")

    def loop(self, findings: list[Finding], limit_s: float) -> dict[str, Any]:
        """Send the tone round, unless that can only fail; return how far it came."""
        if settings.TRANSCODER_ALONE:
            return self.no_loop("The web app is not installed (TRANSCODER_ALONE).")
        broken = [one.name for one in findings if one.name in NEEDED and one.state is State.WRONG]
        if broken:
            return self.no_loop(f'Not sent while "{broken[0]}" is wrong.')
        # Its models are the web app's, which not every installation has.
        from audio_transcoder.doctor import loop

        self.say("A tone goes round the loop:")
        came = loop.run(limit_s, lambda leg, seconds: self.say(f"  {leg}: {seconds:.2f} s"))
        if came.ok:
            self.say(
                f"{self.style.SUCCESS('fine')}  loop: {came.text} {came.seconds:.2f} s in all."
            )
        else:
            self.say(
                f"{self.style.ERROR('wrong')}  loop: It stopped before it was {came.stopped_in}. "
                f"{came.text} {came.hint}"
            )
        return came.as_dict()

    def no_loop(self, why: str) -> dict[str, Any]:
        self.say(f"{self.style.NOTICE('skipped')}  loop: {why}")
        return {"ok": False, "legs": {}, "stopped_in": "", "text": why, "hint": "", "seconds": 0.0}

    def say(self, line: str) -> None:
        if not self.is_silent:
            self.stdout.write(line)
            self.stdout.flush()


def _document(ok: bool, findings: list[Finding], loop: dict[str, Any] | None) -> dict[str, Any]:
    looks = [
        {
            "name": finding.name,
            "state": str(finding.state),
            "text": finding.text,
            "hint": finding.hint,
            "seconds": finding.seconds,
        }
        for finding in findings
    ]
    return {"ok": ok, "looks": looks, **({"loop": loop} if loop is not None else {})}


def _counted(count: int, loop: dict[str, Any] | None) -> str:
    parts = [f"{count} wrong"] if count else []
    if loop is not None and not loop["ok"]:
        parts.append("the loop is not closed")
    return ", ".join(parts)
