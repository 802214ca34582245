import shutil
import time

import pytest

from elastic_transcoder.worker import conversion, ffmpeg
from elastic_transcoder.worker.conversion import Limits

LIMITS = {
    "time_s": 60.0,
    "stall_s": 30.0,
    "memory_bytes": 2 << 30,
    "file_bytes": 1 << 30,
    "sound_s": 3600.0,
}


@pytest.fixture
def convert(tmp_path):
    """Return a runner of programs in FFmpeg's place; a text is a shell script."""
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()

    def run(program, progressed=lambda seconds: None, **limits) -> conversion.Outcome:
        argv = ["sh", "-c", program] if isinstance(program, str) else program
        return conversion.convert(
            argv,
            folder=tmp_path / "out",
            readable=[tmp_path / "in"],
            limits=Limits(**(LIMITS | limits)),
            progressed=progressed,
        )

    return run


def test_the_decoded_samples_are_read_from_the_end_of_the_log(convert, tmp_path, tone):
    shutil.copy(tone("a.mp3", "-ac", "2"), tmp_path / "in" / "a")
    outcome = convert(
        [
            ffmpeg.binary(), "-nostdin", "-loglevel", "level+verbose", "-progress", "pipe:1",
            "-i", f"file:{tmp_path / 'in' / 'a'}", "-ar", "22050", "-f", "wav",
            f"file:{tmp_path / 'out' / 'r'}",
        ]
    )  # fmt: skip
    assert (outcome.ended, outcome.returncode) == ("done", 0)
    assert outcome.decoded_samples == {0: 44100}
    assert outcome.encoded_samples == {0: 22050}
    assert not outcome.changed_rate


def test_f24_a_flood_on_stderr_is_drained_and_its_end_kept(convert):
    noise = "[error] /secret/path/file broken \033[31m " + "x" * 60
    outcome = convert(
        f"i=0; while [ $i -lt 30000 ]; do echo '{noise}' >&2; i=$((i+1)); done; echo last >&2"
    )
    assert outcome.ended == "done"
    assert outcome.log.endswith("last")
    assert len(outcome.log.encode()) <= 2048
    assert "secret" not in outcome.log
    assert "\033" not in outcome.log


def test_f24_an_endless_line_on_stdout_takes_no_memory(convert):
    # sh cannot fork here, so it has to count by itself.
    outcome = convert("i=0; while [ $i -lt 50000 ]; do printf xxxxxxxxxxxxxxxx; i=$((i+1)); done")
    assert outcome.ended == "done"


@pytest.mark.parametrize(
    ("script", "limits", "ended"),
    [
        ("exec sleep 60", {"stall_s": 0.2}, "stalled"),
        ("i=0; while true; do i=$((i+1)); echo out_time_us=$i; done", {"time_s": 1.0}, "timed_out"),
        ("echo out_time_us=7200000000; exec sleep 60", {}, "too_long"),
        ("exec dd if=/dev/zero of=r bs=4096 count=100", {"file_bytes": 4096}, "too_large"),
        ("kill -SEGV $$", {}, "crashed"),
        ("exit 3", {}, "failed"),
        ("echo '[error] No space left on device' >&2; exit 1", {}, "disk_full"),
        ("echo '[out#0/wav @ 0x5e] [error] : File too large' >&2; exit 1", {}, "too_large"),
        ("exit 0", {}, "done"),
    ],
)
def test_f22_every_end_has_its_name_and_comes_in_time(convert, script, limits, ended):
    started = time.monotonic()
    assert convert(script, **limits).ended == ended
    assert time.monotonic() - started < 5


def test_a_program_that_only_reads_its_input_stands_not_still(convert, tmp_path):
    (tmp_path / "in" / "a").write_text("line\n" * 400)
    busy = "j=0; while [ $j -lt 6000 ]; do j=$((j+1)); done"
    seen = []
    read = f"while read -r line; do {busy}; done <{tmp_path / 'in' / 'a'}"
    outcome = convert(read, seen.append, stall_s=1.2)
    assert outcome.ended == "done"
    assert seen.count(0.0) >= 3


def test_a_file_that_vanishes_while_it_is_looked_at_does_no_harm(convert, monkeypatch, tmp_path):
    """FFmpeg writes a list of segments beside its place and renames it with every segment."""
    monkeypatch.setattr(conversion, "LOOK_S", 0.0)
    out = tmp_path / "out"
    outcome = convert(
        [
            ffmpeg.binary(), "-nostdin", "-v", "level+error", "-progress", "pipe:1",
            "-stats_period", "0.01", "-f", "lavfi", "-i", "sine=duration=2000", "-c:a", "mp2",
            "-f", "hls", "-hls_time", "1", "-hls_flags", "temp_file",
            "-hls_segment_filename", f"file:{out / '%05d.ts'}", f"file:{out / 'list.m3u8'}",
        ],
        sound_s=3000.0,
    )  # fmt: skip
    assert outcome.ended == "done"


def test_what_the_caller_raises_ends_the_program_at_once(convert):
    def stop(seconds: float) -> None:
        raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        convert("exec sleep 60", progressed=stop)
    assert time.monotonic() - started < 5


def test_s13_a_disk_that_runs_full_ends_the_program(convert, monkeypatch):
    monkeypatch.setattr(conversion, "FREE_BYTES", 10**18)
    assert convert("exec sleep 60").ended == "disk_full"
