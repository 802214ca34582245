"""Rules of a job's playlists. Source: API 2012-09-25, CreateJob; developer guide, "Playlists"."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from elastic_transcoder.api.rules.base import OutputOrder, Params, items, named
from elastic_transcoder.times import clip_ms

CONTAINER_OF = {"HLSv3": "ts", "HLSv4": "ts", "MPEG-DASH": "fmp4"}
HLS = ("HLSv3", "HLSv4")
_SHOWN = 100
# It stands between quotes in EXT-X-KEY. Source: RFC 8216, 4.2 and 4.3.2.4.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[!#-~]+")


def formats_are_supported(params: Params) -> Iterator[str]:
    for path, playlist in _playlists(params):
        if playlist["Format"] not in CONTAINER_OF:
            yield f"{path}.format: {playlist['Format']} playlists are not supported."
        if playlist.get("PlayReadyDrm"):
            yield f"{path}.playReadyDrm: PlayReady is not supported."


def names_differ(params: Params) -> Iterator[str]:
    counts = Counter(playlist["Name"] for _, playlist in _playlists(params))
    for name, count in counts.items():
        if count > 1:
            yield f"Playlist names must be unique within a job; '{name}' is given {count} times."


def keys_are_those_of_outputs(params: Params) -> Iterator[str]:
    known = _outputs(params)
    for path, playlist in _playlists(params):
        if not playlist["OutputKeys"]:
            yield f"{path}.outputKeys must name at least one output."
        for key, count in Counter(playlist["OutputKeys"]).items():
            if count > 1:
                yield f"{path}.outputKeys: '{key}' is given {count} times."
            if key not in known:
                yield f"{path}.outputKeys: '{key}' is not the key of an output of this job."


def keys_are_in_the_names_folder(params: Params) -> Iterator[str]:
    for path, playlist in _playlists(params):
        folder = playlist["Name"][: playlist["Name"].rfind("/") + 1]
        if not all(key.startswith(folder) for key in playlist["OutputKeys"]):
            yield (
                f"{path}: all outputKeys must begin like the playlist name up to its last '/',"
                f" '{folder[:_SHOWN]}'."
            )


def segments_are_alike(params: Params) -> Iterator[str]:
    for path, _, outputs in _with_outputs(params):
        missing = [key for key, output in outputs.items() if "SegmentDuration" not in output]
        for key in missing:
            yield (
                f"{path}: the output with the key '{key}' is in a playlist and must have a"
                " SegmentDuration."
            )
        durations = {float(output.get("SegmentDuration", 0)) for output in outputs.values()}
        if not missing and len(durations) > 1:
            yield f"{path}: all its outputs must have the same SegmentDuration."


def clips_are_alike(params: Params) -> Iterator[str]:
    for path, _, outputs in _with_outputs(params):
        clips = {_clip(output) for output in outputs.values()}
        if len(clips) > 1:
            yield f"{path}: all its outputs must have the same Composition."


def protection_is_consistent(params: Params) -> Iterator[str]:
    for path, playlist, outputs in _with_outputs(params):
        protection = playlist.get("HlsContentProtection")
        if protection is None:
            continue
        if playlist["Format"] not in HLS:
            yield f"{path}.hlsContentProtection is only for HLSv3 and HLSv4."
        yield from _protection(f"{path}.hlsContentProtection", protection)
        for key, output in outputs.items():
            if output.get("Encryption"):
                yield (
                    f"{path}.hlsContentProtection cannot be combined with the encryption of the"
                    f" output '{key}'."
                )


def shared_outputs_are_made_one_way(params: Params) -> Iterator[str]:
    """An output may be in several playlists, if its files are the same for all of them.

    Ours: HLSv3 and HLSv4 store other files under one key, and segments are encrypted with one
    key. What the service did is unknown.
    """
    seen: dict[str, Params] = {}
    for path, playlist in _playlists(params):
        for key in dict.fromkeys(playlist["OutputKeys"]):
            other = seen.setdefault(key, playlist)
            if any(
                playlist.get(member) != other.get(member)
                for member in ("Format", "HlsContentProtection")
            ):
                yield (
                    f"{path}.outputKeys: '{key}' is also in playlist '{other['Name']}', so format"
                    " and hlsContentProtection of the two must be equal."
                )


def containers_fit_the_format(params: Params, outputs: list[OutputOrder]) -> Iterator[str]:
    containers = {output.members["Key"]: output.preset.container for output in outputs}
    for _, playlist in _playlists(params):
        wanted = CONTAINER_OF[playlist["Format"]]
        if any(containers[key] != wanted for key in playlist["OutputKeys"]):
            yield (
                f"All output keys in a {playlist['Format']} playlist must have container type of"
                f" {wanted}."
            )


def _protection(path: str, protection: Params) -> Iterator[str]:
    given = [bool(protection.get(name)) for name in ("Key", "KeyMd5", "InitializationVector")]
    if any(given) and not all(given):
        yield f"{path}: key, keyMd5 and initializationVector go together, all or none."
    url, policy = protection.get("LicenseAcquisitionUrl", ""), protection["KeyStoragePolicy"]
    if policy == "WithVariantPlaylists" and url:
        yield f"{path}.licenseAcquisitionUrl must be empty with WithVariantPlaylists."
    if policy == "NoStore" and not url:
        yield f"{path}.licenseAcquisitionUrl must be given with NoStore."
    if url and not _URL.fullmatch(url):
        yield f"{path}.licenseAcquisitionUrl must be an absolute URL without spaces or quotes."


def _playlists(params: Params) -> Iterator[tuple[str, Params]]:
    yield from items(params, "Playlists", "playlists")


def _outputs(params: Params) -> dict[str, Params]:
    return {output["Key"]: output for _, output in named(params, "Output", "Outputs")}


def _with_outputs(params: Params) -> Iterator[tuple[str, Params, dict[str, Params]]]:
    """Yield each playlist with its path and those of its outputs that there are."""
    known = _outputs(params)
    for path, playlist in _playlists(params):
        yield path, playlist, {key: known[key] for key in playlist["OutputKeys"] if key in known}


def _clip(output: Params) -> tuple[int, int | None]:
    composition = output.get("Composition") or [{}]
    return clip_ms(composition[0].get("TimeSpan"))
