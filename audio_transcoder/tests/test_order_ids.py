"""The ids of orders: a job and its run, there and back."""

from __future__ import annotations

from uuid import UUID

import pytest

from audio_transcoder import order_ids
from audio_transcoder.models import TranscodeJob

CODE = UUID("3f6c1b0e-6a52-4b5e-9d5e-0c7b2f1f9a10")


@pytest.mark.parametrize("run", range(1, TranscodeJob.RUNS + 1))
def test_an_id_names_its_job_and_run(run):
    assert order_ids.parse(order_ids.order_id(CODE, run)) == (CODE, run)


def test_the_id_of_a_first_run_is_the_jobs_code():
    assert order_ids.order_id(CODE, 1) == str(CODE)


@pytest.mark.parametrize(
    "text", ["", "x", f"{CODE}.", f"{CODE}.1", f"{CODE}.0", f"{CODE}.22", f"{CODE}\n", "-" * 36]
)
def test_any_other_text_is_the_id_of_no_order(text):
    with pytest.raises(ValueError):
        order_ids.parse(text)
