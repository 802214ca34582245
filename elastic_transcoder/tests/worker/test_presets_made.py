"""What comes of each audio preset: one WAV goes in, PyAV tells what came out.

How near is near enough:

- **Length**: one frame of the codec, the contract's own measure. PCM and FLAC have no frames that
  could be too long: not one sample more or less. MP3 and MP4 say how much of the first and last
  frame is padding, so decoders drop it. A transport stream and a fragmented MP4 have no place to
  say so; there the encoder's start, one frame of 1,024 samples, is heard as silence and the last
  frame is as long as every other: up to two frames more, never less.
- **Bit rate**, of the packets alone, without the container's own: MP3 has a constant one, and
  packets differ by the one byte that makes 44,100 Hz come out even, so 0.1 %. AAC has an average
  that the encoder steers towards and that depends on what there is to hear, and in a transport
  stream a header of seven bytes on each packet, 2.4 kbit/s: 5 %.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import pytest

from elastic_transcoder import presets
from elastic_transcoder.models import Job
from elastic_transcoder.tests.conftest import run_ffmpeg

MP3_192K, MP3_160K = "1351620000001-300020", "1351620000001-300030"
AAC_64K, WAV_CD = "1351620000001-100141", "1351620000001-300300"
SECONDS = 5
PRESETS = {preset.id: preset for preset in presets.system_presets() if preset.is_audio}
# PyAV's names of the container and the codec; samples of a frame, 0 for none.
CONTAINER = {"mp4": "mov", "fmp4": "mov", "ts": "mpegts"} | {
    name: name for name in ("mp3", "flac", "wav")
}
CODEC = {"mp3": "mp3float", "AAC": "aac", "flac": "flac"}
PCM = {"8": "pcm_u8", "16": "pcm_s16le"}
FRAME = {"mp3": 1152, "AAC": 1024, "flac": 0, "pcm": 0}
BIT_RATE_PART = {"mp3": 0.001, "AAC": 0.05}


@dataclass(frozen=True)
class Heard:
    """What PyAV found in a file, decoded to its end."""

    container: str
    codec: str
    profile: str | None
    sample_rate_hz: int
    channels: int
    bits: int
    samples: int
    packets: int
    packet_bytes: int

    def kbps(self, frame: int) -> float:
        """Return the bit rate of packets that hold ``frame`` samples each."""
        return self.packet_bytes * 8 * self.sample_rate_hz / (self.packets * frame) / 1000


def listen(path: Path) -> Heard:
    with av.open(str(path)) as file:
        [stream] = file.streams
        packets = packet_bytes = samples = 0
        for packet in file.demux(stream):
            packets += bool(packet.size)  # the last one is empty, and only ends the stream
            packet_bytes += packet.size
            samples += sum(frame.samples for frame in packet.decode())
        context = stream.codec_context
        return Heard(
            container=file.format.name.partition(",")[0],
            codec=context.codec.name,
            profile=stream.profile,
            sample_rate_hz=stream.sample_rate,
            channels=stream.channels,
            bits=context.format.bytes * 8,
            samples=samples,
            packets=packets,
            packet_bytes=packet_bytes,
        )


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """A WAV of sweeps and a hiss on both sides: enough to hear for every bit rate."""
    path = tmp_path / "music.wav"
    left = "0.4*sin(2*PI*t*(200+1900*t))+0.3*sin(2*PI*t*(8000-700*t))+0.1*(random(0)-0.5)"
    right = "0.4*sin(2*PI*t*(100+1500*t))+0.3*sin(2*PI*t*(9000-800*t))+0.1*(random(1)-0.5)"
    run_ffmpeg("-f", "lavfi", "-i", f"aevalsrc={left}|{right}:s=44100:d={SECONDS}", str(path))
    return path


def test_every_audio_preset_gives_what_it_says(
    submit: Callable[..., Job],
    transcode: Callable[[Job], Job],
    result: Callable[..., Path],
    music: Path,
):
    job = transcode(submit(music, *PRESETS))
    outputs = list(job.outputs.all())
    assert [(one.preset_id, one.status, one.status_detail) for one in outputs] == [
        (preset_id, "Complete", "") for preset_id in PRESETS
    ]
    for output in outputs:
        assert wrong(PRESETS[output.preset_id], listen(result(output))) == {}, output.preset_id
        assert output.size_bytes == result(output).stat().st_size


def test_there_are_fourteen_audio_presets():
    assert len(PRESETS) == 14


def wrong(preset: presets.SystemPreset, heard: Heard) -> dict[str, tuple[object, object]]:
    """Return what is not as the preset says, each with what was found and what was wanted."""
    audio, options = preset.audio, preset.audio.get("CodecOptions", {})
    is_pcm = audio["Codec"] == "pcm"
    pairs = {
        "container": (heard.container, CONTAINER[preset.container]),
        "codec": (heard.codec, PCM[options["BitDepth"]] if is_pcm else CODEC[audio["Codec"]]),
        # AAC's profile "auto" is the encoder's choice; ours has LC alone.
        "profile": (heard.profile, "LC" if audio["Codec"] == "AAC" else None),
        "rate": (heard.sample_rate_hz, int(audio["SampleRate"])),
        "channels": (heard.channels, int(audio["Channels"])),
    }
    if "BitDepth" in options:
        pairs["depth"] = (heard.bits, int(options["BitDepth"]))
    found = {what: pair for what, pair in pairs.items() if pair[0] != pair[1]}

    frame = FRAME[audio["Codec"]]
    longer = heard.samples - SECONDS * heard.sample_rate_hz
    allowed = 2 * frame if preset.container in ("ts", "fmp4") else frame
    if not 0 <= longer <= allowed:
        found["samples too many"] = (longer, allowed)
    if "BitRate" in audio:
        kbps, wanted = heard.kbps(frame), int(audio["BitRate"])
        if abs(kbps / wanted - 1) > BIT_RATE_PART[audio["Codec"]]:
            found["bit rate"] = (kbps, wanted)
    return found


def test_a_result_of_another_preset_is_noticed(
    submit: Callable[..., Job],
    transcode: Callable[[Job], Job],
    result: Callable[..., Path],
    music: Path,
):
    [output] = transcode(submit(music, MP3_192K)).outputs.all()
    heard = listen(result(output))
    differences = {
        MP3_192K: set(),
        MP3_160K: {"bit rate"},
        AAC_64K: {"container", "codec", "profile", "channels", "bit rate"},
        WAV_CD: {"container", "codec", "depth"},
    }
    for preset_id, wanted in differences.items():
        assert wrong(PRESETS[preset_id], heard).keys() - {"samples too many"} == wanted
