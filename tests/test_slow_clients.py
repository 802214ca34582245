"""U6: people who send slowly, or stop sending, cost nobody else their speed."""

from __future__ import annotations

import contextlib
import re
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.system import Person, System, wait_for

pytestmark = pytest.mark.end_to_end

SLOW_CLIENTS = 50
IDLE_S = 3.0


@pytest.fixture(scope="module")
def impatient_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A running installation that cuts a standing client after 3 seconds instead of 60."""
    running = System(
        tmp_path_factory.mktemp("impatient"), CLIENT_IDLE_S=IDLE_S, TRANSCODER_WORKERS=1
    ).start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def sender(impatient_system: System) -> Person:
    return Person(impatient_system, "sender").sign_up()


def connect(system: System) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", system.port), timeout=30)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def head_of_an_upload(system: System, person: Person | None) -> bytes:
    """A whole request head, and the first bytes of a body that is said to be long."""
    cookies = person.session.cookies.get_dict() if person else {"sessionid": "x" * 32}
    pairs = "; ".join(f"{name}={value}" for name, value in cookies.items())
    return (
        "POST /audio/upload/ HTTP/1.1\r\n"
        f"Host: 127.0.0.1:{system.port}\r\n"
        f"Cookie: {pairs}\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n"
        "Content-Length: 1000000\r\n\r\n"
        '--b\r\nContent-Disposition: form-data; name="mp3_file"; filename="a.mp3"\r\n'
        "Content-Type: audio/mpeg\r\n\r\n"
    ).encode()


def page_seconds(system: System) -> float:
    """The median time of a page that asks the database, over ten fresh connections."""
    times = []
    for _ in range(10):
        began = time.monotonic()
        assert requests.get(f"{system.url}/accounts/login/", timeout=30).status_code == 200
        times.append(time.monotonic() - began)
    return statistics.median(times)


class Drip:
    """Clients that each send a byte a second for as long as the block lasts."""

    def __init__(self, clients: list[socket.socket]) -> None:
        self.clients = clients
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._end.wait(1):
            for client in self.clients:
                with contextlib.suppress(OSError):
                    client.send(b"a")

    def __enter__(self) -> Drip:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        for client in self.clients:
            client.close()


@pytest.mark.parametrize("kind", ["uploading", "signed out", "sending a head", "silent"])
def test_u6_fifty_clients_at_a_byte_a_second_slow_nobody_down(
    impatient_system: System, sender: Person, kind: str
):
    system = impatient_system
    first_bytes = {
        "uploading": head_of_an_upload(system, sender),
        "signed out": head_of_an_upload(system, None),
        "sending a head": b"GET /audio/ HTTP/1.1\r\nX-Slow: ",
        "silent": b"",
    }[kind]
    page_seconds(system)
    before = page_seconds(system)
    clients = [connect(system) for _ in range(SLOW_CLIENTS)]
    for client in clients:
        client.sendall(first_bytes)
    if kind == "silent":
        meanwhile = page_seconds(system)
        for client in clients:
            client.close()
    else:
        with Drip(clients):
            time.sleep(1.5)
            meanwhile = page_seconds(system)
    after = page_seconds(system)  # the machine may have got other work in the meantime
    assert meanwhile < max(before, after) * 2 + 0.1


def is_cut(client: socket.socket, within_s: float) -> bool:
    """Whether the server ends the connection, whatever it says before that."""
    client.settimeout(within_s)
    try:
        while client.recv(65536):
            pass
    except TimeoutError:
        return False
    except ConnectionResetError:
        return True
    return True


def test_u6_an_upload_that_stops_is_cut_and_leaves_nothing(
    impatient_system: System, sender: Person
):
    system = impatient_system
    before = system.objects()
    with connect(system) as client:
        began = time.monotonic()
        client.sendall(head_of_an_upload(system, sender) + b"ID3" + bytes(200_000))
        assert is_cut(client, IDLE_S * 4)
        assert time.monotonic() - began > IDLE_S * 0.8
    assert set(system.objects()) <= set(before)
    assert system.count("audio_transcoder_audiofile") == 0
    wait_for(lambda: not list((system.data_dir / "tmp").iterdir()), "an empty folder", 5)


def test_u6_a_head_that_drips_is_cut_although_it_never_stands_still(impatient_system: System):
    client = connect(impatient_system)
    client.sendall(b"GET /audio/ HTTP/1.1\r\nX-Slow: ")
    began = time.monotonic()
    with Drip([client]):
        assert is_cut(client, IDLE_S * 4)
    assert time.monotonic() - began < IDLE_S * 3


def test_u6_a_client_that_does_not_take_its_answer_is_cut(impatient_system: System):
    """A page is small, a file is not: the answer has to be longer than the buffers between."""
    system = impatient_system
    page = requests.get(f"{system.url}/accounts/login/", timeout=10).text
    path = re.search(r'href="(/static/[^"]+\.css)"', page)[1]
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{system.port}\r\n\r\n".encode()
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", system.port))
        client.settimeout(0.5)
        sent = 0
        with contextlib.suppress(TimeoutError, ConnectionError):
            while sent < 5000:  # requests on one connection, whose answers nobody reads
                client.sendall(request)
                sent += 1
        assert sent > 10
        wait_for(lambda: not is_connected(client), "the end of the connection", IDLE_S * 4)


def is_connected(client: socket.socket) -> bool:
    """Whether the server still has its side; 1 is TCP_ESTABLISHED in tcp(7)'s TCP_INFO."""
    return client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == 1


def test_d11_the_access_log_has_paths_and_no_secrets(impatient_system: System, sender: Person):
    system = impatient_system
    requests.get(f"{system.url}/audio/?token=hunter2", timeout=10)
    requests.get(f"{system.url}/accounts/password/reset/key/1-hunter3/", timeout=10)
    requests.get(f"{system.url}/2012-09-25/jobs%0aforged", timeout=10)
    requests.get(
        f"{system.url}/2012-09-25/presets",
        headers={"Authorization": "AWS4-HMAC-SHA256 Credential=hunter4"},
        timeout=10,
    )
    # A line is written after its answer was sent.
    for path in (
        "/audio/ ",
        "/accounts/password/reset/",
        "/2012-09-25/jobs",
        "/2012-09-25/presets",
    ):
        wait_for(lambda: f'"GET {path}' in system.access_log(), path, 20)  # noqa: B023
    log = system.access_log()
    assert '"GET /audio/ HTTP/1.1" 302' in log
    assert "hunter" not in log
    assert "\nforged" not in log
    assert re.search(r'"GET /2012-09-25/presets HTTP/1\.1" 40\d .* signed$', log, re.MULTILINE)
    assert re.search(r'"GET /audio/ HTTP/1\.1" 302 .* -$', log, re.MULTILINE)


def test_the_web_server_leaves_nothing_in_the_home(impatient_system: System):
    home = Path(impatient_system.environment["HOME"])
    assert not list(home.glob(".gunicorn*"))
    assert not list(home.rglob("*.ctl"))
