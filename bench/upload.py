"""A file's way through the web app, beside one FFmpeg that a person runs by hand.

Both are measured in turns, so that whatever else the machine does meets both. Each begins when
nothing is under way: after somebody was told, the loudness of the results is still measured.
"""

from __future__ import annotations

import http.client
import re
import statistics
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import requests

from bench.table import Line
from tests.sounds import FFMPEG
from tests.system import Person, System, wait_for

# Three voices, a slow swell and breath: no codec finds it trivial.
MUSIC = (
    "0.25*sin(2*PI*220*t)*(0.6+0.4*sin(2*PI*0.5*t))+0.2*sin(2*PI*331*t)+0.08*(random(0)-0.5)"
    "|0.25*sin(2*PI*221*t)+0.2*sin(2*PI*660*t)*(0.5+0.5*sin(2*PI*2*t))+0.08*(random(1)-0.5)"
)
LONG_S, LONG_TURNS = 420, 3
SHORT_S, SHORT_TURNS = 10, 9


def measure(folder: Path) -> list[Line]:
    long, short = (_music(folder / f"{seconds} s.mp3", seconds) for seconds in (LONG_S, SHORT_S))
    system = System(folder).start()
    try:
        person = Person(system, "bench").sign_up()
        _in_turns(person, short, 1)  # whatever is done once in each process
        of_short = _in_turns(person, short, SHORT_TURNS)
        of_long = _in_turns(person, long, LONG_TURNS)
    finally:
        system.stop()
    ratios = [ours / by_hand for by_hand, ours in of_long]
    more = [ours - by_hand for by_hand, ours in of_short]
    return [
        Line(
            "last byte uploaded → message, 7-minute MP3 → WAV, FLAC, MP4",
            "≤ 1.10 times FFmpeg by hand",
            f"median {statistics.median(ratios):.2f} times, least {min(ratios):.2f} times "
            f"({_seconds(of_long)})",
            statistics.median(ratios) <= 1.10,
        ),
        Line(
            "the same for a clip of 10 s",
            "≤ by hand + 0.5 s",
            f"median + {statistics.median(more):.2f} s, least + {min(more):.2f} s "
            f"({_seconds(of_short)})",
            statistics.median(more) <= 0.5,
        ),
    ]


def _seconds(turns: list[tuple[float, float]]) -> str:
    by_hand, ours = (statistics.median(column) for column in zip(*turns, strict=True))
    return f"medians {by_hand:.2f} s by hand, {ours:.2f} s here"


def _music(path: Path, seconds: int) -> Path:
    source = f"aevalsrc={MUSIC}:s=44100:d={seconds}"
    command = [FFMPEG, "-v", "error", "-f", "lavfi", "-i", source, "-b:a", "192k", str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return path


def _in_turns(person: Person, source: Path, turns: int) -> list[tuple[float, float]]:
    times = []
    for _ in range(turns):
        times.append((by_hand(source), uploaded(person, source)))
        wait_for(lambda: not _is_at_work(person.system), "rest", 300)
    return times


def _is_at_work(system: System) -> bool:
    return system.count("audio_transcoder_transcodejob", "facts_due_at IS NOT NULL") > 0


def by_hand(source: Path) -> float:
    """Return how long one FFmpeg takes for the three results of the web app's defaults."""
    results = [source.with_suffix(f".result.{extension}") for extension in ("wav", "flac", "mp4")]
    encoders = ["-c:a pcm_s16le", "-c:a flac", "-c:a aac -b:a 256k -movflags +faststart"]
    command = [FFMPEG, "-v", "error", "-y", "-i", str(source)]
    for encoder, result in zip(encoders, results, strict=True):
        command += ["-map", "0:a", *encoder.split(), str(result)]
    began = time.monotonic()
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    took = time.monotonic() - began
    for result in results:
        result.unlink()
    return took


def uploaded(person: Person, source: Path) -> float:
    """Return the seconds from the last byte sent to the moment at which the message was stored."""
    told = len(person.messages())
    form = _form(person, source)
    connection = http.client.HTTPConnection(person.system.url.removeprefix("http://"), timeout=60)
    connection.request("POST", "/audio/upload/", form.body, dict(form.headers))
    sent_at = datetime.now(UTC)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    if answer.status != 302:
        raise RuntimeError(f"the upload was answered {answer.status}")
    while len(person.messages()) == told:
        if (datetime.now(UTC) - sent_at).total_seconds() > 300:
            raise RuntimeError("no message came within five minutes")
        time.sleep(0.05)
    [(stored_at, text)] = person.system.rows(
        "SELECT created_at, text FROM transcode_messages_message ORDER BY id DESC LIMIT 1"
    )
    if not text.endswith("is ready."):
        raise RuntimeError(text)
    return (datetime.fromisoformat(stored_at).replace(tzinfo=UTC) - sent_at).total_seconds()


def _form(person: Person, source: Path) -> requests.PreparedRequest:
    page = person.get("/audio/upload/").text
    data = {
        "csrfmiddlewaretoken": person.session.cookies["csrftoken"],
        "token": re.search(r'name="token" value="([0-9a-f-]+)"', page)[1],
        "name": "",
        "formats": ["wav", "flac", "mp4"],
    }
    request = requests.Request(
        "POST",
        person.system.url + "/audio/upload/",
        data=data,
        files={"mp3_file": (source.name, source.read_bytes(), "audio/mpeg")},
        headers={"Referer": person.system.url},
    )
    return person.session.prepare_request(request)
