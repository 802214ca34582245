"""The operators' actions on real jobs of a running installation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests import sounds
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


def act(operator: Person, url: str, action: str, pk: int | str) -> str:
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
    wait_for(system.ffmpeg_pids, "FFmpeg at work")

    assert "1 job canceled" in act(operator, JOBS, "cancel", job_of(system, location))
    assert [row[:2] for row in renditions(system, code_of(location))] == [("flac", "Canceled")]

    assert "1 job ordered again" in act(operator, JOBS, "retry", job_of(system, location))
    person.wait_until_ready()
    statuses = [row[1] for row in renditions(system, code_of(location))]
    assert statuses == ["Complete"]  # what it replaces is gone
    assert person.messages() == ["Your file Seven minutes is ready."]


def test_an_operator_has_a_notice_sent_again_and_nobody_is_told_twice(
    system: System, person: Person, operator: Person, music: Path
):
    code = code_of(person.upload(music, ("flac",)))
    person.wait_until_ready()
    sql = (
        "SELECT n.id, n.message_id FROM elastic_transcoder_notice n"
        " JOIN elastic_transcoder_job j ON j.id = n.job_id"
        " WHERE n.state = 'COMPLETED' AND n.status = 'Delivered' AND j.inputs LIKE ?"
    )

    def delivered() -> list[tuple[int, str]]:
        return system.rows(sql, f"%{code}%")

    [(pk, message_id)] = wait_for(delivered, "a delivered notice")

    assert "1 notice is sent again" in act(operator, NOTICES, "send_again", pk)

    def is_delivered_anew() -> bool:
        return any(row[0] == pk and row[1] != message_id for row in delivered())

    wait_for(is_delivered_anew, "its second delivery")
    assert len(person.messages()) == 1


CONSOLE = "/admin/elastic_transcoder"
MP3, FLAC = "1351620000001-300020", "1351620000001-300110"


def send(operator: Person, url: str, **data: str) -> str:
    """Fill a form of the console; return the id of what the page is about that it leads to."""
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', operator.get(url).text)[1]
    answer = operator.post(url, {"csrfmiddlewaretoken": token, **data})
    assert answer.status_code == 200, answer.text
    return re.search(r"/(\d{13}-\w{6})/change/$", answer.url)[1]


def test_an_operator_makes_a_job_by_hand_and_repeats_it(
    system: System, person: Person, operator: Person, music: Path
):
    before = set(system.objects())
    person.upload(music, ("flac",))
    person.wait_until_ready()
    # Others have uploaded longer ones.
    new = set(system.objects()) - before
    [source] = [key for key in new if key.endswith("/source")]
    pipeline = send(
        operator,
        f"{CONSOLE}/pipeline/add/",
        name="By hand",
        input_bucket="local",
        output_bucket="local",
        role="arn:aws:iam::000000000000:role/x",
    )

    def status_of(job: str) -> str:
        return system.rows("SELECT status FROM elastic_transcoder_job WHERE id = ?", job)[0][0]

    def is_complete(job: str) -> bool:
        assert status_of(job) != "Error", operator.get(f"{CONSOLE}/job/{job}/change/").text
        return status_of(job) == "Complete"

    # A paused pipeline holds the job; once it is resumed nobody waits for the clock.
    assert "1 pipeline paused" in act(operator, f"{CONSOLE}/pipeline/", "pause", pipeline)
    first = send(
        operator,
        f"{CONSOLE}/job/add/",
        **{
            "pipeline": pipeline,
            "input_key": source,
            "prefix": "by hand/",
            "rows": "3",
            "output-1-key": "five.mp3",
            "output-1-preset": MP3,
            "output-2-key": "five.flac",
            "output-2-preset": FLAC,
        },
    )
    assert status_of(first) == "Submitted"
    assert "its pipeline is paused" in operator.get(f"{CONSOLE}/job/{first}/change/").text
    assert "1 pipeline resumed" in act(operator, f"{CONSOLE}/pipeline/", "resume", pipeline)
    wait_for(lambda: is_complete(first), "the job made by hand")

    repeat = f"{CONSOLE}/job/{first}/repeat/"
    offered = re.search(r'name="prefix" value="([^"]+)"', operator.get(repeat).text)[1]
    second = send(operator, repeat, prefix=offered)
    wait_for(lambda: is_complete(second), "the repeated job")

    page = operator.get(f"{CONSOLE}/job/{second}/change/").text
    assert "Complete; the work took" in page
    assert f"{offered}five.flac" in page
    for prefix in ("by hand/", offered):
        for name in ("five.mp3", "five.flac"):
            made = object_file(system, f"{prefix}{name}")
            assert sounds.decoded_seconds(made) == pytest.approx(5, abs=0.1)


def object_file(system: System, key: str) -> Path:
    """Return the file of an object whose name is safe but for spaces."""
    found = [one for one in system.objects() if unquote(one) == key]
    assert len(found) == 1, system.objects()
    return system.data_dir / "buckets" / "local" / found[0]
