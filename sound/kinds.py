"""Which kinds of sound we take: one list for the probe, FFmpeg and the page that names them.

FFmpeg probes by content, and some of its demuxers open whatever a file names: playlists, session
descriptions, image sequences. So only these may open anything, and only these decoders may run;
pictures inside sound files are never decoded. Source: FFmpeg options format_whitelist,
codec_whitelist, protocol_whitelist of AVFormatContext.
"""

from __future__ import annotations

DEMUXERS = (
    "mp3", "wav", "flac", "mov", "aac", "ogg", "aiff", "asf", "matroska",
    # Video, whose sound is taken. Not AVI: its subtitles may name other files.
    "flv", "mpeg", "mpegts", "mxf",
)  # fmt: skip

# Names of decoders in FFmpeg and in PyAV's libraries; one that a build lacks does no harm.
DECODERS = (
    "mp3float", "mp3", "mp3adufloat", "mp2float", "mp2", "mp1float", "mp1",
    "aac", "aac_fixed", "aac_latm", "ac3", "eac3", "dca", "truehd", "mlp",
    "flac", "alac", "vorbis", "libvorbis", "opus", "libopus", "speex", "libspeex",
    "wmav1", "wmav2", "wmapro", "wmalossless", "wmavoice", "wavpack", "tta", "ape",
    "gsm", "gsm_ms", "truespeech", "amrnb", "amrwb", "qcelp", "mace3", "mace6", "qdm2", "qdmc",
    "adpcm_ms", "adpcm_ima_wav", "adpcm_ima_qt", "adpcm_yamaha", "adpcm_swf", "adpcm_g726",
    "adpcm_g726le", "adpcm_g722",
    "pcm_u8", "pcm_s8", "pcm_s16le", "pcm_s16be", "pcm_u16le", "pcm_u16be", "pcm_s24le",
    "pcm_s24be", "pcm_u24le", "pcm_u24be", "pcm_s32le", "pcm_s32be", "pcm_u32le", "pcm_u32be",
    "pcm_s64le", "pcm_s64be", "pcm_f16le", "pcm_f24le", "pcm_f32le", "pcm_f32be", "pcm_f64le",
    "pcm_f64be", "pcm_alaw", "pcm_mulaw", "pcm_s16le_planar", "pcm_s24le_planar",
    "pcm_s32le_planar", "pcm_bluray", "pcm_dvd", "pcm_lxf", "pcm_sga", "pcm_vidc",
)  # fmt: skip


def decoders_of(codec: str) -> tuple[str, ...]:
    """Return those of DECODERS that may decode ``codec``, FFmpeg's name of it; all if none is so
    called."""
    named = tuple(name for name in DECODERS if name.removeprefix("lib").startswith(codec))
    return named or DECODERS


# Whole numbers, kept as they are: what decodes to the same samples again.
LOSSLESS = frozenset(
    {"flac", "alac", "wavpack", "tta", "ape", "wmalossless", "truehd", "mlp"}
    | {
        name
        for name in DECODERS
        if name.startswith(("pcm_s", "pcm_u")) and name not in ("pcm_sga", "pcm_s64le", "pcm_s64be")
    }
)

# Hundreds of covers are no reason to refuse a sound; a stream costs little until it is decoded.
MAX_STREAMS = 1000
MAX_PIXELS = 4096 * 3072

# Before the input, for FFmpeg and for PyAV alike.
READING = {
    "protocol_whitelist": "file",
    "format_whitelist": ",".join(DEMUXERS),
    "codec_whitelist": ",".join(DECODERS),
    "max_streams": str(MAX_STREAMS),
}
