"""The operators' actions on real jobs of a running installation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system import Person, System, wait_for
from tests.test_end_to_end import code_of, renditions

pytestmark = pytest.mark.end_to_end

JOBS = "/admin/audio_transcoder/transcodejob/"
NOTICES = "/admin/elastic_transcoder/notice/"


@pytest.fixture
def operator(system: System) -> Iterator[Person]:
    admin = Person(system, "admin")
    admin.password = system.secrets()["ADMIN_PASSWORD"]
    admin.get("/accounts/login/")
    return admin.sign_in()


def act(operator: Person, url: str, action: str, pk: int) -> str:
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', operator.get(url).text)[1]
    answer = operator.post(
        url, {"csrfmiddlewaretoken": token, "action": action, "_selected_action": pk}
    )
    assert answer.status_code == 200
    return answer.text


def job_of(system: System, location: str) -> int:
    code = code_of(location).replace("-", "")
    return system.rows(
        "SELECT j.id FROM audio_transcoder_transcodejob j JOIN audio_transcoder_audiofile f"
        " ON f.id = j.audio_file_id WHERE f.code = ? ORDER BY j.id DESC",
        code,
    )[0][0]


def test_an_operator_cancels_a_running_job_and_retries_it(
    system: System, person: Person, operator: Person, long_music: Path
):
    location = person.upload(long_music, ("flac",))
    wait_for(system.ffmpeg_pids, "FFmpeg at work", 30)

    assert "1 job canceled" in act(operator, JOBS, "cancel", job_of(system, location))
    assert [row[:2] for row in renditions(system, code_of(location))] == [("flac", "Canceled")]

    assert "1 job ordered again" in act(operator, JOBS, "retry", job_of(system, location))
    person.wait_until_ready()
    statuses = [row[1] for row in renditions(system, code_of(location))]
    assert statuses == ["Canceled", "Complete"]
    assert person.messages() == ["Your file Seven minutes is ready."]


def test_an_operator_has_a_notice_sent_again_and_nobody_is_told_twice(
    system: System, person: Person, operator: Person, music: Path
):
    person.upload(music, ("flac",))
    person.wait_until_ready()
    sql = (
        "SELECT id, message_id FROM elastic_transcoder_notice"
        " WHERE state = 'COMPLETED' AND status = 'Delivered' ORDER BY id DESC"
    )
    wait_for(lambda: system.rows(sql), "a delivered notice", 10)
    pk, message_id = system.rows(sql)[0]

    assert "1 notice is sent again" in act(operator, NOTICES, "send_again", pk)

    def delivered_anew() -> bool:
        return any(row[0] == pk and row[1] != message_id for row in system.rows(sql))

    wait_for(delivered_anew, "its second delivery", 20)
    assert len(person.messages()) == 1
