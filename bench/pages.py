"""The pages of a person with 10,000 files: how long the server takes, and what a browser feels.

Requests come at a fixed rate whether or not earlier ones are answered, as people do; the time runs
from the moment a request was due. The figures of the browser are Chromium's own: when the largest
thing on the page was painted, and how much moved after it was.
"""

from __future__ import annotations

import contextlib
import http.client
import statistics
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from bench.table import Line, milliseconds, quantile, unmeasured
from tests import chromium
from tests.system import Person, System

FILES, MESSAGES = 10_000, 200
RATE, SECONDS, SENDERS = 50, 20, 32
LOOKS = 5
PROMISED_P95_S, PROMISED_LCP_MS, PROMISED_CLS = 0.2, 1500, 0.05
LCP = "largest paint, on localhost"
CLS = "what moves after it was painted (CLS)"

# Runs in the system's own shell: finished files of one person with all that is known of such, two
# results each, and messages.
FILL = """
import uuid
from django.contrib.auth import get_user_model
from django.utils import timezone
from audio_transcoder.models import AudioFile, Rendition, TranscodeJob, Waveform
from transcode_messages.models import Message
owner, now = get_user_model().objects.get(username="bench"), timezone.now()
sound = dict(channels=2, sample_rate_hz=44100, duration_ms=60_000, loudness_lufs=-14.2,
    true_peak_dbtp=-1.1)
files = AudioFile.objects.bulk_create([AudioFile(owner=owner, name=f"File {{number}}",
    file_name="a.mp3", size_bytes=4_000_000, container="mp3", codec="mp3", bitrate_kbps=192,
    title=f"Title {{number}}", artist="Somebody", album="Something", examined_at=now,
    kept_state=AudioFile.State.READY, mp3_file=f"uploads/{{number}}/source", **sound)
    for number in range({files})], batch_size=500)
Waveform.objects.bulk_create([Waveform(audio_file=file, peaks=bytes(range(250)) * 8)
    for file in files], batch_size=500)
jobs = TranscodeJob.objects.bulk_create([TranscodeJob(audio_file=file, engine="elastic",
    status="Complete", engine_id=uuid.uuid4().hex, placed_at=now, started_at=now, finished_at=now)
    for file in files], batch_size=500)
results = [Rendition.of(job, kind) for job in jobs for kind in ("wav", "flac")]
known = sound | dict(status="Complete", size_bytes=5_000_000, codec="flac", bits=16,
    bitrate_kbps=850, is_faithful=False, correlation=1.0, ready_at=now)
for result in results:
    for name, value in known.items():
        setattr(result, name, value)
Rendition.objects.bulk_create(results, batch_size=500)
Message.objects.bulk_create(Message(user=owner, event=uuid.uuid4().hex, about=file.code,
    level="success", text=f"Your file {{file.name}} is ready.", link=file.get_absolute_url())
    for file in files[:{messages}])
print(files[len(files) // 2].get_absolute_url())
"""

# Since the page began; both are told by the browser as it goes.
FELT = """() => new Promise(done => {
    let lcp = 0, cls = 0;
    new PerformanceObserver(list => { for (const it of list.getEntries()) lcp = it.startTime; })
        .observe({type: "largest-contentful-paint", buffered: true});
    new PerformanceObserver(list => {
        for (const it of list.getEntries()) if (!it.hadRecentInput) cls += it.value;
    }).observe({type: "layout-shift", buffered: true});
    setTimeout(() => done([lcp, cls]), 700);
})"""


def measure(folder: Path) -> list[Line]:
    system = System(folder, TRANSCODER_WORKERS=1).start()
    try:
        person = Person(system, "bench").sign_up()
        pages = fill(system)
        lines = [_served(system, person, name, path) for name, path in pages.items()]
        return [*lines, *_felt(system, person, pages)]
    finally:
        system.stop()


def fill(system: System, files: int = FILES, messages: int = MESSAGES) -> dict[str, str]:
    """Return the pages to measure, by name, of the person ``bench``, who has these files now."""
    words = FILL.format(files=files, messages=messages)
    detail = system.manage("shell", "-v", "0", "-c", words).stdout.split()[-1]
    return {
        "library": "/audio/",
        "detail": detail,
        "upload": "/audio/upload/",
        "messages": "/messages/",
        "profile": "/accounts/",  # sums up all that somebody keeps
    }


def _served(system: System, person: Person, name: str, path: str) -> Line:
    took = send(system, person, path, RATE, SECONDS)
    return Line(
        f"page {name}, {FILES:,} files, {RATE}/s",
        f"p95 ≤ {PROMISED_P95_S * 1000:.0f} ms",
        milliseconds(took),
        quantile(took, 0.95) <= PROMISED_P95_S,
    )


def send(system: System, person: Person, path: str, rate: int, seconds: float) -> list[float]:
    """Ask for a page at this rate; return how long after it was due each answer had come.

    Raises RuntimeError when one is not answered 200.
    """
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in person.session.cookies)
    due = iter(range(int(rate * seconds)))
    began, lock = time.monotonic() + 0.2, threading.Lock()
    took: list[float] = []
    wrong: list[int] = []

    def ask() -> None:
        with contextlib.closing(
            http.client.HTTPConnection("127.0.0.1", system.port, timeout=60)
        ) as connection:
            while True:
                with lock:
                    number = next(due, None)
                if number is None:
                    return
                at = began + number / rate
                time.sleep(max(0.0, at - time.monotonic()))
                connection.request("GET", path, headers={"Cookie": cookies})
                answer = connection.getresponse()
                answer.read()
                took.append(time.monotonic() - at)
                if answer.status != 200:
                    wrong.append(answer.status)

    senders = [threading.Thread(target=ask) for _ in range(SENDERS)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    if wrong:
        raise RuntimeError(f"{path} was answered {sorted(set(wrong))}, {len(wrong)} times")
    return took


def _felt(system: System, person: Person, pages: Mapping[str, str]) -> list[Line]:
    promises = {LCP: f"≤ {PROMISED_LCP_MS} ms", CLS: f"≤ {PROMISED_CLS}"}
    try:
        with _browser() as browser:
            found = felt(browser, system, person, {"start": "/", **pages}, LOOKS)
    except FileNotFoundError as error:
        return [unmeasured(what, promise, str(error)) for what, promise in promises.items()]
    paints = {name: statistics.median(lcp for lcp, _ in looks) for name, looks in found.items()}
    shifts = {name: max(cls for _, cls in looks) for name, looks in found.items()}
    return [
        Line(
            f"{LCP}, median of {LOOKS}",
            promises[LCP],
            ", ".join(f"{name} {value:.0f}" for name, value in paints.items()) + " ms",
            min(paints.values()) > 0 and max(paints.values()) <= PROMISED_LCP_MS,
        ),
        Line(
            f"{CLS}, most of {LOOKS}",
            promises[CLS],
            ", ".join(f"{name} {value:.3f}" for name, value in shifts.items()),
            max(shifts.values()) <= PROMISED_CLS,
        ),
    ]


def felt(
    browser: Browser, system: System, person: Person, pages: Mapping[str, str], looks: int
) -> dict[str, list[tuple[float, float]]]:
    """Return (largest paint in ms, shift) of each look at each page; ``/`` is a visitor's."""
    found: dict[str, list[tuple[float, float]]] = {}
    for name, path in pages.items():
        context = browser.new_context()
        if path != "/":
            context.add_cookies(
                [
                    {"name": cookie.name, "value": cookie.value, "url": system.url}
                    for cookie in person.session.cookies
                ]
            )
        page = context.new_page()
        for _ in range(looks):
            page.goto(system.url + path, wait_until="load")
            found.setdefault(name, []).append(tuple(page.evaluate(FELT)))
        context.close()
    return found


@contextlib.contextmanager
def _browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**chromium.launch_arguments(playwright))
        try:
            yield browser
        finally:
            browser.close()
