"""From an order to a CreateJob request, or to a refusal before anything is sent.

Source: MediaConvert API 2017-08-29, CreateJob; User Guide, "Supported input formats" and
"Setting up timecodes".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audio_transcoder.engines.base import Clip, Order, Source, TranscoderRejected, Wanted
from audio_transcoder.formats import MediaConvertGroup

# UserMetadata members, which every event repeats: whose job it is, and which.
ENV = "env"
OUR_ID = "transcode_job"

_PCM = ("pcm_s", "pcm_u", "pcm_f")
# Sound without pictures that is documented as an input: FFmpeg's names of containers, and how its
# names of their codecs begin. Missing: AIFF, ALAC, APE, WavPack, DSD, and all that is not listed.
READABLE: dict[str, tuple[str, ...]] = {
    "wav": (*_PCM, "gsm"),
    "flac": ("flac",),
    "mp3": ("mp3",),
    "mov": ("aac", "flac", *_PCM),
    "aac": ("aac",),
    "ogg": ("vorbis", "opus", "flac"),
    "matroska": ("flac", "opus"),
    "asf": ("wmav1", "wmav2", "wmapro"),
    "mpegts": ("mp2", *_PCM, "pcm_bluray"),
}
# Bytes: sizes in a RIFF file have 32 bits, and its header needs some of them.
RIFF_LIMIT = 2**32 - 4096
FLAC_RATES = (22050, 192_000)  # Hz, from and to
# Hours of a timecode go up to 24.
CLIP_LIMIT_MS = 25 * 3600 * 1000
# AacSettings.Bitrate takes these alone, of those that people may order; in kbit/s.
_AAC_KBPS = (64, 80, 96, 112, 128, 160, 192, 224, 256, 288, 320)
_SOFTEST_LKFS = -59  # of AudioNormalizationSettings.TargetLkfs


def request(order: Order, *, env: str, role: str, queue: str, bucket: str) -> dict[str, Any]:
    """Return the parameters of CreateJob. Raises TranscoderRejected for what it cannot do."""
    refused = refusal(order)
    if refused:
        raise refused
    return {
        "Role": role,
        "Queue": queue,
        "ClientRequestToken": order.our_id,  # remembered for a minute: the same order, one job
        "UserMetadata": {ENV: env, OUR_ID: order.our_id},
        "Settings": {
            "TimecodeConfig": {"Source": "ZEROBASED"},
            "Inputs": [_input(f"s3://{bucket}/{order.source.key}", order)],
            "OutputGroups": [
                _group(wanted.format.name, f"s3://{bucket}/{wanted.key}", wanted, order)
                for wanted in order.outputs
            ],
        },
    }


def refusal(order: Order) -> TranscoderRejected | None:
    """Return why MediaConvert cannot do ``order``, or None.

    What is not known of the source is not held against it.
    """
    source, clip = order.source, order.clip
    codecs = READABLE.get(source.container, ())
    is_read = source.codec.startswith(codecs) if source.codec else bool(codecs)
    if source.container and not is_read:
        what = f"{source.codec or 'sound'} in {source.container}"
        return TranscoderRejected("unsupported_here", f"MediaConvert does not read {what}.")
    for format in order.formats:
        channels = format.mediaconvert.max_channels
        if (source.channels or 0) > channels:
            return TranscoderRejected(
                "unsupported_here",
                f"{format.label} from MediaConvert has {channels} channels at most, "
                f"the source has {source.channels}.",
            )
        size = _riff_bytes(format.mediaconvert, _duration_ms(source, clip))
        if size > RIFF_LIMIT:
            return TranscoderRejected(
                "too_long", f"A {format.label} of {size} bytes is more than a RIFF file can hold."
            )
    if clip and source.has_video:
        return TranscoderRejected(
            "unsupported_here", "MediaConvert cuts a video between its frames, not at these times."
        )
    if clip and clip.start_ms + (clip.duration_ms or 0) >= CLIP_LIMIT_MS:
        return TranscoderRejected("too_long", "MediaConvert cannot cut beyond 25 hours.")
    return None


def output_key(group: dict[str, Any], output: dict[str, Any], bucket: str) -> str:
    """Return the key that a job's settings give to an output, ``""`` if they do not say.

    Source: "Specifying output destinations": Destination + NameModifier + "." + Extension.
    """
    settings = group.get("OutputGroupSettings", {})
    destination = settings.get(_member(settings.get("Type", "")), {}).get("Destination", "")
    start, extension = f"s3://{bucket}/", output.get("Extension")
    if not destination.startswith(start) or not extension:
        return ""
    name = f"{destination.removeprefix(start)}{output.get('NameModifier', '')}"
    return f"{name.replace('$$', '$')}.{extension}"


def _input(uri: str, order: Order) -> dict[str, Any]:
    one: dict[str, Any] = {
        "FileInput": uri,
        "TimecodeSource": "ZEROBASED",
        "AudioSelectors": {"Audio Selector 1": {"DefaultSelection": "DEFAULT"}},
    }
    if any(output.video for format in order.formats for output in format.mediaconvert.outputs):
        one["VideoSelector"] = {}
    if order.clip:
        one["InputClippings"] = [_clipping(order.clip)]
    return one


def _codec_settings(audio: Mapping[str, Any], wanted: Wanted, source: Source) -> Mapping[str, Any]:
    """Return CodecSettings with what of ``wanted`` is not as its format has it.

    That is a bit rate, in kbit/s, or sample rate and channels of the source, as far as they are
    known.
    """
    member = next((name for name in audio if name != "Codec"), "")
    own: dict[str, int] = {}
    kbps = wanted.bitrate_kbps
    if kbps is not None and "Bitrate" in audio.get(member, ()):
        if member == "AacSettings":
            kbps = min(_AAC_KBPS, key=lambda step: abs(step - wanted.bitrate_kbps))
        own["Bitrate"] = kbps * 1000
    if wanted.format.keeps_source and source.channels:
        own["Channels"] = source.channels
    if wanted.format.keeps_source and source.sample_rate_hz:
        own["SampleRate"] = min(max(source.sample_rate_hz, FLAC_RATES[0]), FLAC_RATES[1])
    return {**audio, member: {**audio[member], **own}} if own else audio


def _group(name: str, uri: str, wanted: Wanted, order: Order) -> dict[str, Any]:
    """Return an OutputGroup whose file, or whose playlist, is stored exactly at ``uri``."""
    group = wanted.format.mediaconvert
    stem, _dot, extension = uri.rpartition(".")
    destination = stem.removesuffix(group.outputs[0].modifier)
    is_file = group.type == "FILE_GROUP_SETTINGS"  # other groups name their files themselves
    outputs = []
    for entry in group.outputs:
        output: dict[str, Any] = {"ContainerSettings": entry.container}
        if entry.video:
            output["VideoDescription"] = entry.video
        if entry.audio:
            described = {
                "AudioSourceName": "Audio Selector 1",
                "CodecSettings": _codec_settings(entry.audio, wanted, order.source),
            }
            if order.target_lufs is not None:
                described["AudioNormalizationSettings"] = {
                    "Algorithm": "ITU_BS_1770_3",
                    "AlgorithmControl": "CORRECT_AUDIO",
                    "TargetLkfs": max(order.target_lufs, _SOFTEST_LKFS),
                    "PeakCalculation": "TRUE_PEAK",
                    "TruePeakLimiterThreshold": -1.0,
                }
            output["AudioDescriptions"] = [described]
        if entry.settings:
            output["OutputSettings"] = entry.settings
        if entry.modifier:
            output["NameModifier"] = _literal(entry.modifier)
        if is_file:
            output["Extension"] = extension
        outputs.append(output)
    return {
        "Name": name,
        "OutputGroupSettings": {
            "Type": group.type,
            _member(group.type): {"Destination": _literal(destination), **group.settings},
        },
        "Outputs": outputs,
    }


def _member(group_type: str) -> str:
    """Return where a group's settings stand: ``FILE_GROUP_SETTINGS`` is ``FileGroupSettings``."""
    return "".join(word.title() for word in group_type.split("_"))


def _literal(text: str) -> str:
    # $…$ stands for dates, names and the like.
    return text.replace("$", "$$")


def _clipping(clip: Clip) -> dict[str, str]:
    clipping = {"StartTimecode": _timecode(clip.start_ms)}
    if clip.duration_ms is not None:
        clipping["EndTimecode"] = _timecode(clip.start_ms + clip.duration_ms)
    return clipping


def _timecode(ms: int) -> str:
    """Return ``HH:MM:SS:FF``. FF counts frames; where there are none, hundredths of a second."""
    seconds, hundredths = divmod(round(ms / 10), 100)
    minutes, second = divmod(seconds, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{second:02}:{hundredths:02}"


def _duration_ms(source: Source, clip: Clip | None) -> int:
    """Return how much sound comes out; 0 if that is not known."""
    if clip and clip.duration_ms is not None:
        return clip.duration_ms
    return max(0, (source.duration_ms or 0) - (clip.start_ms if clip else 0))


def _riff_bytes(group: MediaConvertGroup, duration_ms: int) -> int:
    """Return the size of the largest RIFF file in ``group``, 0 if there is none."""
    waves = [(output.audio or {}).get("WavSettings", {}) for output in group.outputs]
    return max(
        duration_ms * wave["SampleRate"] * wave["Channels"] * wave["BitDepth"] // 8000
        if wave.get("Format") == "RIFF"
        else 0
        for wave in waves
    )
