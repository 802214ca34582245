"""What the rules of every subject share: their types, and how members are walked and named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from elastic_transcoder.presets import AnyPreset

Params = dict[str, Any]
# One sentence for each breach.
Rule = Callable[[Params], Iterator[str]]

MAX_OBJECT_KEY_BYTES = 1024  # of UTF-8; what S3 takes
# S3 does the work of these; the aes modes need Amazon's key service.
ENCRYPTION_MODES = ("s3", "s3-aws-kms")


class OutputOrder(NamedTuple):
    """One output of a CreateJob, once its preset is known. ``path`` names it in messages."""

    path: str
    members: Params
    preset: AnyPreset


JobRule = Callable[[Params, list[OutputOrder]], Iterator[str]]


def named(params: Params, one: str, many: str) -> Iterator[tuple[str, Params]]:
    """Yield each input or output with its path, in whichever form the request gave it."""
    if one in params:
        yield one.lower(), params[one]
    yield from items(params, many, many.lower())


def items(owner: Params, member: str, path: str) -> Iterator[tuple[str, Any]]:
    """Yield each item of a list with its path: ``path.1.member``."""
    for number, item in enumerate(owner.get(member, ()), start=1):
        yield f"{path}.{number}.member", item


def one_of(params: Params, one: str, many: str) -> Iterator[str]:
    if params.get(one) is not None and params.get(many):
        yield f"{one} and {many} are mutually exclusive."
    if params.get(one) is None and not params.get(many):
        yield f"{one} and {many} are not allowed to both be null or empty."


def encryption_is_s3s(path: str, owner: Params, member: str = "Encryption") -> Iterator[str]:
    encryption = owner.get(member)
    if encryption and encryption.get("Mode") not in ENCRYPTION_MODES:
        name = f"{member[0].lower()}{member[1:]}"
        modes = " and ".join(ENCRYPTION_MODES)
        yield f"{path}.{name}: encryption other than {modes} is not supported."


def even_within(path: str, value: str | None, least: int, most: int) -> Iterator[str]:
    """A size in pixels: ``auto``, or an even number from ``least`` to ``most``."""
    if value in (None, "auto"):
        return
    if int(value) % 2 or not least <= int(value) <= most:
        yield f"{path} must be 'auto' or an even number from {least} to {most}."
