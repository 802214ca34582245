import pytest

from elastic_transcoder.worker import proof
from elastic_transcoder.worker.command import Recipe
from elastic_transcoder.worker.encoding import encoding_of
from elastic_transcoder.worker.proof import NotProven, Source
from sound import probe
from sound.examination import Examiner


def preset(container: str, codec: str, **options) -> dict:
    audio = {"Codec": codec, "SampleRate": "44100", "Channels": "2", "BitRate": "128"}
    return {"Container": container, "Audio": audio | {"CodecOptions": options}}


WAV, MP4 = preset("wav", "pcm", BitDepth="16"), preset("mp4", "AAC")


def prove(path, tone, settings, duration_ms=3000.0, sound_sha256=None, is_copy=False):
    source = probe.probe(tone("a.wav", "-ac", "2", seconds=3))
    sound_hash = ("s16", path) if is_copy else None
    recipe = Recipe(encoding_of(settings, source), path, sound_hash=sound_hash)
    with Examiner(path) as examiner:
        return proof.prove(recipe, Source(duration_ms, sound_sha256), examiner)


def test_a_good_result_is_proven(tone):
    path = tone("a.m4a", "-ac", "2", seconds=3)
    facts = prove(path, tone, MP4)
    assert (facts.duration_ms, facts.size_bytes) == (3000, path.stat().st_size)


@pytest.mark.parametrize("duration_ms", [2899.0, 3101.0, 1.0, None])
def test_f27_a_tenth_of_a_second_too_much_or_too_little_is_not_proven(tone, duration_ms):
    with pytest.raises(NotProven):
        prove(tone("a.m4a", "-ac", "2", seconds=3), tone, MP4, duration_ms)


@pytest.mark.parametrize("duration_ms", [2901.0, 3099.0])
def test_f27_less_than_a_tenth_of_a_second_is_within_bounds(tone, duration_ms):
    prove(tone("a.m4a", "-ac", "2", seconds=3), tone, MP4, duration_ms)


@pytest.mark.parametrize(
    ("name", "arguments", "settings", "said"),
    [
        ("a.mp3", ["-ac", "2"], MP4, "container"),
        ("a.m4a", ["-ac", "2", "-c:a", "alac"], MP4, "codec"),
        ("a.m4a", ["-ac", "1"], MP4, "channels"),
        ("a.m4a", ["-ac", "2", "-ar", "48000"], MP4, "sample rate"),
        ("a.flac", ["-ac", "2"], preset("flac", "flac", BitDepth="24"), "bits"),
        ("a.wav", ["-ac", "2", "-c:a", "pcm_s24le"], WAV, "bits"),
    ],
)
def test_f27_another_form_than_ordered_is_not_proven(tone, name, arguments, settings, said):
    with pytest.raises(NotProven, match=said):
        prove(tone(name, *arguments, seconds=3), tone, settings)


def test_f27_nothing_and_an_empty_file_are_not_proven(tone, tmp_path):
    (tmp_path / "empty").touch()
    for path in (tmp_path / "empty", tmp_path / "absent"):
        with pytest.raises(NotProven, match="nothing was written"):
            proof.prove(Recipe(None, path), Source(3000.0), None)


def test_f27_headers_without_packets_are_not_proven(tone, tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(tone("a.wav", "-ac", "2", seconds=3).read_bytes()[:78])
    with pytest.raises(NotProven):
        prove(path, tone, WAV)


@pytest.mark.parametrize("where", ["first", "last"])
def test_f27_an_edge_that_does_not_decode_is_not_proven(tone, tmp_path, where):
    """A second of zeros in a FLAC: still packets by the table, and no sound in them."""
    content = bytearray(tone("a.flac", "-ac", "2", seconds=3).read_bytes())
    start = 8300 if where == "first" else len(content) - 6000
    for at in range(start, start + 5900):
        content[at] ^= 0x55
    path = tmp_path / "a.flac"
    path.write_bytes(content)
    with pytest.raises(NotProven):
        prove(path, tone, preset("flac", "flac", BitDepth="16"))


def test_f28_one_changed_sample_is_not_proven(tone, tmp_path):
    good = tone("a.wav", "-ac", "2", seconds=3)
    with Examiner(good) as examiner:
        from sound.measure import measure

        digest = measure(good, examiner, hash_format="s16").sound_sha256
    prove(good, tone, WAV, sound_sha256=digest, is_copy=True)
    content = bytearray(good.read_bytes())
    content[len(content) // 2] ^= 1
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(NotProven, match="samples differ"):
        prove(path, tone, WAV, sound_sha256=digest, is_copy=True)


def test_f28_a_copy_without_a_source_to_compare_is_not_proven(tone):
    with pytest.raises(NotProven, match="samples differ"):
        prove(tone("a.wav", "-ac", "2", seconds=3), tone, WAV, is_copy=True)
