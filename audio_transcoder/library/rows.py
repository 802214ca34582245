"""What a row of the library shows of a file, as plain words.

Twenty rows are most of the work of a page: they are read as values, without models, and a template
finds a word in a dictionary several times faster than behind a property.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from django.template.defaultfilters import date, filesizeformat
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import mark_safe

from audio_transcoder import covers, variants
from audio_transcoder.figures import clock
from audio_transcoder.formats import FORMATS
from audio_transcoder.models import AudioFile, Rendition, TranscodeJob

# Pixels of the side of a cover in a row; screens of phones show two for each.
COVER = covers.square(2 * 48)
# Shown as they are.
_TEXTS = ("name", "artist", "album", "year", "track")
_COLUMNS = ("pk", "code", *_TEXTS, "title", "cover", "duration_ms", "size_bytes")


def rows(pks: Sequence[int]) -> list[dict[str, Any]]:
    """Return what the rows of these files show, in this order, without those that are gone."""
    files = AudioFile.objects.filter(pk__in=pks)
    found = {
        one.pk: one for one in files.values_list(*_COLUMNS, "created_at", "kept_state", named=True)
    }
    open_ones = [pk for pk, one in found.items() if one.kept_state in AudioFile.OPEN]
    results, progress = _results(pks), _progress(open_ones) if open_ones else {}
    return [_row(found[pk], results[pk], progress.get(pk)) for pk in pks if pk in found]


def _row(audio_file: Any, results: list[dict[str, str]], progress: int | None) -> dict[str, Any]:
    state = AudioFile.State(audio_file.kept_state)
    return {
        "code": mark_safe(str(audio_file.code)),  # noqa: S308 - a UUID
        "href": reverse("audio:detail", args=[audio_file.code]),
        "cover": covers.url(audio_file, COVER) if audio_file.cover else "",
        **{name: getattr(audio_file, name) for name in _TEXTS},
        "title": audio_file.title if audio_file.title != audio_file.name else "",
        "length": clock(audio_file.duration_ms),
        "size": filesizeformat(audio_file.size_bytes),
        "added_at": audio_file.created_at.isoformat(),
        "added": date(timezone.localtime(audio_file.created_at), "DATE_FORMAT"),
        "state": state.value,
        "state_words": state.label,
        "is_open": state in AudioFile.OPEN,
        "progress": progress if state == AudioFile.State.CONVERTING else None,
        "results": results,
    }


def _results(pks: Sequence[int]) -> dict[int, list[dict[str, str]]]:
    """Return the newest result of each format and variant that can be had, by file."""
    ready = Rendition.objects.filter(audio_file__in=pks, status=TranscodeJob.Status.COMPLETE)
    newest = {
        (file_pk, name, variant): code
        for file_pk, name, variant, code in ready.order_by("pk").values_list(
            "audio_file", "format_name", "variant", "code"
        )
    }
    order = list(FORMATS)
    found: dict[int, list[dict[str, str]]] = defaultdict(list)
    for file_pk, name, variant in sorted(newest, key=lambda key: order.index(key[1])):
        label = variants.label(FORMATS[name].label, variant)
        code = mark_safe(str(newest[file_pk, name, variant]))  # noqa: S308 - a UUID
        found[file_pk].append({"code": code, "label": label})
    return found


def _progress(pks: Sequence[int]) -> dict[int, int]:
    """Return the progress of the newest open job of each file."""
    jobs = TranscodeJob.objects.unfinished().filter(audio_file__in=pks).order_by("pk")
    return dict(jobs.values_list("audio_file", "progress"))
