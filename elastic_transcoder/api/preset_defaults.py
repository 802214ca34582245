"""What CreatePreset fills in. Source: API 2012-09-25; developer guide, "Settings for presets"."""

from __future__ import annotations

from typing import Any

Members = dict[str, Any]


def audio_filled(audio: Members | None) -> Members | None:
    """Return the Audio section with the defaults of what was left out; None stays None.

    A flac without BitDepth keeps that of each input, so there is none to fill in.
    """
    if audio is None:
        return None
    given = audio.get("CodecOptions", {})
    options: Members = {}
    if audio["Codec"] == "AAC":
        options = {"Profile": "AAC-LC"}
    elif audio["Codec"] == "pcm":
        bits = given.get("BitDepth", "16")
        # RIFF knows no other signs.
        sign = "Unsigned" if bits == "8" else "Signed"
        options = {"BitDepth": bits, "BitOrder": "LittleEndian", "Signed": sign}
    options |= given
    filled = {"AudioPackingMode": "SingleTrack", **audio}
    return filled | {"CodecOptions": options} if options else filled


def video_filled(video: Members | None) -> Members | None:
    """Return the Video section with the guide's defaults of what was left out."""
    if not video:
        return None
    given = video.get("CodecOptions", {})
    options: Members = {}
    if video["Codec"] in ("H.264", "mpeg2"):
        options = {"InterlacedMode": "Progressive", "ColorSpaceConversionMode": "None"}
    if video["Codec"] == "gif":
        options = {"LoopCount": "Infinite"}
    if "MaxBitRate" in given:
        options["BufferSize"] = str(int(given["MaxBitRate"]) * 10)
    filled = dict(video)
    if video.get("FrameRate") == "auto":
        filled.setdefault("MaxFrameRate", "30")
    options |= given
    return filled | {"CodecOptions": options} if options else filled
