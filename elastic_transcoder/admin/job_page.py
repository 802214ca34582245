"""What the page of one job shows, as plain words for the template."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from elastic_transcoder.admin import words
from elastic_transcoder.admin.presets import name_of
from elastic_transcoder.admin.rows import page_of
from elastic_transcoder.models import Job, JobOutput, Notice, Pipeline
from sns import deliver

# Jobs before a waiting one are counted so far.
MOST_BEFORE = 1_000


def context(job: Job, pipeline: Pipeline | None, notices: list[Notice]) -> dict[str, Any]:
    """Return what the template shows of ``job``; no key of an encryption is in it.

    ``notices``: those of the job, or none where the person may not see them.
    """
    outputs = list(job.outputs.order_by("number"))
    names = name_of({output.preset_id for output in outputs})
    return {
        "overview": _overview(job, pipeline),
        "timeline": _timeline(job, pipeline, notices),
        "inputs": [_input(one) for one in job.inputs],
        "outputs": [_output(job, one, names.get(one.preset_id)) for one in outputs],
        "analysis": _analysis(job),
        "playlists": [_playlist(job, one) for one in job.playlists],
        "notices": [_notice(one) for one in notices],
        "log": job.log,
        "metadata": sorted(job.user_metadata.items()),
    }


def _overview(job: Job, pipeline: Pipeline | None) -> list[dict[str, Any]]:
    name = _("%s (deleted)") % job.pipeline_id if pipeline is None else pipeline.name
    url = page_of(Pipeline, pipeline.pk) if pipeline else ""
    prefix = job.output_key_prefix or words.NOTHING
    return [
        {"label": _("Status"), "value": words.badge(job.status)},
        {"label": _("Progress"), "value": f"{job.progress} %"},
        {"label": _("Pipeline"), "value": name, "url": url},
        {"label": _("Prefix of the results"), "value": prefix},
        {"label": _("Attempts"), "value": _attempts(job)},
    ]


def _attempts(job: Job) -> str:
    return _("%(count)d of %(most)d at most") % {"count": job.attempts, "most": Job.MAX_ATTEMPTS}


def _timeline(job: Job, pipeline: Pipeline | None, notices: list[Notice]) -> list[dict[str, str]]:
    """Return what happened to the job, oldest first, and what it does or waits for now."""
    events = [(job.submit_time_ms, _("Submitted."))]
    if job.start_time_ms is not None:
        events.append((job.start_time_ms, _beginning(job)))
    if job.finish_time_ms is not None:
        events.append((job.finish_time_ms, _end(job)))
    for notice in notices:
        if notice.finished_at:
            words_of = {"state": notice.state, "status": notice.status.lower()}
            told = _("The notice %(state)s was %(status)s.") % words_of
            events.append((int(notice.finished_at.timestamp() * 1000), told))
    lines = [{"at": words.at_ms(at_ms), "what": what} for at_ms, what in sorted(events)]
    if job.status == Job.Status.PROGRESSING:
        lines.append({"at": _("now"), "what": _at_work(job)})
    elif job.status == Job.Status.SUBMITTED:
        lines.append({"at": _("now"), "what": _what_it_waits_for(job, pipeline)})
    return lines


def _beginning(job: Job) -> str:
    waited = words.span(job.start_time_ms - job.submit_time_ms)
    began = _("A worker began; the job had waited %s.") % waited
    if job.attempts < 2:
        return began
    return f"{began} {_('It was begun %d times.') % job.attempts}"


def _end(job: Job) -> str:
    if job.status == Job.Status.CANCELED:
        return _("Canceled before a worker began.")
    took = words.span(job.finish_time_ms - (job.start_time_ms or job.submit_time_ms))
    if job.status == Job.Status.COMPLETE:
        return _("Complete; the work took %s.") % took
    return _("Ended with an error after %s.") % took


def _at_work(job: Job) -> str:
    if not job.lease_owner:
        return _("Handed back; a worker takes it after %s.") % words.at(job.lease_until)
    return _("At %(progress)d %%; worker %(worker)s holds it until %(until)s.") % {
        "progress": job.progress,
        "worker": job.lease_owner,
        "until": words.at(job.lease_until),
    }


def _what_it_waits_for(job: Job, pipeline: Pipeline | None) -> str:
    if pipeline is None:
        return _("Waits for a pipeline that is no longer there.")
    if pipeline.status == Pipeline.Status.PAUSED:
        return _("Waits: its pipeline is paused.")
    waiting = Job.objects.filter(
        status=Job.Status.SUBMITTED, pipeline_id=job.pipeline_id, pk__lt=job.pk
    )
    count = waiting.values("pk")[:MOST_BEFORE].count()
    if not count:
        return _("Waits for a free worker; it is the next of its pipeline.")
    return ngettext("Waits; %d job is before it.", "Waits; %d jobs are before it.", count) % count


def _input(members: dict[str, Any]) -> dict[str, str]:
    detected = members.get("DetectedProperties") or {}
    extras = [_clip(members.get("TimeSpan"))]
    if members.get("Container", "auto") != "auto":
        extras.append(_("said to be %s") % members["Container"])
    if members.get("Encryption"):
        extras.append(_("encrypted: %s") % words.protection(members["Encryption"]))
    return {
        "key": members.get("Key", ""),
        "length": words.span(detected.get("DurationMillis")),
        "size": words.size(detected.get("FileSize")),
        "extras": "; ".join(filter(None, extras)),
    }


def _output(job: Job, output: JobOutput, preset_name: str | None) -> dict[str, Any]:
    options = output.options
    extras = [_clip(one.get("TimeSpan")) for one in options.get("Composition", ())]
    if options.get("SegmentDuration"):
        extras.append(_("segments of %s s") % options["SegmentDuration"])
    if options.get("AlbumArt"):
        extras.append(_("album art"))
    if options.get("Encryption"):
        extras.append(_("encrypted: %s") % words.protection(options["Encryption"]))
    return {
        "number": output.number,
        "key": f"{job.output_key_prefix}{output.key}",
        "preset": preset_name or _("%s (deleted)") % output.preset_id,
        "preset_id": output.preset_id,
        "sound": words.sound(output.preset.get("Container", ""), output.preset.get("Audio")),
        "extras": "; ".join(filter(None, extras)),
        "status": words.badge(output.status),
        "detail": output.status_detail,
        "length": words.span(output.duration_ms),
        "size": words.size(output.size_bytes),
        "made": _made(output.sound or {}),
    }


def _made(sound: dict[str, Any]) -> str:
    """Return what a result was found to be, held against its source."""
    found = []
    if sound.get("IsFaithful"):
        found.append(_("every sample is the source's"))
    if "Correlation" in sound:
        found.append(_("correlation with the source %s") % words.number(sound["Correlation"], 4))
    if "LoudnessLufs" in sound:
        found.append(_measured(sound["LoudnessLufs"], "LUFS"))
    if sound.get("LostTags"):
        found.append(_("tags lost: %s") % ", ".join(sound["LostTags"]))
    return "; ".join(found)


def _analysis(job: Job) -> list[dict[str, Any]]:
    """Return what was found of the source; nothing where nobody asked."""
    if job.analysis_asked is None:
        return []
    found = job.analysis or {}
    status = words.badge(found["Status"]) if found else _("Not over yet")
    lines = [
        (_("Status"), status),
        (_("Sound"), _facts(found)),
        (_("Loudness"), _measured(found.get("LoudnessLufs"), "LUFS")),
        (_("True peak"), _measured(found.get("TruePeakDbtp"), "dBTP")),
        (_("Cover"), found.get("CoverKey") or words.NOTHING),
    ]
    tags = sorted(found.get("Tags", {}).items())
    return [{"label": label, "value": value} for label, value in [*lines, *tags]]


def _facts(found: dict[str, Any]) -> str:
    if "Codec" not in found:
        return words.NOTHING
    numbers = (
        (found.get("SampleRateHz"), "Hz"),
        (found.get("BitDepth"), "bit"),
        (found.get("BitRateKbps"), "kbit/s"),
    )
    count = found["Channels"]
    channels = ngettext("%d channel", "%d channels", count) % count
    told = [f"{number} {unit}" for number, unit in numbers if number is not None]
    return ", ".join([f"{found['Container']} {found['Codec']}", channels, *told])


def _measured(value: float | None, unit: str) -> str:
    return words.NOTHING if value is None else f"{words.number(value, 1)} {unit}"


def _playlist(job: Job, members: dict[str, Any]) -> dict[str, Any]:
    locks = [members.get(name) for name in ("HlsContentProtection", "PlayReadyDrm")]
    return {
        "name": f"{job.output_key_prefix}{members.get('Name', '')}",
        "format": members.get("Format", ""),
        "outputs": members.get("OutputKeys", []),
        "protection": ", ".join(words.protection(lock) for lock in locks if lock) or words.NOTHING,
        "status": words.badge(members.get("Status") or job.status),
        "detail": members.get("StatusDetail") or "",
    }


def _notice(notice: Notice) -> dict[str, Any]:
    return {
        "url": page_of(Notice, notice.pk),
        "state": notice.state,
        "topic": notice.topic_arn,
        "subscriber": deliver.shown(notice.url) if notice.url else _("Amazon SNS"),
        "status": words.badge(notice.status),
        "attempts": notice.attempts,
        "answer": notice.last_answer,
        "written": words.at(notice.created_at),
        "finished": words.at(notice.finished_at),
    }


def _clip(time_span: dict[str, str] | None) -> str:
    if not time_span:
        return ""
    start = time_span.get("StartTime") or "0"
    if time_span.get("Duration"):
        length = time_span["Duration"]
        return _("clip from %(start)s, length %(length)s") % {"start": start, "length": length}
    return _("clip from %s to the end") % start
