"""Playlists and protected segments, played by real FFmpeg from a real web server."""

import base64
import functools
import hashlib
import re
import shutil
import subprocess
import threading
import xml.etree.ElementTree as ElementTree
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, urljoin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elastic_transcoder import published
from elastic_transcoder.published import DASH, HLS3, HLS4
from elastic_transcoder.tests.conftest import run_ffmpeg
from elastic_transcoder.worker import dash, ffmpeg, hls, protection
from elastic_transcoder.worker.dash import Index, Representation
from elastic_transcoder.worker.encoding import CODECS
from elastic_transcoder.worker.hls import Protection, Segment, Variant
from elastic_transcoder.worker.protection import BadContentKey, ContentKey

SECONDS = 10.3
# What a key may hold and a URI may not.
AWKWARD = [
    "plain",
    "with spaces",
    "Ünïcødé 音",
    "50%25 #1?a=b&c;d",
    "a:b+c'd\"e,f",
    "in/a folder/x",
]
FORMS = (HLS3, HLS4)
DASH_FLAGS = "+dash+global_sidx+delay_moov+default_base_moof+skip_trailer"


class _Ranges(SimpleHTTPRequestHandler):
    """Files with byte ranges, as every store of objects has them."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.translate_path(self.path)
        try:
            with open(path, "rb") as file:  # noqa: PTH123 -- a text from the request
                content = file.read()
        except OSError:
            self.send_error(404)
            return
        self.server.asked.append((self.path, self.headers.get("Range")))
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        first = int(asked[1]) if asked else 0
        last = min(int(asked[2]) if asked and asked[2] else len(content) - 1, len(content) - 1)
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        self.send_header("Content-Length", str(last + 1 - first))
        self.end_headers()
        self.wfile.write(content[first : last + 1])

    def log_message(self, *arguments) -> None:
        pass


@pytest.fixture
def site(tmp_path):
    """A folder and the address it is served at: objects, as a player sees them."""
    folder = tmp_path / "site"
    folder.mkdir()
    handler = functools.partial(_Ranges, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield Site(folder, server)
        server.shutdown()


class Site:
    def __init__(self, folder, server) -> None:
        self.folder, self._server = folder, server
        self.address = f"http://127.0.0.1:{server.server_port}/"

    def put(self, name: str, content: str | bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    def sound(self, name: str, track: int = 0) -> bytes:
        """Everything that FFmpeg plays of an object, as samples."""
        return decoded(self.address + quote(name), track, protocols="http,tcp,crypto")

    def asked(self) -> list:
        return list(self._server.asked)


def decoded(source: str, track: int = 0, protocols: str = "file") -> bytes:
    command = [
        ffmpeg.binary(), "-v", "error", "-xerror", "-nostdin", "-allowed_extensions", "ALL",
        "-protocol_whitelist", protocols, "-i", source, "-map", f"0:a:{track}", "-f", "s16le", "-",
    ]  # fmt: skip
    if not source.endswith(("m3u8", "mpd")):
        command.remove("-allowed_extensions")
        command.remove("ALL")
    return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout


def seconds(sound: bytes) -> float:
    return len(sound) / 2 / 44100


@pytest.fixture(scope="session")
def cut(tmp_path_factory):
    """Return a function that has FFmpeg cut a tone: playlist, its text, and the file's bytes."""

    @functools.cache
    def make(*codec: str):
        folder = tmp_path_factory.mktemp("cut")
        tone = f"sine=frequency=440:duration={SECONDS}:sample_rate=44100"
        run_ffmpeg(
            "-f", "lavfi", "-i", tone, *(codec or ("-c:a", "aac", "-b:a", "96k")), "-f", "hls",
            "-hls_time", "2", "-hls_list_size", "0", "-hls_flags", "single_file",
            "-hls_segment_filename", str(folder / "s.ts"), str(folder / "s.m3u8"),
        )  # fmt: skip
        text = (folder / "s.m3u8").read_text()
        return folder / "s.m3u8", text, (folder / "s.ts").read_bytes()

    return make


def publish(site, cut, final_key: str, form: str, *codec: str, key: ContentKey | None = None, **to):
    """Store an output as a worker would; return its name and its segments."""
    _, text, content = cut(*codec)
    segments = hls.parse(text)
    said = Protection(key.iv, **to) if key else None
    scratch, target = site.folder.parent / "scratch", site.folder.parent / "target"
    pieces = [content]
    if form == HLS3:
        pieces = [content[one.offset : one.offset + one.length] for one in segments]
    stored = []
    for piece in pieces:
        scratch.write_bytes(piece)
        if key and form == HLS3:
            length = protection.encrypt(scratch, target, key.key, key.iv)
            assert length == target.stat().st_size == protection.encrypted_length(len(piece))
        elif key:
            segments = protection.encrypt_ranges(scratch, target, segments, key.key, key.iv)
        else:
            shutil.copy(scratch, target)
        stored.append(target.read_bytes())
    names = published.output_names(final_key, form, len(segments))
    write = {HLS3: hls.hls3_media, HLS4: hls.hls4_media}[form]
    stored.append(write(final_key, segments, said))
    for name, stored_bytes in zip(names, stored, strict=True):
        site.put(name, stored_bytes)
    return names[-1], segments


# --- names ------------------------------------------------------------------------------------


def test_names_are_those_of_the_table_in_the_guide():
    names = published.output_names
    assert names("p/a.mp3", None, None) == ["p/a.mp3"]
    three = ["p/a00000.ts", "p/a00001.ts", "p/a00002.ts", "p/a.m3u8"]
    assert names("p/a", HLS3, 3) == names("p/a", None, 3) == three
    assert names("p/a.ts", HLS4, 3) == ["p/a.ts.ts", "p/a.ts_v4.m3u8"]
    assert published.segment_name("a", 123456) == "a123456.ts"
    for form, name in ((HLS3, "p/n.m3u8"), (HLS4, "p/n.m3u8"), (DASH, "p/n.mpd")):
        assert published.playlist_names("p/", {"Name": "n", "Format": form}) == [name]
    kept = {"Name": "n", "Format": HLS3, "HlsContentProtection": {"KeyStoragePolicy": "NoStore"}}
    assert published.playlist_names("p/", kept) == ["p/n.m3u8"]
    kept["HlsContentProtection"]["KeyStoragePolicy"] = "WithVariantPlaylists"
    assert published.playlist_names("p/", kept) == ["p/n.key", "p/n.m3u8"]


@pytest.mark.parametrize(
    ("name", "beside", "uri"),
    [
        ("p/a00000.ts", "p/a.m3u8", "a00000.ts"),
        ("p/q/a.m3u8", "p/n.m3u8", "q/a.m3u8"),
        ("p/n.key", "p/q/r/a.m3u8", "../../n.key"),
        ("x.key", "a.m3u8", "x.key"),
        ("p/a b#?%\"'é.ts", "p/a.m3u8", "a%20b%23%3F%25%22%27%C3%A9.ts"),
        ("a:b.ts", "a.m3u8", "a%3Ab.ts"),
        ("p//a.ts", "p/n.m3u8", ".//a.ts"),
    ],
)
def test_a_relative_uri_leads_from_one_key_to_the_other(name, beside, uri):
    assert hls.relative_uri(name, beside) == uri


KEYS = st.lists(
    st.text(
        st.characters(exclude_characters="/", exclude_categories=["Cs"]), min_size=1, max_size=6
    ).filter(lambda part: part not in (".", "..")),
    min_size=1,
    max_size=4,
).map("/".join)


@given(KEYS, KEYS)
def test_any_key_is_found_from_any_other_by_the_rules_of_uris(name, beside):
    uri = hls.relative_uri(name, beside)
    assert re.fullmatch(r"[A-Za-z0-9._~%/-]*", uri)
    base = "http://host/bucket/"
    assert urljoin(base + quote(beside, safe="/"), uri) == urljoin(base, "./") + quote(
        name, safe="/"
    )


# --- what FFmpeg wrote ------------------------------------------------------------------------


@pytest.mark.parametrize("codec", [(), ("-c:a", "libmp3lame", "-b:a", "128k")])
def test_the_segments_that_ffmpeg_cut_are_read_from_its_playlist(cut, codec):
    _, text, content = cut(*codec)
    segments = hls.parse(text)
    assert len(segments) == 6
    assert sum(segment.duration_s for segment in segments) == pytest.approx(SECONDS, abs=0.06)
    assert all(1.9 < segment.duration_s < 2.1 for segment in segments[:-1])
    assert segments[-1].offset + segments[-1].length == len(content)


WHOLE = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n"
ONE, TWO = (
    f"#EXTINF:{duration},\n#EXT-X-BYTERANGE:{length}@{offset}\na.ts\n"
    for duration, length, offset in (("2.000000", 9, 0), ("1.5", 5, 9))
)
END = "#EXT-X-ENDLIST\n"


def test_a_whole_playlist_is_read():
    assert hls.parse(WHOLE + ONE + TWO + END) == [Segment(2.0, 9, 0), Segment(1.5, 5, 9)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a0.ts\n",
        WHOLE,
        WHOLE + END,
        WHOLE + ONE,  # cut off
        WHOLE + ONE + TWO[:12] + END,
        WHOLE + ONE + END + TWO,
        WHOLE + "a0.ts\n" + END,
        WHOLE + ONE + ONE + END,  # twice the same bytes
        WHOLE + "#EXTINF:2.0,\na.ts\n" + END,  # a file of its own
        WHOLE + ONE + "#EXTINF:-1,\na1.ts\n" + END,
        WHOLE + ONE + "#EXTINF:nan,\na1.ts\n" + END,
        WHOLE + "#EXTINF:2.0,\n#EXTINF:2.0,\na0.ts\n" + END,
        WHOLE + ONE + "#EXT-X-DISCONTINUITY\n" + TWO + END,
        WHOLE + "#EXT-X-KEY:METHOD=NONE\n" + ONE + END,
        WHOLE.replace("SEQUENCE:0", "SEQUENCE:7") + ONE + END,
        WHOLE + TWO + END,  # not from the beginning
        WHOLE + ONE + TWO.replace("a.ts", "b.ts") + END,
        WHOLE + "#EXT-X-BYTERANGE:9@0\n" + ONE + END,
        WHOLE + "#EXTINF:2.0,\n#EXT-X-BYTERANGE:0@0\na.ts\n" + END,
    ],
)
def test_anything_else_is_no_playlist_of_ours(text):
    with pytest.raises(ValueError, match=r"\w"):
        hls.parse(text)


def test_the_bandwidth_is_the_peak_of_what_a_player_has_to_load():
    """RFC 8216, section 4.1: rows of segments that last half to one and a half targets."""
    even = [Segment(4.0, 1000, 0), Segment(4.0, 3000, 0), Segment(0.1, 2000, 0)]
    assert hls.target_duration(even) == 4
    # The last one by itself is too short to count; with the one before it is 5000 in 4.1 s.
    assert hls.bandwidth(even) == 9757
    assert hls.bandwidth([Segment(0.25, 1000, 0)]) == 32_000
    assert hls.bandwidth([Segment(2.0, 1000, 0)] * 20_000) == 4000


# --- played -----------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_an_output_of_any_name_is_played_as_it_was_cut(site, cut, form):
    original = decoded(str(cut()[0]))
    assert seconds(original) == pytest.approx(SECONDS, abs=0.08)
    for final_key in AWKWARD:
        name, _ = publish(site, cut, final_key, form)
        assert site.sound(name) == original, final_key


def test_the_texts_of_both_forms(cut):
    segments = [Segment(2.0051, 1000, 0), Segment(1.5, 500, 1000)]
    said = Protection(bytes(range(16)), key_name="p/n.key")
    assert hls.hls3_media("p/q/a b", segments, said) == (
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:3\n#EXT-X-MEDIA-SEQUENCE:0\n"
        '#EXT-X-KEY:METHOD=AES-128,URI="../n.key",IV=0x000102030405060708090A0B0C0D0E0F\n'
        "#EXTINF:2.005100,\na%20b00000.ts\n#EXTINF:1.500000,\na%20b00001.ts\n#EXT-X-ENDLIST\n"
    )
    assert hls.hls4_media("p/q/a b", segments) == (
        "#EXTM3U\n#EXT-X-VERSION:4\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-ALLOW-CACHE:YES\n"
        "#EXT-X-TARGETDURATION:3\n"
        "#EXTINF:2.005100,\n#EXT-X-BYTERANGE:1000@0\na%20b.ts\n"
        "#EXTINF:1.500000,\n#EXT-X-BYTERANGE:500@1000\na%20b.ts\n#EXT-X-ENDLIST\n"
    )
    variants = [Variant("p/q/a b.m3u8", 101, "mp4a.40.2"), Variant("p/c.m3u8", 99, "mp4a.40.34")]
    assert hls.hls_master("p/n.m3u8", HLS3, variants) == (
        "#EXTM3U\n#EXT-X-VERSION:3\n"
        '#EXT-X-STREAM-INF:PROGRAM-ID=1,BANDWIDTH=101,CODECS="mp4a.40.2"\nq/a%20b.m3u8\n'
        '#EXT-X-STREAM-INF:PROGRAM-ID=1,BANDWIDTH=99,CODECS="mp4a.40.34"\nc.m3u8\n'
    )
    assert "#EXT-X-VERSION:4\n" in hls.hls_master("p/n.m3u8", HLS4, variants)


@pytest.mark.parametrize("form", FORMS)
def test_a_master_playlist_plays_each_of_its_outputs(site, cut, form):
    mp3 = ("-c:a", "libmp3lame", "-b:a", "128k")
    outputs = [("AAC", "p #1/in/high é", ()), ("mp3", "p #1/low%", mp3)]
    variants = []
    for codec, final_key, arguments in outputs:
        name, segments = publish(site, cut, final_key, form, *arguments)
        bandwidth = hls.bandwidth(segments)
        assert 90_000 < bandwidth < 190_000
        variants.append(Variant(name, bandwidth, CODECS[codec].rfc6381))
    master = published.master_name("p #1/", "all of it", form)
    site.put(master, hls.hls_master(master, form, variants))
    for track, (_, _, arguments) in enumerate(outputs):
        assert site.sound(master, track) == decoded(str(cut(*arguments)[0])), track


# --- protected --------------------------------------------------------------------------------


def test_protected_segments_are_played_with_the_key_beside_the_playlist(site, cut):
    key = protection.draw_key()
    stored = published.key_name("p #1/", "all é")
    site.put(stored, key.key)
    name, _ = publish(site, cut, "p #1/in/a%", HLS3, key=key, key_name=stored)
    assert site.sound(name) == decoded(str(cut()[0]))
    _, text, content = cut()
    plain = content[: hls.parse(text)[0].length]
    encrypted = (site.folder / "p #1/in/a%00000.ts").read_bytes()
    assert len(encrypted) == len(plain) // 16 * 16 + 16
    assert plain[:16] not in encrypted
    asked = {path for path, _ in site.asked()}
    assert "/p%20%231/all%20%C3%A9.key" in asked


def test_protected_segments_are_played_with_the_key_of_an_address(site, cut):
    key = ContentKey(b"0123456789abcdef", bytes(range(16)))
    site.put("keys/one two", key.key)
    address = f"{site.address}keys/one two"
    name, _ = publish(site, cut, "a", HLS3, key=key, url=address)
    assert site.sound(name) == decoded(str(cut()[0]))


def test_each_protected_byte_range_is_a_segment_by_itself(site, cut, tmp_path):
    key = protection.draw_key()
    site.put("a.key", key.key)
    name, segments = publish(site, cut, "a", HLS4, key=key, key_name="a.key")
    plain = cut()[2]
    whole = (site.folder / "a.ts").read_bytes()
    assert segments[-1].offset + segments[-1].length == len(whole)
    pieces = []
    for segment in segments:
        piece = whole[segment.offset : segment.offset + segment.length]
        assert len(piece) % 16 == 0
        pieces.append(decrypted(piece, key))
    assert b"".join(pieces) == plain
    assert site.sound(name) == decoded(str(cut()[0]))


def decrypted(content: bytes, key: ContentKey) -> bytes:
    """Decrypt with another hand than ours: FFmpeg's crypto protocol."""
    command = [
        ffmpeg.binary(), "-v", "error", "-protocol_whitelist", "crypto,pipe", "-f", "data",
        "-decryption_key", key.key.hex(), "-decryption_iv", key.iv.hex(), "-i", "crypto:pipe:0",
        "-map", "0", "-c", "copy", "-f", "data", "-",
    ]  # fmt: skip
    return subprocess.run(command, input=content, check=True, capture_output=True).stdout


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_any_length_is_padded_to_whole_blocks(tmp_path, size):
    key = ContentKey(b"k" * 16, b"i" * 16)
    content = bytes(range(256)) * (size // 256 + 1)
    (tmp_path / "a").write_bytes(content[:size])
    length = protection.encrypt(tmp_path / "a", tmp_path / "b", key.key, key.iv)
    assert length == (tmp_path / "b").stat().st_size == size // 16 * 16 + 16
    if size:
        assert decrypted((tmp_path / "b").read_bytes(), key) == content[:size]


def test_a_range_that_is_not_in_the_file_is_refused(tmp_path):
    (tmp_path / "a").write_bytes(bytes(100))
    with pytest.raises(ValueError, match="cut off"):
        protection.encrypt_ranges(
            tmp_path / "a", tmp_path / "b", [Segment(1.0, 101, 0)], bytes(16), bytes(16)
        )


@pytest.mark.parametrize(
    "url", ['https://x/k"\n#EXTINF:1,\nhttp://evil/', "https://x/é\r\n", 'a",IV=0x0,X="']
)
def test_an_address_cannot_add_anything_to_a_playlist(url):
    text = hls.hls3_media("a", [Segment(1.0, 9, 0)], Protection(bytes(16), url=url))
    tag = text.splitlines()[4]
    assert re.fullmatch(r'#EXT-X-KEY:METHOD=AES-128,URI="[!-~]*",IV=0x0{32}', tag)
    assert tag.count('"') == 2
    assert len(text.splitlines()) == 8


def given_key(key: bytes = b"k" * 16, iv: bytes = b"i" * 16, **members) -> dict:
    return ContentKey(key, iv).members() | members


def test_a_given_key_is_taken_and_none_is_drawn():
    assert protection.content_key(given_key()) == ContentKey(b"k" * 16, b"i" * 16)
    drawn = protection.content_key({"Method": "aes-128", "Key": "", "KeyMd5": None})
    assert (len(drawn.key), len(drawn.iv)) == (16, 16)
    assert drawn != protection.draw_key()
    members = drawn.members()
    digest = hashlib.md5(drawn.key, usedforsecurity=False).digest()
    assert base64.b64decode(members["KeyMd5"]) == digest
    assert protection.content_key(members) == drawn
    assert repr(drawn.key)[2:-1] not in repr(drawn)


@pytest.mark.parametrize(
    ("given", "code", "member"),
    [
        (given_key(b"k" * 15), 4020, "Key"),
        (given_key(b"k" * 24), 4020, "Key"),
        (given_key(b"k" * 32), 4020, "Key"),
        (given_key(KeyMd5=base64.b64encode(bytes(16)).decode()), 1000, "KeyMd5"),
        (given_key(KeyMd5="AAAA"), 1000, "KeyMd5"),
        (given_key(iv=b"i" * 8), 1000, "InitializationVector"),
        (given_key(Key="no base64!"), 1000, "Key"),
        (given_key(InitializationVector="é"), 1000, "InitializationVector"),
        (given_key(Key=""), 1000, "Key"),
        (given_key(KeyMd5=None), 1000, "KeyMd5"),
        (given_key(InitializationVector=None), 1000, "InitializationVector"),
    ],
)
def test_a_key_that_cannot_be_used_is_refused_with_its_code(given, code, member):
    with pytest.raises(BadContentKey, match=f"^{code}: {member} ") as caught:
        protection.content_key(given)
    assert caught.value.code == code
    assert "k" * 15 not in str(caught.value)


# --- MPEG-DASH --------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def fragmented(tmp_path_factory):
    """Return a maker of fmp4 files as a worker has FFmpeg write them."""

    @functools.cache
    def make(bitrate: str = "96k", flags: str = DASH_FLAGS, channels: str = "1"):
        path = tmp_path_factory.mktemp("dash") / "a.mp4"
        run_ffmpeg(
            "-f", "lavfi", "-i", f"sine=frequency=440:duration={SECONDS}:sample_rate=44100",
            "-ac", channels, "-c:a", "aac", "-b:a", bitrate, "-movflags", flags,
            "-frag_duration", "2000000", "-f", "mp4", str(path),
        )  # fmt: skip
        return path

    return make


def test_an_index_names_every_piece_of_a_file(fragmented, tmp_path):
    path = fragmented()
    content = path.read_bytes()
    index = dash.index(path)
    initialization, place = index.initialization, index.index
    assert content[place[0] + 4 : place[0] + 8] == b"sidx"
    assert content.count(b"sidx") == 1
    assert (initialization[0], initialization[1] + 1) == (0, place[0])
    assert len(index.segments) == 6
    end = place[1] + 1
    for segment in index.segments:
        assert segment.offset == end
        assert content[end + 4 : end + 8] == b"moof"
        end += segment.length
        # Each piece can be played behind the initialization alone.
        piece = tmp_path / "piece.mp4"
        piece.write_bytes(content[: initialization[1] + 1] + content[segment.offset : end])
        sound = decoded(str(piece))
        assert seconds(sound) == pytest.approx(segment.duration_s, abs=0.05)
    assert end == len(content)
    duration_s = sum(segment.duration_s for segment in index.segments)
    assert duration_s == pytest.approx(SECONDS, abs=0.05)


def representation(number: str, name: str, path) -> Representation:
    return Representation(number, name, CODECS["AAC"].rfc6381, 44100, 1, dash.index(path))


def test_an_mpd_is_played_by_its_byte_ranges(site, fragmented):
    outputs = [("1", "p/in/hi é&<>.mp4", fragmented()), ("2", "p/low #%.mp4", fragmented("48k"))]
    for _, name, path in outputs:
        site.put(name, path.read_bytes())
    text = dash.mpd("p/n.mpd", [representation(*one) for one in outputs])
    site.put("p/n.mpd", text)
    for track, (_, _, path) in enumerate(outputs):
        sound = site.sound("p/n.mpd", track)
        assert seconds(sound) == pytest.approx(SECONDS, abs=0.05)
        assert sound == decoded(str(path)), track
    assert all(size for path, size in site.asked() if path.endswith(".mp4"))


def parsed(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text)  # noqa: S314 -- nobody else's


def test_an_mpd_says_what_the_on_demand_profile_wants(fragmented):
    names = {"": "urn:mpeg:dash:schema:mpd:2011"}
    one, two = representation("1", "a & <b>.mp4", fragmented()), Representation(
        "2", "c/d.mp4", "mp4a.40.2", 48000, 8,
        Index((0, 9), (10, 19), [Segment(2.5, 1000, 20), Segment(30.0, 1000, 1020)]),
    )  # fmt: skip
    root = parsed(dash.mpd("n.mpd", [one, two]))
    assert root.attrib == {
        "profiles": "urn:mpeg:dash:profile:isoff-on-demand:2011",
        "type": "static",
        "mediaPresentationDuration": "PT32.500S",
        "minBufferTime": "PT3S",
    }
    (audio,) = root.findall("Period/AdaptationSet", names)
    assert (audio.get("mimeType"), audio.get("contentType")) == ("audio/mp4", "audio")
    assert audio.get("subsegmentAlignment") is None  # the pieces of these two are not alike
    first, second = audio.findall("Representation", names)
    assert first.get("codecs") == "mp4a.40.2"
    assert (second.get("id"), second.get("audioSamplingRate")) == ("2", "48000")
    assert int(second.get("bandwidth")) == 493
    bases = [each.findtext("BaseURL", None, names) for each in (first, second)]
    assert bases == ["a%20%26%20%3Cb%3E.mp4", "c/d.mp4"]
    base = second.find("SegmentBase", names)
    assert base.get("indexRange") == "10-19"
    assert base.find("Initialization", names).get("range") == "0-9"
    assert [
        each.find("AudioChannelConfiguration", names).get("value") for each in (first, second)
    ] == ["1", "12"]
    alike = parsed(dash.mpd("n.mpd", [one, one]))
    assert alike.find("Period/AdaptationSet", names).get("subsegmentAlignment") == "true"


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        ("+faststart", "no index"),
        ("+frag_keyframe+empty_moov", "no index"),
        # An index for every piece, the first of which covers only it.
        ("+dash+delay_moov", "not name the whole file"),
    ],
)
def test_a_file_without_one_index_of_all_in_front_has_no_ranges(fragmented, flags, why):
    with pytest.raises(ValueError, match=why):
        dash.index(fragmented("96k", flags))


def test_a_cut_or_broken_index_is_refused(fragmented, tmp_path):
    content = fragmented().read_bytes()
    at = content.index(b"sidx") - 4
    _, last = dash.index(fragmented()).index

    def changed(place: int, value: bytes) -> bytes:
        return content[:place] + value + content[place + len(value) :]

    broken = {
        "nothing": b"",
        "four bytes": content[:4],
        "cut in moov": content[: at - 10],
        "cut before the index": content[:at],
        "cut in the index": content[: at + 40],
        "cut behind the index": content[: last + 1],
        "cut in the sound": content[:-1],
        "no ftyp": content[content.index(b"moov") - 4 :],
        "a box of no length": changed(0, b"\0\0\0\4"),
        "a box longer than the file": changed(at, b"\x7f\xff\xff\xff"),
        "an index of an index": changed(at + 40, b"\xff"),
        "no timescale": changed(at + 16, bytes(4)),
        "no pieces": changed(at + 38, bytes(2)),
        "fewer pieces than there are": changed(at + 38, b"\0\5"),
        "more pieces than there is room": changed(at + 38, b"\xff\xff"),
        "far behind the end": changed(at + 28, b"\x7f" * 8),
        "text": b"#EXTM3U\n" * 100,
    }
    for name, data in broken.items():
        path = tmp_path / "broken.mp4"
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r"\w"):
            print(name, dash.index(path))
