"""What the pages load: our own stays light, and others' comes where it is used."""

from __future__ import annotations

import gzip
import re
from collections import Counter
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.core.files.storage import storages

from audio_transcoder.models import Rendition, TranscodeJob
from audio_transcoder.tests.addresses import NOBODYS, fill, routes
from audio_transcoder.tests.factories import make_file, make_job, make_person
from tests.system import ROOT

PROMISED_BYTES = 60_000
OTHERS = ("uppy", "wavesurfer")
# The pages that may load what is not ours.
USED_ON = {"uppy": {"audio:upload"}, "wavesurfer": {"audio:detail", "audio:order"}}


def own_files() -> list[Path]:
    return sorted([*(ROOT / "static").rglob("*.css"), *(ROOT / "static").rglob("*.js")])


def packed_bytes(files: list[Path]) -> int:
    return sum(len(gzip.compress(path.read_bytes())) for path in files)


def test_our_styles_and_scripts_together_are_light():
    sizes = {str(path.relative_to(ROOT)): packed_bytes([path]) for path in own_files()}
    assert "static/css/site.css" in sizes
    assert sum(sizes.values()) <= PROMISED_BYTES, sizes


@pytest.fixture
def pages(client, db) -> dict[str, str]:
    """The text of every whole page of a person with a ready file, by the name of its route."""
    person = make_person("ana")
    job = make_job(make_file(person))
    TranscodeJob.objects.filter(pk=job.pk).update(status="Complete")
    Rendition.objects.filter(job=job).update(status="Complete", size_bytes=6, duration_ms=1000)
    client.force_login(person)
    values = {**NOBODYS, "code": str(job.audio_file.code)}
    answers = {route.name: client.get(fill(route, values)) for route in routes()}
    return {
        name: answer.text
        for name, answer in answers.items()
        if not answer.streaming and answer.status_code == 200 and "<html" in answer.text
    }


@pytest.mark.parametrize("package", OTHERS)
def test_the_work_of_others_comes_with_the_pages_that_use_it(pages, settings, package):
    assert {"audio:list", "audio:detail", "audio:upload", "messages:list"} <= set(pages)
    loads = {name for name, text in pages.items() if package in "".join(loaded(text))}
    assert loads <= USED_ON[package]
    if package == "uppy":
        assert settings.HAS_UPPY, "`make packages` (npm ci) installs it"
        assert loads == {"audio:upload"}


def test_no_page_is_heavy_by_our_own_hand(pages):
    """Each by itself, too: a page loads the frame and what is its own, not what others need."""
    for name, text in pages.items():
        own = [path for path in map(source, loaded(text)) if path is not None and is_ours(path)]
        assert own, name
        # The upload page works on files for hours: it has half of all there is.
        share = 2 / 3 if name == "audio:upload" else 1 / 2
        assert packed_bytes(own) <= PROMISED_BYTES * share, (name, own)


def test_no_class_is_styled_by_two_sheets_of_a_page(pages):
    """Whichever comes last would win, for what the other one meant; site.css is for refining."""
    for name, text in pages.items():
        styled: Counter[str] = Counter()
        for path in filter(None, map(source, loaded(text))):
            if is_ours(path) and path.suffix == ".css" and path.name != "site.css":
                styled.update(set(re.findall(r"(?m)^\.([\w-]+) \{", path.read_text())))
        assert [css for css, times in styled.items() if times > 1] == [], name


def test_styles_come_before_scripts_and_scripts_do_not_hold_up_the_page(pages):
    for name, text in pages.items():
        head, _, body = text.partition("</head>")
        assert "<script" not in body.partition("</footer>")[0], name
        scripts = re.findall(r"<script[^>]*>", head)
        assert all(" defer" in tag or 'type="module"' in tag for tag in scripts), (name, scripts)


def loaded(text: str) -> list[str]:
    """Return the addresses of the styles and scripts of a page."""
    return re.findall(r'<(?:script|link)[^>]*\s(?:src|href)="([^"]+\.(?:css|js|mjs))"', text)


def source(address: str) -> Path | None:
    """Return where a static file lies, by its address with or without a hash in its name."""
    prefix = storages["staticfiles"].base_url
    name = re.sub(r"\.[0-9a-f]{12}(\.\w+)$", r"\1", address.removeprefix(prefix))
    found = finders.find(name)
    return Path(found) if found else None


def is_ours(path: Path) -> bool:
    return path.is_relative_to(ROOT / "static")
