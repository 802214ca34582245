"""The operators' console: keys, pipelines, presets, jobs and notices, for people who run them.

One module for each subject; whatever changes something goes the way that the API's callers go.
"""

from __future__ import annotations

from elastic_transcoder.admin import (
    access_keys,
    jobs,
    notices,
    outputs,
    pipelines,
    presets,
)

__all__ = ["access_keys", "jobs", "notices", "outputs", "pipelines", "presets"]
