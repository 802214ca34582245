"""Looks at this machine: settings, secrets, database, disk, FFmpeg, clock, processes."""

from __future__ import annotations

import io
import shutil
import stat
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from django.conf import settings
from django.core import checks
from django.core.management import CommandError, call_command
from django.db import Error as DatabaseError
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from audio_transcoder import health
from audio_transcoder.doctor import where
from audio_transcoder.doctor.looks import Answer, fine, look, skipped, warning, worst, wrong
from sns import wire
from steps import heartbeats
from steps.models import Heartbeat

# Bytes that must be free in DATA_DIR: database, temporary files and workers write there.
NEEDED_BYTES = 512 * 1024**2
# Seconds that clocks may differ, and from which on signatures are refused somewhere.
SKEW_S = 60
FATAL_SKEW_S = 300
_WEB_TIMEOUT_S = 8.0


@look("settings")
def settings_agree() -> Answer:
    found = [message for message in checks.run_checks() if not message.is_silenced()]
    serious = [message for message in found if message.is_serious()]
    text = " ".join(f"{message.msg} ({message.id})" for message in serious or found)
    hint = " ".join(str(message.hint or "See the documentation.") for message in serious or found)
    if serious:
        return wrong(text, hint)
    return warning(text, hint) if found else fine("All system checks pass.")


@look("secrets")
def secrets_are_ours_alone() -> Answer:
    paths = [settings.DATA_DIR / "env", settings.SNS_KEY_FILE]
    there = [path for path in paths if path.exists()]
    for path in there:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            return wrong(
                f"{path} has mode {mode:03o}: others on this machine may read secrets.",
                f"chmod 600 {path}",
                stops=False,
            )
    if not there:
        return skipped("No secrets are in DATA_DIR; they come from the environment.")
    return fine(f"{', '.join(path.name for path in there)}: nobody else may read.")


@look("database")
def database_answers() -> Answer:
    hint = "See whether DATABASE_URL is right and the server runs; with SQLite, who holds the lock."
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchone()
    except DatabaseError as error:
        return wrong(f"The database does not answer ({type(error).__name__}).", hint)
    return fine(f"{connection.vendor} answers.")


@look("migrations", needs=("database",))
def migrations_are_applied() -> Answer:
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if plan:
        first = plan[0][0]
        return wrong(
            f"{len(plan)} migrations are not applied, the first is {first.app_label}.{first.name}.",
            "Say manage.py migrate.",
        )
    return fine("All are applied.")


@look("writing rows", needs=("migrations",))
def database_is_writable() -> Answer:
    try:
        with transaction.atomic():
            Heartbeat.objects.create(kind="doctor", process="doctor", at=timezone.now())
            transaction.set_rollback(True)
    except DatabaseError as error:
        return wrong(
            f"The database takes no rows ({error}).",
            "See whether its file and folder belong to this account, whether the disk is full, "
            "and who holds the lock.",
        )
    return fine("The database takes rows.")


@look("disk space")
def disk_has_room() -> Answer:
    try:
        free = shutil.disk_usage(settings.DATA_DIR).free
    except OSError as error:
        return wrong(f"DATA_DIR cannot be read: {error.strerror}.", "Correct DATA_DIR.")
    text = f"{free / 1024**3:.1f} GiB are free in {settings.DATA_DIR}."
    if free < NEEDED_BYTES:
        return wrong(text, "Make room, or move DATA_DIR to another disk.", stops=False)
    if free < settings.UPLOAD_MAX_BYTES:
        return warning(
            text, "The largest upload has no room: make some, or lower UPLOAD_MAX_BYTES."
        )
    return fine(text)


@look("ffmpeg", applies=where.with_own_transcoder, limit_s=60)
def ffmpeg_can_do_the_work() -> Answer:
    said = io.StringIO()
    try:
        # The worker's own look before it starts; a command is the door between the rooms.
        call_command("transcode_worker", check=True, stdout=said)
    except CommandError as error:
        return wrong(str(error), "Until then workers do not start.", stops=False)
    return fine(said.getvalue().strip())


@look("steps", needs=("migrations",))
def steps_are_run() -> Answer:
    if "steps" in heartbeats.alive():
        return fine("A process runs the short steps.")
    return wrong(
        f"No process runs the short steps: no sign of life for {_ALIVE_S} s.",
        "Start make run, or manage.py transcode_worker.",
    )


@look("worker", needs=("migrations",))
def a_worker_is_alive() -> Answer:
    if "transcode" in heartbeats.alive():
        return fine("A worker transcodes.")
    if health.has_its_workers():
        return skipped("No job here is for a worker of ours.")
    return wrong(
        f"No worker is alive: no sign of life for {_ALIVE_S} s.",
        "Start make run, or manage.py transcode_worker; its log says why it ended.",
    )


_ALIVE_S = int(heartbeats.ALIVE_FOR.total_seconds())


@look("clock", applies=where.with_another_clock)
def clocks_agree() -> Answer:
    return worst(_compared(name, url) for name, url in where.clocks().items())


def _compared(name: str, url: str) -> Answer:
    try:
        reply = wire.exchange("GET", url, timeout_s=_WEB_TIMEOUT_S, answer_bytes=1)
    except (wire.NoAnswer, ValueError) as error:
        return wrong(
            f"{name} at {url} does not answer: {error}.",
            "See whether the address is right and this machine reaches it.",
        )
    told = reply.headers.get("Date")
    try:
        theirs = parsedate_to_datetime(told or "")
    except ValueError:
        return skipped(f"{name} does not tell its time.")
    if theirs.tzinfo is None:  # "-0000": of no place, but UTC
        theirs = theirs.replace(tzinfo=UTC)
    skew_s = (datetime.now(UTC) - theirs).total_seconds()
    side = "ahead of" if skew_s > 0 else "behind"
    text = f"This machine's clock is {abs(skew_s):.0f} s {side} that of {name}."
    if abs(skew_s) > FATAL_SKEW_S:
        return wrong(f"{text} Signed requests are refused.", "Set the clock, e.g. with NTP.")
    if abs(skew_s) > SKEW_S:
        return wrong(text, "Set the clock, e.g. with NTP.", stops=False)
    return fine(text)
