"""The whole system on a real S3 server that refuses, breaks off, lies or goes away."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from playwright.sync_api import Page, Route, expect

from elastic_transcoder.client import client
from tests import sounds
from tests.direct import START, DirectUpload
from tests.faulty_proxy import (
    ALWAYS,
    Exchange,
    FaultyProxy,
    cut_off,
    hang,
    lie_about_size,
    lose_answer,
    pass_on,
    reset,
    reset_after,
    slow_down,
    throttle,
    time_too_skewed,
)
from tests.radosgw import S3Server
from tests.system import Person, SystemOnS3, wait_for
from tests.test_browser import sign_up, upload
from tests.test_end_to_end import code_of, renditions

pytestmark = [pytest.mark.s3, pytest.mark.end_to_end]

SOURCE = "/media/uploads/[^/]+/source"
RESULT = "/media/renditions/"
FLAC = "1351620000001-300110"


@pytest.fixture(scope="module")
def whole_proxy(s3_server: S3Server) -> Iterator[FaultyProxy]:
    with FaultyProxy(s3_server.url) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def system(
    s3_server: S3Server, whole_proxy: FaultyProxy, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SystemOnS3]:
    """An installation that reaches its store through the proxy."""
    running = SystemOnS3(
        tmp_path_factory.mktemp("faulty-s3"),
        s3_server,
        whole_proxy.url,
        TRANSCODER_WORKERS=1,
        NOTICE_RETRY_S=0.5,
        RECONCILE_S=5,
    ).start()
    yield running
    running.stop()


@pytest.fixture
def proxy(whole_proxy: FaultyProxy) -> Iterator[FaultyProxy]:
    whole_proxy.requests.clear()
    yield whole_proxy
    left = whole_proxy.heal()
    assert not left, f"the test set up faults that nothing met: {left}"


def try_to_upload(person: Person, path: Path) -> requests.Response:
    page = person.get("/audio/upload/")
    token = re.search(r'name="token" value="([0-9a-f-]+)"', page.text)[1]
    with path.open("rb") as file:
        return person.post(
            "/audio/upload/",
            {"token": token, "name": "", "formats": ["flac"]},
            files={"mp3_file": (path.name, file, "audio/mpeg")},
            allow_redirects=False,
        )


def assert_store_is_down(answer: requests.Response) -> None:
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "60"
    assert "The store does not answer; nothing was saved." in answer.text


def assert_ready_once(system: SystemOnS3, person: Person, location: str) -> bytes:
    """The file has one good FLAC, two objects and one message; return the FLAC."""
    person.wait_until_ready()
    code = code_of(location)
    assert [row[:2] for row in renditions(system, code)] == [("flac", "Complete")]
    assert person.messages() == ["Your file Five seconds is ready."]
    assert len([key for key in system.objects() if code in key]) == 2
    return person.get(f"{location}download/flac/").content


def log_since(system: SystemOnS3, before: str) -> str:
    return system.log()[len(before) :]


# --- people meet a store that does not work ---------------------------------------------------


def test_s1_a_store_that_is_gone_when_the_upload_ends_is_503_and_the_next_try_works(
    system: SystemOnS3, proxy: FaultyProxy, person: Person, music: Path
):
    objects, files = system.objects_at_rest(), system.count("audio_transcoder_audiofile")
    with proxy.away():
        began = time.monotonic()
        assert_store_is_down(try_to_upload(person, music))
        assert time.monotonic() - began < 10
        assert person.get("/audio/").status_code == 200
    assert system.count("audio_transcoder_audiofile") == files
    assert set(system.objects()) <= set(objects)
    assert_ready_once(system, person, person.upload(music, ("flac",)))


def test_s1_a_store_that_takes_everything_and_says_nothing_is_503_within_five_seconds(
    system: SystemOnS3, proxy: FaultyProxy, person: Person, music: Path
):
    whole, form = DirectUpload(person, 5, sound, fingerprint="same"), small_form(person)
    parts = whole.send_all()
    finished = DirectUpload(person, 5, sound)
    location = finished.complete(finished.send_all()).json()["location"]
    calls: dict[str, Callable[[], requests.Response]] = {
        "begin": lambda: person_asks(person, "POST", START, declaration(size=5)),
        "begin again": lambda: person_asks(
            person, "POST", START, declaration(size=5, fingerprint="same")
        ),
        "list": lambda: whole.ask("GET", whole.path()),
        "unfinished": lambda: whole.ask("GET", "/audio/uploads/open/"),
        "complete": lambda: whole.complete(parts),
        "arrived": lambda: whole.ask("POST", f"/audio/uploads/s3/arrived?key={form}"),
        "download": lambda: person.get(f"{location}download/original/"),
        "plain form": lambda: try_to_upload(person, music),
    }
    proxy.meet(hang, target=f"/{system.bucket}", times=ALWAYS)
    # A busy machine may be slow; what waits for the store, or for another visitor, is so again.
    slow = slow_refusals(person, calls) and slow_refusals(person, calls)
    assert not slow, slow
    proxy.heal()
    assert whole.complete(parts).status_code == 200


def slow_refusals(
    person: Person, calls: dict[str, Callable[[], requests.Response]]
) -> dict[str, float]:
    """Ask all at once, each of which has to be refused; return the seconds of those over five."""
    with ThreadPoolExecutor(len(calls)) as pool:
        answers = {name: pool.submit(timed, call) for name, call in calls.items()}
        assert person.get("/audio/").status_code == 200  # needs no store
    for name, answer in answers.items():
        response, _ = answer.result()
        assert response.status_code == 503, (name, response.text)
        assert "The store does not answer; nothing was saved." in response.text, name
    return {name: one.result()[1] for name, one in answers.items() if one.result()[1] >= 5}


def sound(_start: int, size: int) -> bytes:
    return bytes(size)


def declaration(**metadata: object) -> dict[str, object]:
    return {"filename": "Song.wav", "type": "", "metadata": metadata}


def person_asks(person: Person, method: str, path: str, body: object = None) -> requests.Response:
    url, origin = person.system.url + path, {"Origin": person.system.url}
    return person.session.request(method, url, headers=origin, json=body, timeout=60)


def small_form(person: Person) -> str:
    """Begin an upload by form; return its key."""
    path = "/audio/uploads/s3/params?filename=Small.wav&type=audio/wav&metadata[size]=5"
    return person_asks(person, "GET", path).json()["fields"]["key"]


def timed(call: Callable[[], requests.Response]) -> tuple[requests.Response, float]:
    began = time.monotonic()
    response = call()
    return response, time.monotonic() - began


def test_s2_a_store_that_fails_after_some_parts_is_503_and_keeps_no_part(
    system: SystemOnS3, proxy: FaultyProxy, person: Person, tmp_path: Path
):
    objects, files = system.objects_at_rest(), system.count("audio_transcoder_audiofile")
    large = sounds.make(tmp_path / "four minutes.wav", 240)
    proxy.meet(slow_down, "PUT", "partNumber=2", times=3)
    assert_store_is_down(try_to_upload(person, large))
    assert proxy.asked("PUT", "partNumber=1")
    assert "Uploads" not in system.s3.list_multipart_uploads(Bucket=system.bucket)
    assert system.count("audio_transcoder_audiofile") == files
    assert set(system.objects()) <= set(objects)


def test_s3_hiccups_of_the_store_while_uploading_are_not_noticed(
    system: SystemOnS3, proxy: FaultyProxy, person: Person, music: Path
):
    proxy.meet(slow_down, "PUT", SOURCE)
    proxy.meet(reset_after(10_000), "PUT", SOURCE)
    location = person.upload(music, ("flac",))
    assert person.get(f"{location}download/original/").content == music.read_bytes()


def test_s4_keys_that_do_not_work_any_more_are_503_and_one_error_without_a_secret(
    system: SystemOnS3, s3_server: S3Server, person: Person, music: Path
):
    location = person.upload(music, ("flac",))
    person.wait_until_ready()
    before = system.log()
    s3_server.shut_out(system.keys)
    try:
        answers = [try_to_upload(person, music), person.get(f"{location}download/flac/")]
        health = wait_for(lambda: is_unhealthy(system), "health to say so")
    finally:
        s3_server.let_in(system.keys)
    for answer in answers:
        assert_store_is_down(answer)
    assert health == {"status": "not ok", "storage": "not ok"}
    errors = [line for line in log_since(system, before).splitlines() if "403" in line]
    assert len([line for line in errors if " 503 POST /audio/upload/" in line]) == 1
    for text in (*(answer.text for answer in answers), log_since(system, before)):
        assert system.keys.access_key_id not in text
        assert system.keys.secret_access_key not in text
    assert person.get(f"{location}download/flac/").status_code == 200


def is_unhealthy(system: SystemOnS3) -> dict[str, str]:
    answer = requests.get(f"{system.url}/health/", timeout=10)
    return {name: said for name, said in answer.json().items() if said == "not ok"}


def test_s4_clocks_apart_are_503_and_the_page_says_nothing_of_it(
    system: SystemOnS3, proxy: FaultyProxy, person: Person, music: Path
):
    before = system.log()
    proxy.meet(time_too_skewed, "PUT", SOURCE)
    answer = try_to_upload(person, music)
    assert_store_is_down(answer)
    assert "Skewed" not in answer.text
    assert "RequestTimeTooSkewed" in log_since(system, before)


# --- a worker meets it ------------------------------------------------------------------------


def test_s3_a_job_gets_through_whatever_goes_wrong_once(
    system: SystemOnS3, proxy: FaultyProxy, person: Person, music: Path, tmp_path: Path
):
    proxy.meet(reset, "HEAD", SOURCE)
    proxy.meet(slow_down, "GET", SOURCE)
    proxy.meet(cut_off(20_000), "GET", SOURCE)
    proxy.meet(throttle(200_000), "GET", SOURCE)
    proxy.meet(reset_after(10_000), "PUT", RESULT)
    proxy.meet(lose_answer, "PUT", RESULT)
    location = person.upload(music, ("flac",))
    result = tmp_path / "result.flac"
    result.write_bytes(assert_ready_once(system, person, location))
    assert sounds.decoded_seconds(result) == pytest.approx(5, abs=0.1)


def test_s3_a_job_waits_for_a_store_that_is_away_and_it_costs_no_attempt(
    system: SystemOnS3, proxy: FaultyProxy, person: Person, music: Path
):
    before = system.log()
    proxy.meet(slow_down, "GET", SOURCE, times=ALWAYS)
    location = person.upload(music, ("flac",))
    wait_for(lambda: "waits: " in log_since(system, before), "a job that waits", 60)
    assert person.messages() == []
    proxy.heal()
    assert_ready_once(system, person, location)
    assert system.count("elastic_transcoder_job", "attempts > 1") == 0


def test_s6_a_source_that_goes_before_the_worker_reads_it_is_lost_and_told_once(
    system: SystemOnS3, proxy: FaultyProxy, person: Person, music: Path
):
    def delete_first(exchange: Exchange) -> bool:
        key = urlsplit(exchange.request.target).path.removeprefix(f"/{system.bucket}/")
        system.s3.delete_object(Bucket=system.bucket, Key=key)
        return pass_on(exchange)

    proxy.meet(delete_first, "GET", SOURCE)
    person.upload(music, ("flac",))
    [message] = wait_for(person.messages, "a message")
    assert "The uploaded file is no longer in the store." in message
    assert len(proxy.asked("GET", SOURCE)) == 1


def test_s15_a_source_of_another_size_is_lost_and_never_converted(
    system: SystemOnS3, proxy: FaultyProxy, person: Person, music: Path
):
    before = system.log()
    proxy.meet(lie_about_size(4096), "HEAD", SOURCE, times=ALWAYS)
    person.upload(music, ("flac",))
    [message] = wait_for(person.messages, "a message")
    assert "The uploaded file is no longer in the store." in message
    assert "the upload is lost: The store has 4096 bytes of it" in log_since(system, before)


def test_s15_a_source_that_came_short_is_fetched_again_and_not_converted(
    system: SystemOnS3, proxy: FaultyProxy, person: Person, music: Path, tmp_path: Path
):
    before = system.log()
    proxy.meet(lie_about_size(30_000), "GET", SOURCE)  # less than two seconds of good MP3
    location = person.upload(music, ("flac",))
    result = tmp_path / "result.flac"
    result.write_bytes(assert_ready_once(system, person, location))
    assert sounds.decoded_seconds(result) == pytest.approx(5, abs=0.1)
    assert "came with another size" in log_since(system, before)


def test_s12_a_key_with_spaces_and_signs_is_converted_to_another(
    system: SystemOnS3, proxy: FaultyProxy, music: Path, tmp_path: Path
):
    source, target = "by hand/\u00e4 b+c%20&d=\u65e5.mp3", "by hand/ \u00fc+%2F '\".flac"
    system.write_object(source, music.read_bytes())
    secrets = system.secrets()
    api = client(
        endpoint_url=system.url,
        region_name="eu-west-1",
        access_key_id=secrets["TRANSCODER_ACCESS_KEY_ID"],
        secret_access_key=secrets["TRANSCODER_SECRET_ACCESS_KEY"],
    )
    [pipeline] = [one for one in api.list_pipelines()["Pipelines"] if one["Name"] == "Audio Files"]
    job = api.create_job(
        PipelineId=pipeline["Id"],
        Input={"Key": source},
        Outputs=[{"Key": target, "PresetId": FLAC}],
    )["Job"]
    api.get_waiter("job_complete").wait(Id=job["Id"], WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    result = tmp_path / "result.flac"
    result.write_bytes(system.read_object(target))
    assert sounds.decoded_seconds(result) == pytest.approx(5, abs=0.1)


# --- downloads --------------------------------------------------------------------------------


@pytest.fixture
def ready(system: SystemOnS3, person: Person, music: Path) -> str:
    location = person.upload(music, ("flac",))
    person.wait_until_ready()
    return location


def link_of(person: Person, location: str) -> str:
    answer = person.get(f"{location}download/flac/", allow_redirects=False)
    assert answer.status_code == 302
    assert "no-store" in answer.headers["Cache-Control"]
    return answer.headers["Location"]


def test_s17_an_object_is_reached_by_its_signed_link_alone(
    system: SystemOnS3, proxy: FaultyProxy, person: Person, ready: str
):
    link = link_of(person, ready)
    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in link
    assert requests.get(link, timeout=10).status_code == 200
    bare = link.partition("?")[0]
    for address in (
        bare,
        f"{proxy.url}/{system.bucket}/",
        re.sub("X-Amz-Expires=[0-9]+", "X-Amz-Expires=86400", link),
        link.replace("Five%20seconds", "Six%20seconds"),
        link.replace("/media/renditions/", "/media/uploads/"),
        re.sub("X-Amz-Signature=[0-9a-f]{4}", "X-Amz-Signature=0000", link),
    ):
        assert address != link
        assert requests.get(address, timeout=10).status_code == 403, address
    assert requests.put(link, data=b"other", timeout=10).status_code == 403
    assert requests.delete(link, timeout=10).status_code == 403


def test_s9_an_object_that_is_gone_is_a_page_of_ours_and_every_link_is_fresh(
    system: SystemOnS3, proxy: FaultyProxy, person: Person, ready: str
):
    first = link_of(person, ready)
    wait_for(lambda: link_of(person, ready) != first, "another second", 5)
    key = urlsplit(first).path.removeprefix(f"/{system.bucket}/")
    system.s3.delete_object(Bucket=system.bucket, Key=key)
    answer = person.get(f"{ready}download/flac/")
    assert answer.status_code == 404
    assert "text/html" in answer.headers["Content-Type"]
    assert "<Error>" not in answer.text


def test_s10_ranges_of_a_download_and_its_head_have_the_right_lengths(
    system: SystemOnS3, proxy: FaultyProxy, person: Person, ready: str
):
    whole = person.get(f"{ready}download/flac/").content
    head = person.session.head(f"{system.url}{ready}download/flac/", timeout=10)
    assert (head.status_code, head.headers["Content-Length"]) == (200, str(len(whole)))
    for asked, status, wanted in (
        ("bytes=10-19", 206, whole[10:20]),
        ("bytes=-5", 206, whole[-5:]),
        (f"bytes=100-{len(whole) * 2}", 206, whole[100:]),
        (f"bytes={len(whole)}-", 416, None),
    ):
        answer = person.get(f"{ready}download/flac/", headers={"Range": asked})
        assert answer.status_code == status, asked
        assert wanted is None or answer.content == wanted, asked
    for odd in ("bytes=19-10", "bytes=0-1,5-6", "nonsense"):
        answer = person.get(f"{ready}download/flac/", headers={"Range": odd})
        assert answer.status_code in (200, 206, 416), odd
        assert len(answer.content) in (len(whole), int(answer.headers["Content-Length"])), odd


@pytest.mark.browser
def test_s9_a_player_whose_link_has_ended_goes_on_where_it_was(
    page: Page, system: SystemOnS3, proxy: FaultyProxy, long_music: Path
):
    sign_up(page, system, "margaret")
    upload(page, system, long_music)
    expect(page.get_by_text("Your file Seven minutes is ready.").first).to_be_visible(
        timeout=120_000
    )
    asked, refused = [], []
    page.on(
        "request", lambda request: asked.append(request.url) if "/listen/" in request.url else None
    )

    def end_the_first_link(route: Route) -> None:
        """What the player asks of a link it has; what our own site redirects is not seen here."""
        if len(asked) > 1:
            route.continue_()
            return
        refused.append(route.request.url)
        route.fulfill(status=403)

    page.route(re.compile(f"^{re.escape(proxy.url)}/"), end_the_first_link)
    page.get_by_role("radio", name="WAV").check()
    player = page.locator("audio")
    player.evaluate("player => { player.muted = true; return player.play(); }")
    player.evaluate("player => { player.currentTime = 300; }")

    page.wait_for_function(
        "player => player.currentTime > 300.2 && !player.paused && !player.error",
        arg=player.element_handle(),
        timeout=30_000,
    )
    assert refused
    assert len(asked) == 2
