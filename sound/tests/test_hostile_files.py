"""Files made to confuse: covers, tags, sizes, attachments, and a reader that fails."""

from __future__ import annotations

import os
import shutil
import socket
import struct

import pytest

from sound import examination, probe
from sound.probe import NotSound
from sound.tests.conftest import run_ffmpeg
from sound.tests.test_probe import _extra_memory_kb, png, refusal, wav, write


def picture_block(mime: bytes, data: bytes) -> bytes:
    """A FLAC picture. Source: RFC 9639, section 8.8."""
    head = struct.pack(">II", 3, len(mime)) + mime + struct.pack(">I", 0)
    return head + struct.pack(">IIII", 64, 64, 24, 0) + struct.pack(">I", len(data)) + data


def with_blocks(flac: bytes, *blocks: tuple[int, bytes]) -> bytes:
    """Put metadata blocks behind STREAMINFO, the first block. Source: RFC 9639, section 8.1."""
    end = 4 + 4 + int.from_bytes(flac[5:8])
    added = b"".join(bytes([kind]) + len(body).to_bytes(3) + body for kind, body in blocks)
    return flac[:end] + added + flac[end:]


PICTURE = 6
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
COVERS = {
    "text": (b"image/jpeg", b"no picture at all"),
    "nothing": (b"image/png", b""),
    "broken": (b"image/png", png(64, 64)[:60] + b"\xff" * 200),
    "a script": (b"image/svg+xml", SVG),
    "a page": (b"image/png", b"<html><script>alert(1)</script></html>"),
    "an address": (b"-->", b"http://127.0.0.1:9/x.png"),
}


@pytest.mark.parametrize("kind", COVERS)
def test_f15_a_cover_that_is_none_costs_only_the_cover(tmp_path, tone, kind):
    content = with_blocks(tone("a.flac").read_bytes(), (PICTURE, picture_block(*COVERS[kind])))
    assert probe.probe(write(tmp_path, "a.flac", content)).duration_ms == 1000


def test_f15_a_cover_of_many_megabytes_costs_only_the_cover(tmp_path, tone):
    """A FLAC block holds 16 MB at most; an ID3 tag would hold more, and so it does here."""
    picture = b"\0image/png\0\3\0" + png(16, 16) + bytes(60 * 1024**2)
    frame = b"APIC" + _unsynced(len(picture)) + b"\0\0" + picture
    tag = b"ID3\4\0\0" + _unsynced(len(frame)) + frame
    path = write(tmp_path, "a.mp3", tag + tone("a.mp3").read_bytes())
    try:
        assert abs(probe.probe(path).duration_ms - 1000) < 60
    except NotSound as error:
        assert error.reason in ("damaged", "no_audio")


def _unsynced(size: int) -> bytes:
    """A size as ID3v2.4 writes it: four bytes of seven bits."""
    return bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))


def test_f16_hundreds_of_covers_cost_little(tmp_path, tone):
    covers = [(PICTURE, picture_block(b"image/png", png(16, 16)))] * 500
    path = write(tmp_path, "a.flac", with_blocks(tone("a.flac").read_bytes(), *covers))
    sound = probe.probe(path)
    assert (sound.duration_ms, sound.pictures) == (1000, 500)
    assert _extra_memory_kb(path, tone("a.flac")) < 64 * 1024


def test_f16_a_thousand_blocks_of_comments_cost_little(tmp_path, tone):
    plain = tone("a.flac").read_bytes()
    comment = struct.pack("<I", 1) + b"x" + struct.pack("<I", 1) + struct.pack("<I", 7) + b"TITLE=y"
    path = write(tmp_path, "a.flac", with_blocks(plain, *[(4, comment)] * 1000))
    sound = probe.probe(path)
    assert (sound.duration_ms, len(sound.tags) <= 64) == (1000, True)
    assert _extra_memory_kb(path, tone("a.flac")) < 64 * 1024


def test_f16_broken_utf_16_in_an_id3_tag_costs_only_the_text(tmp_path, tone):
    text = b"\1\xff\xfe\x00\xd8\x00\xd8a"  # half a surrogate pair, twice, and half a letter
    frame = b"TIT2" + _unsynced(len(text)) + b"\0\0" + text
    tag = b"ID3\4\0\0" + _unsynced(len(frame)) + frame
    sound = probe.probe(write(tmp_path, "a.mp3", tag + tone("a.mp3").read_bytes()))
    assert abs(sound.duration_ms - 1000) < 60
    assert all(value.isprintable() for value in sound.tags.values())


def test_f29_a_tag_reader_that_raises_leaves_the_sound_without_tags(tmp_path, tone, monkeypatch):
    """The examiner as it is, but for its reader of tags."""
    folder = tmp_path / "examiner"
    shutil.copytree(examination._PROGRAM, folder)
    with (folder / "tags.py").open("a") as tags:
        tags.write("\n\ndef merged(*sources):\n    return 1 // 0\n")
    monkeypatch.setattr(examination, "_PROGRAM", folder)
    sound = probe.probe(tone("a.mp3", "-metadata", "title=x"))
    assert sound.tags == {}
    assert abs(sound.duration_ms - 1000) < 60


def test_f13_an_odd_number_of_bytes_and_chunks_around_the_sound(tmp_path):
    odd = wav(bits=8, data=b"\x80" * 44101)
    assert abs(probe.probe(write(tmp_path, "odd.wav", odd + b"\0")).duration_ms - 1000) < 5
    junk = b"JUNK" + struct.pack("<I", 7) + b"1234567\0"
    plain = wav()
    content = plain[:12] + junk + plain[12:] + b"LIST" + struct.pack("<I", 4) + b"INFO"
    assert abs(probe.probe(write(tmp_path, "junk.wav", content)).duration_ms - 1000) < 5


def test_f13_a_wav_of_more_than_four_gibibytes_is_looked_at_in_time(tmp_path):
    """RF64, sparse on the disk: more sound than a plain WAV could say."""
    path, data_bytes = tmp_path / "large.wav", 4 * 1024**3 + 44100 * 4
    sizes = struct.pack("<QQQI", data_bytes + 72, data_bytes, data_bytes // 4, 0)
    form = struct.pack("<HHIIHH", 1, 2, 44100, 44100 * 4, 4, 16)
    head = b"RF64\xff\xff\xff\xffWAVEds64" + struct.pack("<I", 28) + sizes
    head += b"fmt " + struct.pack("<I", 16) + form + b"data\xff\xff\xff\xff"
    with path.open("wb") as file:
        file.write(head)
        file.truncate(len(head) + data_bytes)
    sound = probe.probe(path)
    assert sound.duration_ms == pytest.approx(data_bytes / 176.4, rel=0.01)


def test_f12_gsm_inside_wav_gets_the_same_answer_every_time(tmp_path):
    """Microsoft's GSM 6.10: blocks of 65 bytes for 320 samples."""
    block = (b"\xd2" + b"\x20" * 32 + b"\x0d" + b"\x20" * 31)[:65]
    data = block * 250
    form = struct.pack("<HHIIHHHH", 0x31, 1, 8000, 1625, 65, 0, 2, 320)
    content = b"WAVEfmt " + struct.pack("<I", len(form)) + form
    content += b"fact" + struct.pack("<II", 4, 80_000) + b"data" + struct.pack("<I", len(data))
    path = write(
        tmp_path, "a.wav", b"RIFF" + struct.pack("<I", len(content + data)) + content + data
    )
    answers = set()
    for _ in range(3):
        try:
            answers.add((probe.probe(path).codec, probe.probe(path).duration_ms))
        except NotSound as error:
            answers.add(error.reason)
    assert answers in ({("gsm_ms", 10_000)}, {"unsupported"})


def test_f20_matroska_with_attachments_chapters_and_links_opens_nothing(tmp_path, tone):
    marker = write(tmp_path, "marker.txt", b"x" * 1000)
    chapters = write(
        tmp_path,
        "chapters.txt",
        b";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=500\ntitle=one\n",
    )
    path = tmp_path / "a.mka"
    run_ffmpeg(
        "-i", str(tone("a.flac")), "-i", str(chapters), "-map_chapters", "1", "-c", "copy",
        "-attach", str(marker), "-metadata:s:1", "mimetype=application/x-truetype-font",
        str(path),
    )  # fmt: skip
    content = path.read_bytes()
    os.utime(marker, (1_000_000_000, 1_000_000_000))
    # Another segment is to follow: NextUID, NextFilename. Source: RFC 9559, section 5.1.2.
    at = content.index(bytes.fromhex("1549a966")) + 4
    length = content[at] & 0x0F if content[at] < 0x80 else content[at] & 0x7F
    assert length
    linked = content + bytes.fromhex("3e83bb") + b"\x88marker.m"
    for name, data in (("a.mka", content), ("linked.mka", linked)):
        assert probe.probe(write(tmp_path, name, data)).duration_ms == pytest.approx(1000, abs=60)
    assert marker.stat().st_atime == 1_000_000_000


@pytest.mark.parametrize("extension", ["png", "svg", "m3u8", "jpg", "txt", "mid", "sdp", "php"])
def test_u9_an_extension_changes_nothing(tmp_path, tone, extension):
    """FFmpeg weighs extensions; a file comes here without one, or is judged alike with any."""
    path = write(tmp_path, f"a.{extension}", tone("a.flac").read_bytes())
    assert probe.probe(path).container == "flac"


@pytest.mark.parametrize(
    "wrapper",
    [
        b"PK\3\4\x14\0\0\0",
        b"%PDF-1.7\n",
        b"\x7fELF\2\1\1\0",
        b"<!DOCTYPE html><p>",
        b"Rar!\x1a\7\0",
    ],
)
def test_f1_u24_sound_inside_a_file_of_another_kind_is_not_audio(tmp_path, tone, wrapper):
    path = write(tmp_path, "a.mp3", wrapper + bytes(200) + tone("a.mp3").read_bytes())
    assert refusal(path) == "not_audio"


def test_f19_a_subtitle_that_names_a_file_inside_an_avi_opens_nothing(tmp_path, tone):
    """The trick of CVE-2016-1898 and its relatives: a playlist in another container."""
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.settimeout(0.05)
        url = f"http://127.0.0.1:{trap.getsockname()[1]}/x"
        playlist = f"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:1,\n{url}\n".encode()
        gab2 = b"GAB2\0\2\0" + struct.pack("<I", 0) + struct.pack("<H", 4)
        gab2 += struct.pack("<I", len(playlist)) + playlist
        avi = b"RIFF" + struct.pack("<I", 4000) + b"AVI LIST" + gab2 + bytes(4000)
        for name, content in (("a.avi", avi), ("a.mp3", avi), ("b.mp3", b"\0" * 64 + playlist)):
            assert refusal(write(tmp_path, name, content)) in ("not_audio", "unsupported")
        with pytest.raises(TimeoutError):
            trap.accept()


def test_f17_tags_are_cut_and_cleaned_in_every_container(tone):
    nasty = "title==cmd()|' /C calc'!A0\x00\x1b[31m\u202e../../etc/passwd"
    for name in ("a.mp3", "a.flac", "a.ogg", "a.m4a"):
        tags = probe.probe(tone(name, "-metadata", nasty.replace("\0", ""))).tags
        assert all(value.isprintable() for value in tags.values()), name


def test_f9_a_small_file_says_how_long_it_is_before_anything_is_written(tmp_path, tone):
    """Sixty seconds of silence in eight channels at 192 kHz: half a megabyte, 184 as WAV."""
    path = tmp_path / "bomb.flac"
    run_ffmpeg(
        "-f", "lavfi", "-i", "anullsrc=r=192000:cl=7.1", "-t", "60", "-c:a", "flac", str(path)
    )
    assert path.stat().st_size < 1_000_000
    sound = probe.probe(path)
    assert (sound.channels, sound.sample_rate_hz, sound.duration_ms) == (8, 192000, 60_000)
