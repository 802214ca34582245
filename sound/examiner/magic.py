"""What the first bytes of a file say, for files that no demuxer of ours opens."""

from __future__ import annotations

# Containers that we take, by FFmpeg's names: one that does not open is damaged.
CONTAINERS = {
    "mp3": ((0, b"ID3"),),
    "flac": ((0, b"fLaC"),),
    "ogg": ((0, b"OggS"),),
    "matroska": ((0, b"\x1aE\xdf\xa3"),),
    "mov": ((4, b"ftyp"), (4, b"moov"), (4, b"mdat")),
    "wav": ((8, b"WAVE"),),
    "aiff": ((8, b"AIFF"), (8, b"AIFC")),
    "asf": ((0, bytes.fromhex("3026b2758e66cf11")),),
    "flv": ((0, b"FLV\x01"),),
    "mpeg": ((0, b"\x00\x00\x01\xba"),),
    "mxf": ((0, bytes.fromhex("060e2b34020501010d010201")),),
}

# Sound or video, but of a kind that we do not take.
FOREIGN = (
    (0, b"MThd"), (0, b"#!AMR"), (0, b"DSD "), (0, b"FRM8"), (0, b"IMPM"), (0, b"MAC "),
    (0, b"Extended Module: "), (1080, b"M.K."), (0, b"wvpk"), (0, b"TTA1"), (0, b"MPCK"),
    (0, b"MP+"), (0, b".snd"), (0, b"caff"), (0, b"\x0bw"), (0, b"\x7f\xfe\x80\x01"), (0, b".RMF"),
    (0, b".ra\xfd"), (0, b"TWIN"), (0, b"tBaK"), (8, b"AVI "),
    (0, b"\x00\x00\x01\xb3"), (44, b"SCRM"), (8, b"CDDA"),
    (0, b"Creative Voice File"), (0, b"NIST_1A"), (8, b"RMID"),
    (0, b"riff.\x91\xcf\x11"),
)  # fmt: skip

PICTURES = (
    (0, b"\x89PNG\r\n\x1a\n"), (0, b"\xff\xd8\xff"), (0, b"GIF8"), (0, b"BM"), (8, b"WEBP"),
    (0, b"II*\x00"), (0, b"MM\x00*"), (8, b"avif"), (8, b"heic"), (8, b"mif1"),
)  # fmt: skip

# Files in which sound may be packed, or that only have some glued on.
WRAPPERS = (
    (0, b"PK\x03\x04"), (0, b"\x1f\x8b\x08"), (0, b"Rar!\x1a\x07"), (0, b"7z\xbc\xaf\x27\x1c"),
    (257, b"ustar"), (0, b"%PDF-"), (0, b"\x7fELF"), (0, b"<!DOCTYPE"), (0, b"<html"),
    (0, b"<?xml"),
)  # fmt: skip

# Boxes other than those above with which an MP4 or QuickTime file may begin.
# Source: ISO/IEC 14496-12 section 8.1; QuickTime File Format Specification, "wide", "pnot".
BOXES = tuple((4, kind) for kind in (b"free", b"skip", b"wide", b"pnot", b"uuid", b"styp"))


def container(head: bytes) -> str:
    """Return the container that a file with this beginning names, "" if it names none of ours."""
    named = (name for name, magics in CONTAINERS.items() if _is(head, magics))
    return next(named, "mov" if is_of_mp4(head) else "")


def is_of_mp4(head: bytes) -> bool:
    """Return whether a file with this beginning may be an MP4 whose sound stands further on."""
    return _is(head, BOXES)


def is_wrapper(head: bytes) -> bool:
    """Return whether a file with this beginning is no sound, whatever is found further on."""
    return _is(head, WRAPPERS)


def _is(head: bytes, magics: tuple[tuple[int, bytes], ...]) -> bool:
    return any(head[at : at + len(magic)] == magic for at, magic in magics)


def reason(head: bytes) -> tuple[str, str]:
    """Return why a file with this beginning did not open: ``(reason, detail)``."""
    if _is(head, PICTURES):
        return "no_audio", "it is a picture"
    if _is(head, FOREIGN):
        return "unsupported", "a kind of sound or video that is not taken"
    if any(_is(head, magics) for magics in CONTAINERS.values()):
        return "damaged", "its header cannot be read"
    return "not_audio", "no known kind of sound begins like this"
