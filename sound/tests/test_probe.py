import os
import random
import signal
import socket
import struct
import time
import zlib
from pathlib import Path

import pytest

from sound import examination, kinds, probe
from sound.examination import Examiner
from sound.probe import NotSound
from sound.tests.conftest import run_ffmpeg
from tests import pictures


def refusal(path) -> str:
    with pytest.raises(NotSound) as caught:
        probe.probe(path)
    assert caught.value.reason in probe.REASONS
    assert caught.value.detail
    return caught.value.reason


def write(tmp_path, name: str, content: bytes):
    path = tmp_path / name
    path.write_bytes(content)
    return path


def wav(channels=1, rate=44100, bits=16, data=b"\0" * 88200, size=None) -> bytes:
    block = channels * bits // 8
    head = struct.pack(
        "<HHIIHH", 1, channels & 0xFFFF, rate, (rate * block) & 0xFFFFFFFF, block & 0xFFFF, bits
    )
    size = len(data) if size is None else size
    riff = (size + 36) & 0xFFFFFFFF
    start = b"RIFF" + struct.pack("<I", riff) + b"WAVEfmt " + struct.pack("<I", 16) + head
    return start + b"data" + struct.pack("<I", size) + data


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        checked = kind + data
        return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    row = b"\0" * (width // 8 + 1)
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    magic = b"\x89PNG\r\n\x1a\n"
    return magic + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


# --- What is sound ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "arguments", "container", "codec", "bits"),
    [
        ("a.mp3", [], "mp3", "mp3", None),
        ("a.wav", [], "wav", "pcm_s16le", 16),
        ("a24.wav", ["-c:a", "pcm_s24le"], "wav", "pcm_s24le", 24),
        ("a.flac", [], "flac", "flac", 16),
        ("a.m4a", [], "mov", "aac", None),
        ("alac.m4a", ["-c:a", "alac"], "mov", "alac", 16),
        ("a.aac", [], "aac", "aac", None),
        ("a.ogg", [], "ogg", "vorbis", None),
        ("a.opus", ["-c:a", "libopus"], "ogg", "opus", None),
        ("a.aiff", [], "aiff", "pcm_s16be", 16),
        ("a.wma", [], "asf", "wmav2", None),
        ("a.mka", [], "matroska", "vorbis", None),
        ("a.ts", ["-c:a", "aac"], "mpegts", "aac", None),
        ("a.mpg", ["-c:a", "mp2"], "mpeg", "mp2", None),
        ("a.flv", ["-c:a", "libmp3lame"], "flv", "mp3", None),
    ],
)
def test_every_kind_that_the_upload_page_names_is_known(
    tone, name, arguments, container, codec, bits
):
    sound = probe.probe(tone(name, "-ac", "2", *arguments))
    assert (sound.container, sound.codec, sound.bits) == (container, codec, bits)
    assert (sound.channels, sound.tracks, sound.has_picture) == (2, 1, False)
    assert sound.lossless == (bits is not None)
    assert abs(sound.duration_ms - 1000) < 60


def test_what_a_codec_puts_before_the_first_sample_is_not_counted(tone):
    """All that the one packet lasts is marked as no sound, or nearly all."""
    sound = probe.probe(tone("short.opus", "-c:a", "libopus", seconds=100 / 48_000, rate=48_000))
    assert 0 < sound.duration_ms <= 3


def test_a_flac_of_24_bits_says_so(tone):
    sound = probe.probe(tone("a24.flac", "-sample_fmt", "s32", "-bits_per_raw_sample", "24"))
    assert sound.bits == 24


def test_u7_content_decides_and_not_the_extension(tone, tmp_path):
    path = write(tmp_path, "a.txt", tone("a.mp3").read_bytes())
    assert probe.probe(path).container == "mp3"


def test_f4_a_cut_file_is_as_long_as_what_is_left(tone, tmp_path):
    for name in ("long.mp3", "long.wav", "long.flac", "long.ogg"):
        whole = tone(name, seconds=10).read_bytes()
        path = write(tmp_path, name, whole[: len(whole) // 2])
        assert 3000 < probe.probe(path).duration_ms < 7500, name


def test_f4_an_m4a_without_its_index_is_damaged(tone, tmp_path):
    whole = tone("long.m4a", seconds=10).read_bytes()
    assert refusal(write(tmp_path, "cut.m4a", whole[: len(whole) // 2])) == "damaged"


def test_f5_flipped_bits_and_junk_in_the_middle_end_in_time(tone, tmp_path):
    chance = random.Random(5)
    for name in ("long.mp3", "long.flac", "long.m4a", "long.ogg", "long.wma"):
        content = bytearray(tone(name, seconds=10).read_bytes())
        for _ in range(len(content) * 8 // 1000):
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        content[len(content) // 2 : len(content) // 2] = chance.randbytes(1_000_000)
        started = time.monotonic()
        try:
            probe.probe(write(tmp_path, name, bytes(content)))
        except NotSound as error:
            assert error.reason in probe.REASONS
        assert time.monotonic() - started < 10


def test_f6_what_is_appended_changes_nothing(tone, tmp_path):
    whole = tone("long.mp3", seconds=10).read_bytes()
    tail = b"TAG" + b"\0" * 125 + b"<html><script>alert(1)</script></html>" * 100 + b"PK\3\4" * 50
    sound = probe.probe(write(tmp_path, "a.mp3", whole + tail))
    assert abs(sound.duration_ms - 10_000) < 100


@pytest.mark.parametrize("rate", [8000, 11025, 35467, 134560, 192000, 384000])
def test_f10_unusual_rates_are_known(tmp_path, rate):
    path = write(tmp_path, "a.wav", wav(rate=rate, data=b"\0" * 2 * rate))
    assert probe.probe(path).sample_rate_hz == rate


@pytest.mark.parametrize("channels", [1, 2, 3, 6, 8])
def test_f11_one_to_eight_channels_are_known(tmp_path, channels):
    path = write(tmp_path, "a.wav", wav(channels=channels, data=b"\0" * channels * 20000))
    assert probe.probe(path).channels == channels


@pytest.mark.parametrize("channels", [0, 65535])
def test_f11_impossible_numbers_of_channels_are_damage(tmp_path, channels):
    assert refusal(write(tmp_path, "a.wav", wav(channels=channels))) == "damaged"


@pytest.mark.parametrize(
    "arguments",
    [
        ["-c:a", "pcm_u8"], ["-c:a", "pcm_s32le"], ["-c:a", "pcm_f32le"], ["-c:a", "pcm_f64le"],
        ["-c:a", "pcm_mulaw"], ["-c:a", "pcm_alaw"], ["-c:a", "adpcm_ms"],
        ["-c:a", "adpcm_ima_wav"],
    ],
    ids=lambda arguments: arguments[1],
)  # fmt: skip
def test_f12_every_kind_of_sample_inside_wav_is_known(tone, arguments):
    sound = probe.probe(tone("a.wav", *arguments))
    assert sound.codec == arguments[1]
    assert abs(sound.duration_ms - 1000) < 30


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 10_000_000])
def test_f13_what_is_there_counts_whatever_the_header_says(tmp_path, size):
    sound = probe.probe(write(tmp_path, "a.wav", wav(size=size)))
    assert abs(sound.duration_ms - 1000) < 5


def test_f13_rf64_is_known(tone):
    assert probe.probe(tone("a.wav", "-rf64", "always")).duration_ms == 1000


def test_f26_several_tracks_are_told(tone, tmp_path):
    path = tmp_path / "two.mka"
    one, two = str(tone("a.mp3")), str(tone("a.flac"))
    run_ffmpeg("-i", one, "-i", two, "-map", "0:a", "-map", "1:a", "-c", "copy", str(path))
    sound = probe.probe(path)
    assert (sound.tracks, sound.codec) == (2, "mp3")


def test_f2_the_sound_of_a_video_is_taken_and_a_silent_video_refused(tmp_path, tone):
    moving = ["-f", "lavfi", "-i", "testsrc=duration=1:size=64x64"]
    silent, loud = tmp_path / "silent.mp4", tmp_path / "loud.mp4"
    run_ffmpeg(*moving, str(silent))
    run_ffmpeg(*moving, "-i", str(tone("a.wav")), "-shortest", str(loud))
    assert probe.probe(loud).codec == "aac"
    assert refusal(silent) == "no_audio"


# --- What is none -----------------------------------------------------------------------------


def test_u1_an_empty_file_is_empty(tmp_path):
    assert refusal(write(tmp_path, "a.mp3", b"")) == "empty"


@pytest.mark.parametrize("length", [1, 2, 4, 10, 12, 20, 30])
def test_u2_a_few_bytes_are_no_sound(tmp_path, tone, length):
    for name in ("a.mp3", "a.wav", "a.flac", "a.m4a", "a.ogg", "a.wma"):
        content = tone(name).read_bytes()[:length]
        assert refusal(write(tmp_path, name, content)) == "not_audio", name


def test_u8_a_picture_has_no_sound(tmp_path):
    assert refusal(write(tmp_path, "a.mp3", png(64, 64))) == "no_audio"


@pytest.mark.parametrize(
    "content",
    [
        b"Just some text, nothing else.\n" * 100,
        b"<!DOCTYPE html><html><body>" + b"<p>x</p>" * 500,
        b"%PDF-1.7\n" + b"1 0 obj <<>> endobj\n" * 200,
        b"\x7fELF\2\1\1" + bytes(5000),
        b"PK\3\4" + bytes(range(256)) * 20,
        b"\x1f\x8b\x08\0" + random.Random(1).randbytes(3000),
    ],
    ids=["text", "html", "pdf", "program", "zip", "gzip"],
)
def test_f1_what_is_no_sound_at_all_is_not_audio(tmp_path, content):
    assert refusal(write(tmp_path, "a.mp3", content)) == "not_audio"


@pytest.mark.parametrize("seed", range(6))
def test_f1_random_bytes_are_not_audio(tmp_path, seed):
    content = random.Random(seed).randbytes(250_000)
    assert refusal(write(tmp_path, "a.mp3", content)) == "not_audio"


def test_f3_tags_without_sound_are_no_audio(tmp_path):
    tag = b"ID3\4\0\0" + bytes([0, 0, 16, 0]) + b"TIT2\0\0\0\5\0\0\3abcd" + bytes(2048 - 15)
    assert refusal(write(tmp_path, "a.mp3", tag)) == "no_audio"


def test_f3_a_header_without_samples_is_no_audio(tmp_path):
    assert refusal(write(tmp_path, "a.wav", wav(data=b""))) == "no_audio"


def test_f8_sound_beyond_the_limit_is_too_long(settings, tone):
    settings.MAX_DURATION_S = 5
    assert refusal(tone("long.mp3", seconds=10)) == "too_long"


def test_f8_a_header_that_lies_makes_nothing_too_long(settings, tmp_path):
    settings.MAX_DURATION_S = 5
    assert probe.probe(write(tmp_path, "a.wav", wav(size=2_000_000_000))).duration_ms == 1000


@pytest.mark.parametrize(
    "head",
    [b"MThd\0\0\0\6\0\1\0\1\0\x60", b"#!AMR\n", b"DSD \x1c\0\0\0", b"IMPM", b"RIFF\0\0\1\0AVI LIST",
     b"\0\0\1\xb3\x44\0\4\0", b"wvpk", b"MAC \x96\x0f"],
)  # fmt: skip
def test_f25_kinds_that_are_not_taken_are_unsupported(tmp_path, head):
    content = head + random.Random(3).randbytes(4000)
    assert refusal(write(tmp_path, "a.mp3", content)) == "unsupported"


@pytest.mark.parametrize("entry", [b"drms", b"enca", b"aavd"])
def test_f18_protected_files_are_unsupported(tone, tmp_path, entry):
    content = tone("a.m4a").read_bytes()
    # The sample entry stands in stsd, four bytes of its type after four of its size.
    at = content.index(b"mp4a", content.index(b"stsd"))
    path = write(tmp_path, "a.m4p", content[:at] + entry + content[at + 4 :])
    assert refusal(path) == "unsupported"


# --- What is hostile --------------------------------------------------------------------------

PLAYLISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{url}\n#EXTINF:1,\n{file}\n"
    "#EXT-X-ENDLIST\n",
    "hls with a key": '#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="{url}"\n#EXTINF:1,\nfile:{file}\n',
    "concat": "ffconcat version 1.0\nfile '{file}'\nfile '{url}'\n",
    "pls": "[playlist]\nFile1={url}\nFile2={file}\nNumberOfEntries=2\n",
    "cue": 'FILE "{file}" WAVE\n  TRACK 01 AUDIO\n    INDEX 01 00:00:00\n',
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=audio {port} RTP/AVP 0\n",
    "xspf": '<?xml version="1.0"?><playlist version="1" xmlns="http://xspf.org/ns/0/"><trackList>'
    "<track><location>{url}</location></track></trackList></playlist>",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static">'
    "<Period><AdaptationSet mimeType='audio/mp4'><Representation id='1' bandwidth='1'>"
    "<BaseURL>{url}</BaseURL></Representation></AdaptationSet></Period></MPD>",
    "smil": '<smil><body><audio src="{url}"/></body></smil>',
    "asx": '<asx version="3.0"><entry><ref href="{url}"/></entry></asx>',
}


@pytest.mark.parametrize("kind", PLAYLISTS)
def test_f19_a_playlist_dressed_as_sound_opens_nothing(tmp_path, tone, kind):
    marker = write(tmp_path, "marker.wav", tone("a.wav").read_bytes())
    old = (1_000_000_000, 1_000_000_000)
    os.utime(marker, old)
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.settimeout(0.05)
        port = trap.getsockname()[1]
        text = PLAYLISTS[kind].format(url=f"http://127.0.0.1:{port}/x.ts", file=marker, port=port)
        for extension in ("mp3", "m3u8"):
            path = write(tmp_path, f"a.{extension}", text.encode())
            assert refusal(path) == "not_audio"
        with pytest.raises(TimeoutError):
            trap.accept()
    # With relatime the first read of an old file moves its access time.
    assert marker.stat().st_atime == old[0]


def test_f14_a_huge_cover_is_not_decoded(tmp_path, tone):
    cover = write(tmp_path, "cover.png", png(16_000, 16_000))
    assert cover.stat().st_size < 300_000
    small, path = write(tmp_path, "small.png", png(16, 16)), tmp_path / "a.flac"
    run_ffmpeg(
        "-i", str(tone("a.flac")), "-i", str(small), "-map", "0", "-map", "1", "-c", "copy",
        "-disposition:v", "attached_pic", str(path),
    )  # fmt: skip
    path.write_bytes(_with_picture(path.read_bytes(), cover.read_bytes(), (16_000, 16_000)))
    sound = probe.probe(path)
    assert (sound.has_picture, sound.duration_ms) == (True, 1000)
    assert _extra_memory_kb(path, tone("a.flac")) < 32 * 1024


def _with_picture(flac: bytes, picture: bytes, size: tuple[int, int]) -> bytes:
    """Replace the picture of a FLAC file. Source: RFC 9639, section 8.8."""
    at, blocks = 4, []
    while True:
        kind, length = flac[at], int.from_bytes(flac[at + 1 : at + 4])
        body = flac[at + 4 : at + 4 + length]
        if kind & 0x7F == 6:
            mime = b"image/png"
            described = struct.pack(">II", 3, len(mime)) + mime + struct.pack(">I", 0)
            described += struct.pack(">IIII", *size, 1, 0)
            body = described + struct.pack(">I", len(picture)) + picture
        blocks.append(bytes([kind]) + len(body).to_bytes(3) + body)
        at += 4 + length
        if kind & 0x80:
            return flac[:4] + b"".join(blocks) + flac[at:]


def _peak_memory_kb(process_id: int) -> int:
    status = Path(f"/proc/{process_id}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))


def _extra_memory_kb(path, plain) -> int:
    """Return how much more memory looking at ``path`` takes than looking at ``plain``."""
    peaks = []
    for one in (path, plain):
        with examination.Examiner(one) as examiner:
            probe.probe(one, examiner=examiner)
            peaks.append(_peak_memory_kb(examiner.process_id))
    return peaks[0] - peaks[1]


def _vorbis_comments(flac: bytes, comments: list[bytes]) -> bytes:
    """Replace the comments of a FLAC file. Source: RFC 9639, section 8.6."""
    at, blocks = 4, []
    while True:
        kind, length = flac[at], int.from_bytes(flac[at + 1 : at + 4])
        body = flac[at + 4 : at + 4 + length]
        if kind & 0x7F == 4:
            items = b"".join(struct.pack("<I", len(one)) + one for one in comments)
            body = struct.pack("<I", 1) + b"x" + struct.pack("<I", len(comments)) + items
        blocks.append(bytes([kind]) + len(body).to_bytes(3) + body)
        at += 4 + length
        if kind & 0x80:
            return flac[:4] + b"".join(blocks) + flac[at:]


def test_f16_ten_megabytes_of_tags_are_cut_to_limits(tmp_path, tone):
    comments = [b"TAG%d=%s" % (number, b"x" * 10_000) for number in range(1000)]
    path = write(tmp_path, "a.flac", _vorbis_comments(tone("a.flac").read_bytes(), comments))
    sound = probe.probe(path)
    assert sound.duration_ms == 1000
    assert 0 < len(sound.tags) <= 64
    assert max(len(value) for value in sound.tags.values()) <= 1000
    assert _extra_memory_kb(path, tone("a.flac")) < 64 * 1024


@pytest.mark.parametrize(("count", "length"), [(5000, 700), (1, 1_400_000)])
@pytest.mark.parametrize("letter", ["x", "字", "\N{MUSICAL SYMBOL G CLEF}"])
def test_f16_tags_in_any_writing_are_cut_and_the_sound_is_taken(
    tmp_path, tone, count, length, letter
):
    value = (letter * length).encode()
    comments = [b"TAG%d=%s" % (number, value) for number in range(count)]
    comments += [b"TITLE=Song", b"ARTIST=" + value]
    path = write(tmp_path, "a.flac", _vorbis_comments(tone("a.flac").read_bytes(), comments))
    sound = probe.probe(path)
    assert (sound.duration_ms, sound.tags["title"]) == (1000, "Song")
    assert set(sound.tags["artist"]) == {letter}
    assert len(sound.tags) <= 64


def test_f16_broken_text_in_tags_costs_only_the_text(tmp_path, tone):
    comments = [b"TITLE=\xff\xfe\xd8\x00broken", b"ARTIST=ok", b"no equals sign", b"=no name"]
    path = write(tmp_path, "a.flac", _vorbis_comments(tone("a.flac").read_bytes(), comments))
    sound = probe.probe(path)
    assert sound.duration_ms == 1000
    assert sound.tags["artist"] == "ok"


def test_f17_control_and_direction_characters_leave_the_tags(tone):
    path = tone("a.mp3", "-metadata", "title=a\u202eb\x07c\u200bd", "-metadata", "artist=x\ny")
    assert probe.probe(path).tags == {"title": "abcd", "artist": "x y"}


def test_f17_markup_in_tags_stays_text(tone):
    path = tone("a.mp3", "-metadata", "title=<script>alert(1)</script>{{7*7}}")
    assert probe.probe(path).tags["title"] == "<script>alert(1)</script>{{7*7}}"


def test_f20_an_mp4_with_an_outside_reference_opens_nothing(tmp_path, tone):
    marker = write(tmp_path, "marker.wav", tone("a.wav").read_bytes())
    os.utime(marker, (1_000_000_000, 1_000_000_000))
    content = tone("a.m4a").read_bytes()
    # A data reference whose flag says: not in this file. Source: ISO/IEC 14496-12, 8.7.2.
    at = content.index(b"url \0\0\0\1")
    path = write(tmp_path, "a.m4a", content[: at + 4] + b"\0\0\0\0" + content[at + 8 :])
    try:
        probe.probe(path)
    except NotSound as error:
        assert error.reason == "damaged"
    assert marker.stat().st_atime == 1_000_000_000


def test_f21_an_examiner_that_is_killed_over_a_file_is_told_as_damage(tone):
    path = tone("a.mp3")
    with examination.Examiner(path) as examiner:
        probe.probe(path, examiner=examiner)
        os.kill(examiner.process_id, signal.SIGSEGV)
        with pytest.raises(NotSound, match="damaged: reading it failed"):
            probe.probe(path, examiner=examiner)


def test_f22_an_examiner_that_does_not_answer_is_ended(tone, monkeypatch):
    path = tone("a.mp3")
    with examination.Examiner(path) as examiner:
        probe.probe(path, examiner=examiner)
        os.kill(examiner.process_id, signal.SIGSTOP)
        monkeypatch.setattr(probe, "TIME_LIMIT_S", 0.2)
        with pytest.raises(NotSound, match="no answer within"):
            probe.probe(path, examiner=examiner)
        with pytest.raises(ProcessLookupError):
            os.killpg(examiner.process_id, 0)


def test_a_machine_that_cannot_look_is_not_the_files_fault(tone, monkeypatch):
    monkeypatch.setattr(examination, "MEMORY_BYTES", 64 << 20)
    with pytest.raises(examination.ExaminerNotStarted):
        probe.probe(tone("a.mp3"))


def test_f22_waiting_may_end_the_examiner(tone):
    def enough() -> None:
        raise KeyboardInterrupt

    path = tone("a.mp3")
    with examination.Examiner(path, waiting=enough) as examiner:
        os.kill(examiner.process_id, signal.SIGSTOP)
        with pytest.raises(KeyboardInterrupt):
            probe.probe(path, examiner=examiner)


def test_an_examiner_answers_several_questions(tone):
    path = tone("a.mp3")
    with examination.Examiner(path) as examiner:
        first, second = (probe.probe(path, examiner=examiner) for _ in range(2))
    assert first == second


def test_no_demuxer_that_opens_other_files_is_listed():
    forbidden = {
        "hls",
        "dash",
        "concat",
        "sdp",
        "rtsp",
        "image2",
        "applehttp",
        "avi",
        "tedcaptions",
    }
    assert not forbidden & set(kinds.DEMUXERS)


def test_a_codec_is_read_by_its_own_decoders():
    assert kinds.decoders_of("mp3") == ("mp3float", "mp3", "mp3adufloat")
    assert kinds.decoders_of("opus") == ("opus", "libopus")
    assert kinds.decoders_of("vorbis") == ("vorbis", "libvorbis")
    assert kinds.decoders_of("dts") == kinds.DECODERS


@pytest.mark.parametrize("kind", ["mp3", "flac", "m4a"])
def test_a_picture_is_handed_out_where_it_is_asked_for(tmp_path, kind):
    cover = pictures.picture()
    path = pictures.sound_with(tmp_path / f"a.{kind}", cover, title="Song")
    assert probe.probe(path, with_picture=True).picture == cover
    assert probe.probe_head(path, with_picture=True).picture == cover
    assert probe.probe(path).picture == b""


def test_a_sound_without_a_picture_hands_none_out(tone):
    assert probe.probe(tone("a.mp3"), with_picture=True).picture == b""


def test_f15_a_picture_beyond_the_limit_costs_only_the_picture(tmp_path):
    cover = pictures.picture()
    largest = cover + bytes(probe.PICTURE_BYTES - len(cover))
    path = pictures.sound_with(tmp_path / "a.mp3", largest)
    assert probe.probe(path, with_picture=True).picture == largest

    path = pictures.sound_with(tmp_path / "b.mp3", largest + b"\0")
    sound = probe.probe(path, with_picture=True)
    assert (sound.pictures, sound.picture) == (2, b"")


def test_a_picture_that_ends_its_reader_costs_only_the_picture(tmp_path, monkeypatch):
    path = pictures.sound_with(tmp_path / "a.mp3", pictures.picture())
    ask = Examiner.ask

    def end_then_ask(self, task, *arguments, **question):
        if task == "picture":
            os.kill(self.process_id, signal.SIGKILL)
        return ask(self, task, *arguments, **question)

    monkeypatch.setattr(Examiner, "ask", end_then_ask)
    sound = probe.probe(path, with_picture=True)
    assert (sound.codec, sound.picture) == ("mp3", b"")
