"""Who imports whom: the arrows between the rooms."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = {
    "audio_transcoder": {"transcode_messages", "sns", "buckets", "steps", "sound", "images"},
    "elastic_transcoder": {"sns", "buckets", "steps", "sound", "sandbox"},
    "transcode_messages": set(),
    "sns": set(),
    "buckets": set(),
    "steps": set(),
    "sandbox": set(),
    "sound": {"sandbox"},
    "images": {"sandbox"},
    "deploy": set(),
}
# The web app calls the transcoder like any other client would, and may show who needs which right.
DOORS = {
    ("audio_transcoder", "elastic_transcoder.client"),
    ("audio_transcoder", "deploy.aws.permissions"),
}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def modules(room: str) -> list[Path]:
    found = [path for path in (ROOT / room).rglob("*.py") if "tests" not in path.parts]
    assert found, room
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_the_rooms_it_may(room):
    for path in modules(room):
        for name in imports(path):
            other = name.split(".")[0]
            if other not in ROOMS or other == room or other in ROOMS[room]:
                continue
            through_a_door = any(
                room == source and f"{name}.".startswith(f"{door}.") for source, door in DOORS
            )
            assert through_a_door, f"{path.relative_to(ROOT)} imports {name}"


def test_only_engines_and_the_client_know_botocore():
    """boto3 for jobs stays in the engines; storage and notices have their own rooms."""
    allowed = {
        "audio_transcoder/engines/elastic.py",
        "audio_transcoder/engines/mediaconvert/__init__.py",
        "audio_transcoder/storages.py",
        # Asks IAM, STS, EventBridge and a topic's settings, which nothing else here calls.
        "audio_transcoder/doctor/amazon.py",
        "elastic_transcoder",
        "sns",
        "buckets",
        "deploy/aws/lambda",
    }
    for room in ROOMS:
        for path in modules(room):
            relative = str(path.relative_to(ROOT))
            if any(relative.startswith(prefix) for prefix in allowed):
                continue
            used = {name.split(".")[0] for name in imports(path)}
            assert not used & {"boto3", "botocore"}, relative
