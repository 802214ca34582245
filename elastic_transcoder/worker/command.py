"""FFmpeg's arguments for one run: all inputs decoded once, all outputs written.

Source: FFmpeg 9 documentation of the named options, filters and muxers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from elastic_transcoder.worker.clips import WHOLE, Clip
from elastic_transcoder.worker.encoding import Encoding
from sound import kinds
from sound.probe import Sound

# Pictures that we drew ourselves, by suffix.
DEMUXER_OF_PICTURES = {".jpg": "jpeg_pipe", ".png": "png_pipe"}


@dataclass(frozen=True)
class Recipe:
    """One file to make: which part of each input, how encoded, with which pictures."""

    encoding: Encoding
    path: Path
    clips: tuple[Clip, ...] = (WHOLE,)
    pictures: tuple[Path, ...] = ()
    # Sample format (s16, s32) and the file that gets the SHA-256 of what the encoder was given.
    sound_hash: tuple[str, Path] | None = None
    gain_db: float | None = None  # by how much it is made louder

    @property
    def list_path(self) -> Path:
        """Where the muxer lists the segments of a transport stream."""
        return self.path.with_name(f"{self.path.name}.m3u8")


def tag_file(tags: dict[str, str]) -> str:
    """Return ``tags`` as FFmpeg's metadata file. Source: ffmpeg-formats, "Metadata"."""
    lines = [f"{_escaped(name)}={_escaped(value)}\n" for name, value in tags.items()]
    return "".join([";FFMETADATA1\n", *lines])


def _escaped(text: str) -> str:
    return re.sub(r"([=;#\\\n])", r"\\\1", text)


def arguments(
    sources: Sequence[tuple[Path, Sound]],
    tags: Path,
    recipes: Sequence[Recipe],
    further: Sequence[str] = (),
) -> list[str]:
    """Return the arguments of one FFmpeg that decodes each source once and makes all recipes.

    ``tags`` is the file of ``tag_file()``; nothing else of the sources but their first sound
    tracks travels. Several sources are joined in their order. Progress goes to stdout; at its end
    the log (stderr) tells how many samples were decoded of each source. ``further`` are the
    arguments of outputs that come after all others.
    """
    argv = beginning("verbose")
    for path, sound in sources:
        # Two hundred inputs, each with every decoder's name, are more than a command line takes.
        argv += source(path, sound.codec)
    argv += ["-protocol_whitelist", "file", "-f", "ffmetadata", "-i", f"file:{tags}"]
    pictures = list(dict.fromkeys(path for recipe in recipes for path in recipe.pictures))
    for path in pictures:
        argv += ["-protocol_whitelist", "file", "-f", DEMUXER_OF_PICTURES[path.suffix]]
        argv += ["-i", f"file:{path}"]
    # Of several that are given the same sound, one is hashed.
    hashed = {recipe.sound_hash: recipe for recipe in recipes if recipe.sound_hash}
    takers = [*recipes, *hashed.values()]
    graphs, maps = _sounds(takers, [sound for _, sound in sources])
    argv += graphs
    for recipe, taken in zip(recipes, maps, strict=False):
        argv += taken
        for position, path in enumerate(recipe.pictures):
            argv += ["-map", f"{len(sources) + 1 + pictures.index(path)}:v:0"]
            argv += [f"-disposition:v:{position}", "attached_pic"]
        argv += ["-c:v", "copy"] if recipe.pictures else []
        argv += ["-map_metadata", str(len(sources)), "-map_chapters", "-1"]
        argv += [*recipe.encoding.arguments, *_file(recipe)]
    for (sample_format, path), taken in zip(hashed, maps[len(recipes) :], strict=True):
        argv += [*taken, "-map_metadata", "-1"]
        argv += ["-c:a", f"pcm_{sample_format}le", "-f", "hash", "-hash", "sha256"]
        argv.append(f"file:{path}")
    return [*argv, *further]


def beginning(level: str) -> list[str]:
    """Return the options of every run: its log is of this level, its progress goes to stdout."""
    return [
        "-hide_banner", "-nostdin", "-loglevel", f"level+{level}", "-nostats",
        "-stats_period", "0.5", "-progress", "pipe:1",
    ]  # fmt: skip


def source(path: Path, codec: str) -> list[str]:
    """Return the input that is the sound of a file; nothing else of it is decoded."""
    pixels = ["-max_pixels", str(kinds.MAX_PIXELS)]
    return [*reading(codec), *pixels, "-vn", "-sn", "-dn", "-i", f"file:{path}"]


def listening(filters: Sequence[str] = ()) -> list[str]:
    """Return the output that measures the first input as these filters leave it, and no more."""
    chain = ",".join([*filters, "ebur128=peak=true:framelog=quiet"])
    return ["-map", "0:a:0", "-af", chain, "-f", "null", "-"]


def reading(codec: str) -> list[str]:
    """Return the options of an input whose sound is of this codec, and no other."""
    options = kinds.READING | {"codec_whitelist": ",".join(kinds.decoders_of(codec))}
    return [part for name, value in options.items() for part in (f"-{name}", value)]


def _file(recipe: Recipe) -> list[str]:
    if recipe.encoding.is_segmented and recipe.encoding.container.muxer == "mpegts":
        segments = ["-hls_segment_filename", f"file:{recipe.path}"]
        return [*segments, f"file:{recipe.list_path}"]
    return [f"file:{recipe.path}"]


def _sounds(takers: Sequence[Recipe], sounds: Sequence[Sound]) -> tuple[list[str], list[list[str]]]:
    """Return the graphs that join several sources, and for each taker what takes its sound."""
    if len(sounds) == 1:
        chains = [
            [*filters(one.encoding, sounds[0], one.clips[0]), *_gain(one.gain_db)] for one in takers
        ]
        return [], [["-map", "0:a:0", "-af", ",".join(each)] for each in chains]
    # Those that want the same rate, channels and cuts share a graph.
    alike: dict[tuple, list[int]] = {}
    for number, one in enumerate(takers):
        wanted = one.encoding.sample_rate_hz, one.encoding.channels, one.clips
        alike.setdefault(wanted, []).append(number)
    graphs = []
    for numbers in alike.values():
        outs = "".join(f"[o{number}]" for number in numbers)
        joined = _joined(takers[numbers[0]], sounds)
        graphs += ["-filter_complex", f"{joined},asplit={len(numbers)}{outs}"]
    return graphs, [["-map", f"[o{number}]"] for number in range(len(takers))]


def _joined(recipe: Recipe, sounds: Sequence[Sound]) -> str:
    encoding = recipe.encoding
    layout = {1: "mono", 2: "stereo"}.get(encoding.channels, f"{encoding.channels}c")
    same = f"aresample={encoding.sample_rate_hz},aformat={_sample_format(sounds)}:cl={layout}"
    parts = [
        ",".join([*filters(encoding, sound, clip), same])
        for sound, clip in zip(sounds, recipe.clips, strict=True)
    ]
    chains = "".join(f"[{number}:a:0]{part}[p{number}];" for number, part in enumerate(parts))
    joined = "".join(f"[p{number}]" for number in range(len(parts)))
    return f"{chains}{joined}concat=n={len(parts)}:v=0:a=1"


def _sample_format(sounds: Sequence[Sound]) -> str:
    """Return the format that keeps every sample of these sounds as it is."""
    if not all(sound.lossless for sound in sounds):
        return "f=fltp"
    return "f=s16" if all((sound.bits or 0) <= 16 for sound in sounds) else "f=s32"


def _gain(gain_db: float | None) -> list[str]:
    return [] if gain_db is None else [f"volume={gain_db:.2f}dB:precision=double"]


def filters(encoding: Encoding, sound: Sound, clip: Clip) -> list[str]:
    """Return FFmpeg's filters for the part of a sound that an encoder gets."""
    chain = ["asetpts=N/SR/TB", *clip.filters(sound.sample_rate_hz)]
    if (sound.channels, encoding.channels) == (1, 2):
        # Both sides get the very samples; a mix could change them.
        chain.append("pan=stereo|c0=c0|c1=c0")
    return chain
