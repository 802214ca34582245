"""A table of a million finished jobs, made in seconds by SQLite itself."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

JOBS = 1_000_000
# Of the last hundred days, in even steps; lists hold six months.
DAYS = 100

PRESET = json.dumps(
    {
        "Container": "mp4",
        "Audio": {
            "Codec": "AAC",
            "CodecOptions": {"Profile": "AAC-LC"},
            "SampleRate": "44100",
            "BitRate": "160",
            "Channels": "2",
        },
    }
)
JOB = """
INSERT INTO elastic_transcoder_job (id, pipeline_id, status, inputs, output_key_prefix, playlists,
    user_metadata, progress, submit_time_ms, start_time_ms, finish_time_ms, lease_owner,
    lease_until, attempts, log, tags)
WITH RECURSIVE number(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM number WHERE n + 1 < :jobs),
timed(n, ms) AS (SELECT n, :newest - (:jobs - n) * :step FROM number)
SELECT printf('%d-%06d', ms, n), printf('1400000000000-pipe%02d', n % :pipelines), 'Complete',
    printf('[{"Key": "media/uploads/%d/source"}]', n), printf('media/renditions/%d/', n), '[]',
    '{}', 100, ms, ms, ms + 9000, '', NULL, 1, '', '{}'
FROM timed
"""
OUTPUT = """
INSERT INTO elastic_transcoder_joboutput (job_id, number, key, preset_id, preset, options, status,
    status_detail, error_code, duration_ms, size_bytes, sha256, made)
SELECT id, number.n, 'result-' || number.n, '1351620000001-100110', :preset, '{}', 'Complete', '',
    NULL, 180000, 4000000, '', NULL
FROM elastic_transcoder_job, (SELECT 1 AS n UNION SELECT 2 UNION SELECT 3) AS number
WHERE number.n <= :outputs ORDER BY id
"""
NOTICE = """
INSERT INTO elastic_transcoder_notice (job_id, state, topic_arn, url, subject, message, status,
    attempts, next_attempt_at, last_answer, created_at, finished_at)
SELECT id, state.s, 'arn:aws:sns:eu-west-1:000000000000:bench', 'http://127.0.0.1:9/', 'Finished',
    '{}', 'Delivered', 1, '2026-01-01 00:00:00', '200', '2026-01-01 00:00:00', '2026-01-01 00:00:00'
FROM elastic_transcoder_job, (SELECT 'PROGRESSING' AS s UNION SELECT 'COMPLETED') AS state
ORDER BY id
"""
PIPELINE = """
INSERT INTO elastic_transcoder_pipeline (id, name, status, input_bucket, output_bucket,
    content_config, thumbnail_config, role, aws_kms_key_arn, notifications, created_at)
VALUES (?, ?, 'Active', 'in', 'out', NULL, NULL, 'arn:aws:iam::000000000000:role/x', '', ?,
    '2026-01-01 00:00:00')
"""


def fill(
    database: Path, *, pipelines: int, outputs: int, topic_arn: str = "", jobs: int = JOBS
) -> Sequence[str]:
    """Put finished jobs of several pipelines into a migrated database; return the pipelines' ids.

    Each job has ``outputs`` outputs, at most 3, and two delivered notices. With ``topic_arn`` the
    pipelines tell it of every event. Nobody else may have the database open.
    """
    ids = [f"1400000000000-pipe{number:02d}" for number in range(pipelines)]
    events = dict.fromkeys(("Progressing", "Completed", "Warning", "Error"), topic_arn)
    newest = time.time_ns() // 1_000_000 - 60_000
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as connection:
        # Should the machine fail now, the folder is thrown away anyhow.
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA journal_mode = MEMORY")
        connection.execute("BEGIN")
        for number, pipeline_id in enumerate(ids):
            row = (pipeline_id, f"Bench {number}", json.dumps(events))
            connection.execute(PIPELINE, row)
        step = DAYS * 86_400_000 // jobs
        values = {"jobs": jobs, "newest": newest, "step": step, "pipelines": pipelines}
        connection.execute(JOB, values)
        connection.execute(OUTPUT, {"preset": PRESET, "outputs": outputs})
        connection.execute(NOTICE)
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = WAL")
    return ids
