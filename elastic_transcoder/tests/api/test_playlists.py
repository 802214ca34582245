"""Playlists of a job: what is taken, what is refused, and names that meet."""

import pytest

from elastic_transcoder.models import Job
from elastic_transcoder.tests.api.conftest import HLS_AUDIO, MP3_192K, MP4_AAC, order
from elastic_transcoder.tests.api.shapes import assert_answer

PROTECTION = {
    "Method": "aes-128",
    "KeyStoragePolicy": "NoStore",
    "LicenseAcquisitionUrl": "https://example.org/key?id=1",
}


def segmented(key, *, preset_id=HLS_AUDIO, seconds="10", **members):
    return {"Key": key, "PresetId": preset_id, "SegmentDuration": seconds, **members}


def playlist(*keys, name="index", playlist_format="HLSv3", **members):
    return {"Name": name, "Format": playlist_format, "OutputKeys": list(keys), **members}


def hls(call, pipeline_id, outputs, *playlists, **members):
    body = order(pipeline_id, Outputs=outputs, Playlists=list(playlists), **members)
    return call("POST", "/jobs", body)


@pytest.fixture
def fmp4(call):
    """The id of a custom preset that DASH takes."""
    audio = {"Codec": "AAC", "SampleRate": "44100", "BitRate": "128", "Channels": "2"}
    members = {"Name": "dash", "Container": "fmp4", "Audio": audio}
    return call("POST", "/presets", members).members["Preset"]["Id"]


@pytest.mark.parametrize("playlist_format", ["HLSv3", "HLSv4"])
def test_a_playlist_is_answered_whole_and_waits(call, pipeline_id, playlist_format):
    response = hls(
        call,
        pipeline_id,
        [segmented("a/160k"), segmented("a/64k", seconds="10.0")],
        playlist("a/160k", "a/64k", name="a/index", playlist_format=playlist_format),
    )
    assert response.status_code == 201
    assert_answer("CreateJob", response.members)
    assert response.members["Job"]["Playlists"] == [
        {
            "Name": "a/index",
            "Format": playlist_format,
            "OutputKeys": ["a/160k", "a/64k"],
            "HlsContentProtection": None,
            "PlayReadyDrm": None,
            "Status": "Submitted",
            "StatusDetail": None,
        }
    ]
    job_id = response.members["Job"]["Id"]
    assert call("GET", f"/jobs/{job_id}").members == response.members


def test_a_dash_playlist_of_fmp4_outputs_is_taken(call, pipeline_id, fmp4):
    outputs = [segmented("a", preset_id=fmp4), segmented("b", preset_id=fmp4)]
    response = hls(call, pipeline_id, outputs, playlist("a", "b", playlist_format="MPEG-DASH"))
    assert response.status_code == 201
    assert_answer("CreateJob", response.members)


def test_a_job_may_have_other_outputs_and_the_old_single_form(call, pipeline_id):
    outputs = [segmented("a"), {"Key": "b.mp3", "PresetId": MP3_192K}]
    assert hls(call, pipeline_id, outputs, playlist("a")).status_code == 201
    body = order(pipeline_id, Outputs=None, Output=segmented("a"), Playlists=[playlist("a")])
    assert call("POST", "/jobs", body).status_code == 201


def test_a_protection_is_kept_and_no_key_is_shown_before_there_is_one(call, pipeline_id):
    one = playlist("a", HlsContentProtection=PROTECTION)
    response = hls(call, pipeline_id, [segmented("a")], one)
    assert response.status_code == 201
    assert_answer("CreateJob", response.members)
    assert response.members["Job"]["Playlists"][0]["HlsContentProtection"] == PROTECTION
    assert Job.objects.get().playlists[0]["HlsContentProtection"] == PROTECTION


@pytest.mark.parametrize(
    "changed",
    [
        {"KeyStoragePolicy": "WithVariantPlaylists", "LicenseAcquisitionUrl": ""},
        {"KeyStoragePolicy": "WithVariantPlaylists", "LicenseAcquisitionUrl": None},
        {"Key": "QUJD", "KeyMd5": "QUJD", "InitializationVector": "QUJD"},
        {"Key": "", "KeyMd5": "", "InitializationVector": ""},
        {"LicenseAcquisitionUrl": "skd://key"},
    ],
)
def test_a_consistent_protection_is_taken(call, pipeline_id, changed):
    one = playlist("a", HlsContentProtection=PROTECTION | changed)
    assert hls(call, pipeline_id, [segmented("a")], one).status_code == 201


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"Method": None},
            "hlsContentProtection.method' failed to satisfy constraint: Member must",
        ),
        ({"KeyStoragePolicy": None}, "hlsContentProtection.keyStoragePolicy' failed"),
        ({"Method": "aes-256"}, "at 'playlists.1.member.hlsContentProtection.method'"),
        ({"LicenseAcquisitionUrl": None}, "licenseAcquisitionUrl must be given with NoStore."),
        ({"LicenseAcquisitionUrl": ""}, "licenseAcquisitionUrl must be given with NoStore."),
        (
            {"KeyStoragePolicy": "WithVariantPlaylists"},
            "licenseAcquisitionUrl must be empty with WithVariantPlaylists.",
        ),
        ({"LicenseAcquisitionUrl": "key.bin"}, "licenseAcquisitionUrl must be an absolute URL"),
        ({"LicenseAcquisitionUrl": 'https://a/"\n#EXT'}, "must be an absolute URL without spaces"),
        ({"LicenseAcquisitionUrl": "https://a/" + "x" * 512}, "length less than or equal to 512"),
        ({"Key": "QUJD"}, "key, keyMd5 and initializationVector go together, all or none."),
        ({"Key": "QUJD", "KeyMd5": "QUJD"}, "initializationVector go together, all or none."),
        ({"InitializationVector": "QUJD"}, "initializationVector go together, all or none."),
    ],
)
def test_an_inconsistent_protection_is_refused(call, pipeline_id, changed, message):
    one = playlist("a", HlsContentProtection=PROTECTION | changed)
    assert_refused(hls(call, pipeline_id, [segmented("a")], one), message)


def assert_refused(response, message):
    assert (response.status_code, response.error) == (400, "ValidationException")
    assert message in response.members["message"]
    assert not Job.objects.exists()


PLAIN = {"Key": "a", "PresetId": HLS_AUDIO}
CLIP = [{"TimeSpan": {"StartTime": "1"}}]


@pytest.mark.parametrize(
    ("outputs", "playlists", "message"),
    [
        (
            [segmented("a")],
            [playlist("b")],
            "playlists.1.member.outputKeys: 'b' is not the key of an output of this job.",
        ),
        ([segmented("a")], [playlist()], "playlists.1.member.outputKeys must name at least one"),
        ([segmented("a")], [playlist("a", "a")], "member.outputKeys: 'a' is given 2 times."),
        (
            [segmented("a"), segmented("b")],
            [playlist("a"), playlist("b")],
            "Playlist names must be unique within a job; 'index' is given 2 times.",
        ),
        (
            [PLAIN],
            [playlist("a")],
            "playlists.1.member: the output with the key 'a' is in a playlist and must have a"
            " SegmentDuration.",
        ),
        (
            [segmented("a"), segmented("b", seconds="9")],
            [playlist("a", "b")],
            "playlists.1.member: all its outputs must have the same SegmentDuration.",
        ),
        (
            [segmented("a"), segmented("b", Composition=CLIP)],
            [playlist("a", "b")],
            "playlists.1.member: all its outputs must have the same Composition.",
        ),
        (
            [segmented("x/a")],
            [playlist("x/a", name="y/index")],
            "playlists.1.member: all outputKeys must begin like the playlist name up to its last"
            " '/', 'y/'.",
        ),
        (
            [{"Key": "a", "PresetId": MP3_192K}],
            [playlist("a")],
            "the output with the key 'a' is in a playlist and must have a SegmentDuration.",
        ),
        (
            [segmented("a", Encryption={"Mode": "s3"})],
            [playlist("a", HlsContentProtection=PROTECTION)],
            "hlsContentProtection cannot be combined with the encryption of the output 'a'.",
        ),
        (
            [segmented("a")],
            [playlist("a"), playlist("a", name="other", playlist_format="HLSv4")],
            "playlists.2.member.outputKeys: 'a' is also in playlist 'index'",
        ),
        (
            [segmented("a")],
            [playlist("a"), playlist("a", name="other", HlsContentProtection=PROTECTION)],
            "playlists.2.member.outputKeys: 'a' is also in playlist 'index'",
        ),
        (
            [segmented("a")],
            [playlist("a", playlist_format="MPEG-DASH", HlsContentProtection=PROTECTION)],
            "playlists.1.member.hlsContentProtection is only for HLSv3 and HLSv4.",
        ),
        (
            [segmented("a")],
            [playlist("a", playlist_format="MPEG-DASH")],
            "All output keys in a MPEG-DASH playlist must have container type of fmp4.",
        ),
        (
            [segmented("a")],
            [playlist("a", name=f"{n}") for n in range(31)],
            "less than or equal to 30",
        ),
    ],
)
def test_a_playlist_that_breaks_a_rule_is_refused(call, pipeline_id, outputs, playlists, message):
    assert_refused(hls(call, pipeline_id, outputs, *playlists), message)


@pytest.mark.parametrize("playlist_format", ["HLSv3", "HLSv4"])
def test_hls_takes_ts_only_in_amazons_words(call, pipeline_id, fmp4, playlist_format):
    outputs = [segmented("a"), segmented("b", preset_id=fmp4)]
    one = playlist("a", "b", playlist_format=playlist_format)
    assert_refused(
        hls(call, pipeline_id, outputs, one),
        f"All output keys in a {playlist_format} playlist must have container type of ts.",
    )


def test_one_output_may_be_in_two_playlists_of_one_kind(call, pipeline_id):
    outputs = [segmented("a"), segmented("b")]
    response = hls(call, pipeline_id, outputs, playlist("a", "b"), playlist("a", name="low"))
    assert response.status_code == 201


@pytest.mark.parametrize(
    ("outputs", "playlists", "taken"),
    [
        ([segmented("a"), PLAIN | {"Key": "a.m3u8"}], [], "a.m3u8"),
        ([segmented("a"), segmented("b")], [playlist("a", "b", name="b")], "b.m3u8"),
        (
            [segmented("a"), PLAIN | {"Key": "a.ts"}],
            [playlist("a", playlist_format="HLSv4")],
            "a.ts",
        ),
        (
            [segmented("a"), PLAIN | {"Key": "a_v4.m3u8"}],
            [playlist("a", playlist_format="HLSv4")],
            "a_v4.m3u8",
        ),
        ([segmented("a"), PLAIN | {"Key": "b.m3u8"}], [playlist("a", name="b")], "b.m3u8"),
        (
            [segmented("a"), PLAIN | {"Key": "b.key"}],
            [
                playlist(
                    "a",
                    name="b",
                    HlsContentProtection={
                        "Method": "aes-128",
                        "KeyStoragePolicy": "WithVariantPlaylists",
                    },
                )
            ],
            "b.key",
        ),
    ],
)
def test_two_things_of_a_job_that_would_be_stored_under_one_name_are_refused(
    call, pipeline_id, outputs, playlists, taken
):
    response = hls(call, pipeline_id, outputs, *playlists, OutputKeyPrefix="p/")
    assert_refused(response, f"would both be stored as 'p/{taken}'.")


@pytest.mark.parametrize("key", ["a00000.ts", "a99999.ts"])
def test_an_output_that_would_be_stored_as_anothers_segment_is_refused(call, pipeline_id, key):
    response = hls(call, pipeline_id, [PLAIN | {"Key": key}, segmented("a")])
    assert_refused(
        response, "outputs.1.member.key would be stored as a segment of outputs.2.member.key."
    )


@pytest.mark.parametrize("key", ["a0000.ts", "ab0000.ts", "a00000.mp3", "b00000.ts", "A00000.ts"])
def test_a_name_that_only_looks_like_a_segment_is_taken(call, pipeline_id, key):
    assert hls(call, pipeline_id, [PLAIN | {"Key": key}, segmented("a")]).status_code == 201


def test_an_hlsv4_playlist_may_be_named_like_its_output(call, pipeline_id):
    one = playlist("a", name="a", playlist_format="HLSv4")
    assert hls(call, pipeline_id, [segmented("a")], one).status_code == 201


@pytest.mark.parametrize(
    ("outputs", "playlists", "spare"),
    [
        ([{"Key": "k" * 255, "PresetId": MP4_AAC}], [], 0),
        ([segmented("k" * 255)], [], 8),  # 00000.ts
        ([segmented("k" * 255)], [playlist("k" * 255, playlist_format="HLSv4")], 8),  # _v4.m3u8
        ([segmented("k")], [playlist("k", name="n" * 255)], 5),  # .m3u8
    ],
)
def test_a_name_fits_into_1024_bytes_with_all_that_is_added(
    call, pipeline_id, outputs, playlists, spare
):
    room = 1024 - 255 - spare
    prefix = "🎧" * (room // 4) + "x" * (room % 4)
    fitting = hls(call, pipeline_id, outputs, *playlists, OutputKeyPrefix=prefix)
    assert fitting.status_code == 201
    Job.objects.all().delete()
    refused = hls(call, pipeline_id, outputs, *playlists, OutputKeyPrefix=f"{prefix}x")
    assert_refused(refused, "exceeds 1024 bytes.")


def test_a_canceled_job_cancels_its_playlists(call, pipeline_id):
    job_id = hls(call, pipeline_id, [segmented("a")], playlist("a")).members["Job"]["Id"]
    assert call("DELETE", f"/jobs/{job_id}").status_code == 202
    job = call("GET", f"/jobs/{job_id}").members["Job"]
    assert [one["Status"] for one in job["Playlists"]] == ["Canceled"]
