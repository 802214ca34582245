from collections.abc import Collection

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

FILES_AT_ONCE = 500
OPEN = ("Submitted", "Progressing")


def state_of(open_jobs: Collection[str], newest: Collection[str]) -> str:
    if open_jobs:
        return "converting" if "Progressing" in open_jobs else "waiting"
    if set(newest) == {"Complete"}:
        return "ready"
    return "failed" if "Error" in newest else "canceled"


def fill(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Write down the state of the files that are there, as AudioFile.state had it then."""
    AudioFile, TranscodeJob, Rendition = (
        apps.get_model("audio_transcoder", name)
        for name in ("AudioFile", "TranscodeJob", "Rendition")
    )
    last = 0
    while pks := list(
        AudioFile.objects.filter(pk__gt=last)
        .order_by("pk")
        .values_list("pk", flat=True)[:FILES_AT_ONCE]
    ):
        last = pks[-1]
        open_jobs = {pk: [] for pk in pks}
        newest = {pk: {} for pk in pks}
        jobs = TranscodeJob.objects.filter(audio_file__in=pks, status__in=OPEN)
        for pk, status in jobs.values_list("audio_file_id", "status"):
            open_jobs[pk].append(status)
        results = Rendition.objects.filter(audio_file__in=pks).order_by("pk")
        for pk, *kind, status in results.values_list(
            "audio_file_id", "format_name", "variant", "status"
        ):
            newest[pk][tuple(kind)] = status
        by_state = {}
        for pk in pks:
            state = state_of(open_jobs[pk], newest[pk].values())
            by_state.setdefault(state, []).append(pk)
        for state, of_state in by_state.items():
            AudioFile.objects.filter(pk__in=of_state).update(kept_state=state)


class Migration(migrations.Migration):
    dependencies = [("audio_transcoder", "0011_kept_state")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
