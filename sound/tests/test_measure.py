import hashlib

import av
import pytest

from sound import measure, probe
from sound.examination import Examiner


def measured(path, **options):
    with Examiner(path) as examiner:
        return measure.measure(path, examiner, **options)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3", "a.m4a"])
def test_priming_and_padding_are_not_counted(tone, name):
    facts = measured(tone(name, "-ac", "2", seconds=3))
    assert facts.samples == 3 * 44100
    assert facts.duration_ms == 3000
    assert facts.first_samples >= 44100
    assert facts.last_samples >= 44100


def test_the_hash_is_that_of_the_file(tone):
    path = tone("a.mp3")
    facts = measured(path)
    assert facts.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert facts.size_bytes == path.stat().st_size


def test_equal_sound_in_two_containers_has_one_hash(tone):
    wav = tone("a.wav", "-ac", "2")
    flac = tone("a.flac", "-ac", "2")
    with av.open(str(wav)) as container:
        raw = b"".join(
            bytes(frame.planes[0])[: frame.samples * 4] for frame in container.decode(audio=0)
        )
    hashes = {measured(path, hash_format="s16").sound_sha256 for path in (wav, flac)}
    assert hashes == {hashlib.sha256(raw).hexdigest()}


def test_24_bits_are_hashed_whole(tone):
    wav = tone("a.wav", "-c:a", "pcm_s24le")
    flac = tone("a.flac", "-sample_fmt", "s32", "-bits_per_raw_sample", "24")
    assert (
        measured(wav, hash_format="s32").sound_sha256
        == measured(flac, hash_format="s32").sound_sha256
    )


@pytest.mark.parametrize("content", [b"", b"x" * 1000, b"RIFF\0\0\0\0WAVE" + bytes(100)])
def test_what_is_no_sound_is_unreadable(tmp_path, content):
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(measure.Unreadable) as caught:
        measured(path)
    assert str(tmp_path) not in str(caught.value)


def test_a_cut_result_is_as_short_as_it_is(tone, tmp_path):
    whole = tone("a.wav", seconds=3).read_bytes()
    path = tmp_path / "a.wav"
    path.write_bytes(whole[: len(whole) // 3])
    assert abs(measured(path).duration_ms - 1000) < 5


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        ("a.webm", ("-c:a", "libvorbis", "-b:a", "128k")),
        ("a.flv", ("-c:a", "aac")),
        ("b.flv", ("-c:a", "libmp3lame")),
        ("a.mkv", ("-c:a", "pcm_s16le")),
    ],
)
def test_containers_that_count_milliseconds_are_measured_as_long_as_they_are(tone, name, encoding):
    """Their packets last a rounded number of milliseconds, which would be a second in a minute."""
    path = tone(name, "-ac", "2", *encoding, seconds=120)
    assert measured(path).duration_ms == pytest.approx(120_000, abs=60)
    assert probe.probe(path).duration_ms == pytest.approx(120_000, abs=60)


def test_the_bit_rate_is_that_of_the_sound(tone):
    mp3 = tone("a.mp3", "-ac", "2", "-b:a", "128k", seconds=5)
    wav = tone("a.wav", "-ac", "2", seconds=5)
    assert [measured(path).bitrate_kbps for path in (mp3, wav)] == [128, 1411]
    assert [probe.probe(path).bitrate_kbps for path in (mp3, wav)] == [128, 1411]


@pytest.mark.parametrize("name", ["a.flac", "a.ogg", "a.m4a"])
def test_the_names_of_the_tags_in_a_file_are_told(tone, name):
    path = tone(name, "-metadata", "TITLE=x", "-metadata", "artist=y", seconds=1)
    assert measured(path).tags == ["artist", "title"]
