"""Two ways to a new job: by hand, and once more what a job was. Both end in CreateJob."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from django import forms
from django.contrib.admin.widgets import AdminTextInputWidget
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from elastic_transcoder.admin.forms import CallForm, shaped
from elastic_transcoder.admin.presets import sound_choices
from elastic_transcoder.api.service import service
from elastic_transcoder.models import Job, Pipeline

MOST_OUTPUTS = service().shape_for("CreateJobOutputs").metadata["max"]
LONGEST_PREFIX = service().shape_for("Key").metadata["max"]
ROWS_AT_FIRST = 3
MORE_ROWS = 3

_TIME = _("Give seconds such as 90 or 90.5, or hours, minutes and seconds such as 00:01:30.")
_OUTPUT_PATH = re.compile(r"outputs\.(\d+)\.member(?:\.(\w+))?")
_REPEATED = re.compile(r"repeat-\d{8}-\d{6}/\Z")


class _PipelineField(forms.ModelChoiceField):
    def label_from_instance(self, pipeline: Pipeline) -> str:
        label = f"{pipeline.name} ({pipeline.input_bucket} → {pipeline.result_bucket})"
        return label if pipeline.status == Pipeline.Status.ACTIVE else _("%s, paused") % label


class OutputForm(forms.Form):
    """One row of the outputs; a row left empty is no output."""

    # The API's limit, so that the browser stops there.
    key = shaped("Key", label=_("Key of the result"))
    preset = forms.ChoiceField(label=_("Preset"), choices=sound_choices)

    def members(self) -> dict[str, str]:
        return {"Key": self.cleaned_data["key"], "PresetId": self.cleaned_data["preset"]}


class JobForm(CallForm):
    """A job by hand, with a row for each output in ``rows``."""

    operation = "CreateJob"
    fields_of_paths: ClassVar[dict[str, str]] = {
        "pipelineId": "pipeline",
        "outputKeyPrefix": "prefix",
        "input.key": "input_key",
        "input.timeSpan.startTime": "clip_start",
        "input.timeSpan.duration": "clip_duration",
    }
    fieldsets: ClassVar[list] = [
        (None, {"fields": ["pipeline", "input_key", "prefix"]}),
        (_("Only a part of the input"), {"fields": ["clip_start", "clip_duration"]}),
    ]

    pipeline = _PipelineField(queryset=Pipeline.objects.order_by("name"), label=_("Pipeline"))
    input_key = shaped(
        "LongKey",
        label=_("Key of the input"),
        help_text=_("Name of the sound in the pipeline's input bucket, with its folders."),
    )
    prefix = shaped(
        "Key",
        label=_("Prefix of the results"),
        required=False,
        help_text=_(
            "Put in front of each result's key as it stands; a folder ends with a slash. Results "
            "never replace what is there: a key that is taken fails with 3002."
        ),
    )
    clip_start = shaped(
        "Time", wrong=_TIME, label=_("Start"), required=False, help_text=_("Empty: its beginning.")
    )
    clip_duration = shaped(
        "Time", wrong=_TIME, label=_("Length"), required=False, help_text=_("Empty: to its end.")
    )

    def __init__(self, data: QueryDict | None = None, **options: Any) -> None:
        super().__init__(data, **options)
        wanted = str((data or self.initial).get("rows") or "")
        count = int(wanted[:9]) if wanted.isdecimal() else ROWS_AT_FIRST
        self.rows = [
            OutputForm(
                data,
                prefix=f"output-{number}",
                initial={
                    name: self.initial.get(f"output-{number}-{name}", "")
                    for name in OutputForm.base_fields
                },
                # Only data of a form that was sent; what was there before it counts as new.
                empty_permitted=True,
                use_required_attribute=False,
            )
            for number in range(1, min(max(count, 1), MOST_OUTPUTS) + 1)
        ]

    @classmethod
    def with_more_rows(cls, data: QueryDict) -> JobForm:
        """Return the form as it was typed so far, unchecked, with more rows for outputs."""
        typed = cls(data)
        return cls(initial={**data.dict(), "rows": len(typed.rows) + MORE_ROWS})

    @property
    def filled(self) -> list[OutputForm]:
        return [row for row in self.rows if row.has_changed()]

    @property
    def may_grow(self) -> bool:
        return len(self.rows) < MOST_OUTPUTS

    def clean(self) -> dict[str, Any]:
        # All of them, so that each row shows what is wrong with it.
        are_valid = [row.is_valid() for row in self.rows]
        if not self.filled:
            raise ValidationError(_("Give at least one result: a key and a preset."))
        if not all(are_valid):
            raise ValidationError(_("A result needs both a key and a preset."))
        return self.cleaned_data

    def members(self) -> dict[str, Any]:
        values = self.cleaned_data
        clip = {"StartTime": values["clip_start"], "Duration": values["clip_duration"]}
        clip = {name: value for name, value in clip.items() if value}
        return {
            "PipelineId": values["pipeline"].pk,
            "Input": {"Key": values["input_key"], **({"TimeSpan": clip} if clip else {})},
            "Outputs": [row.members() for row in self.filled],
            **({"OutputKeyPrefix": values["prefix"]} if values["prefix"] else {}),
        }

    def place(self, path: str, sentence: str) -> None:
        found = _OUTPUT_PATH.fullmatch(path)
        if found is None:
            super().place(path, sentence)
            return
        field = {"key": "key", "presetId": "preset"}.get(found[2])
        self.filled[int(found[1]) - 1].add_error(field, sentence)
        self.add_error(None, sentence)


class RepeatForm(CallForm):
    """A job once more: the same inputs, outputs and playlists, under another prefix."""

    operation = "CreateJob"
    fields_of_paths: ClassVar[dict[str, str]] = {"outputKeyPrefix": "prefix"}
    fieldsets: ClassVar[list] = [(None, {"fields": ["prefix"]})]

    prefix = forms.CharField(
        label=_("Prefix of the results"),
        required=False,
        strip=False,
        max_length=LONGEST_PREFIX,
        widget=AdminTextInputWidget,
        help_text=_("Put in front of each result's key as it stands; a folder ends with a slash."),
    )

    def __init__(self, job: Job, data: QueryDict | None = None) -> None:
        self.job = job
        self.outputs = list(job.outputs.all())
        # What a job made stands at its keys, and one that is not done may still make it.
        self.holds_keys = not job.is_final or any(
            output.status == Job.Status.COMPLETE for output in self.outputs
        )
        super().__init__(data, initial={"prefix": self._offered()})

    def _offered(self) -> str:
        """Return the job's own prefix where nothing was made, else a folder of its own below it."""
        if not self.holds_keys:
            return self.job.output_key_prefix
        folder = timezone.localtime().strftime("repeat-%Y%m%d-%H%M%S/")
        before = _REPEATED.sub("", self.job.output_key_prefix)
        return f"{before[: LONGEST_PREFIX - len(folder)]}{folder}"

    def clean_prefix(self) -> str:
        prefix = self.cleaned_data["prefix"]
        if self.holds_keys and prefix == self.job.output_key_prefix:
            raise ValidationError(
                _("Give another prefix: results of the first job stand under this one.")
            )
        return prefix

    def members(self) -> dict[str, Any]:
        job, prefix = self.job, self.cleaned_data["prefix"]
        return {
            "PipelineId": job.pipeline_id,
            "Inputs": [_without(one, "DetectedProperties") for one in job.inputs],
            "Outputs": [
                {**output.options, "Key": output.key, "PresetId": output.preset_id}
                for output in self.outputs
            ],
            "Playlists": [_without(one, "Status", "StatusDetail") for one in job.playlists],
            "UserMetadata": job.user_metadata,
            "Tags": job.tags,
            "Analysis": job.analysis_asked,
            **({"OutputKeyPrefix": prefix} if prefix else {}),
        }


def _without(members: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in members.items() if name not in names}
