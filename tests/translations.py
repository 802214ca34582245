"""The catalogues of ``locale/``: what the sources say, in every language.

``make translations`` collects the words of templates and Python, keeps the translations that still
belong to something, writes ``django.po`` and ``django.mo`` of each language and lists what has no
translation. Babel does it, so nobody needs GNU gettext. It runs with Django set up.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.conf import settings
from django.utils.translation.template import templatize

from audio_transcoder.installation import model_names

ROOT = Path(__file__).resolve().parent.parent
LANGUAGES = [code for code, _name in settings.LANGUAGES if code != settings.LANGUAGE_CODE]
NO_PAGES = {"bench", "deploy", "tests"}
KEYWORDS = DEFAULT_KEYWORDS | {
    "gettext_lazy": None,
    "gettext_noop": None,
    "ngettext_lazy": (1, 2),
    "npgettext_lazy": ((1, "c"), 2, 3),
    "pgettext_lazy": ((1, "c"), 2),
}
# Of what Babel writes: addresses of nobody, and what changes without a word being another.
EMPTY_HEADERS = (
    b'"Project-Id', b'"Report-Msgid', b'"POT-', b'"PO-Revision', b'"Last-', b'"Language-Team',
    b'"Generated-By',
)  # fmt: skip
# The same words make the same bytes, whenever they are written.
WRITTEN = datetime(2026, 1, 1, tzinfo=UTC)


def sources() -> Catalog:
    """Return what is said in templates and Python, and the names of models and their columns."""
    found = Catalog()
    for path, text in _texts():
        for _line, words, comments, context in extract(
            "python", io.BytesIO(text.encode()), keywords=KEYWORDS, comment_tags=["Translators"]
        ):
            place = [(str(path.relative_to(ROOT)), 0)]
            found.add(words, locations=place, auto_comments=comments, context=context)
    for name in model_names.texts:
        found.add(name, locations=[("models", 0)])
    return found


def _texts() -> Iterator[tuple[Path, str]]:
    """Return the files that speak to people, each as Python."""
    rooms = {path.parent for path in ROOT.glob("*/__init__.py")}
    for room in sorted(rooms):
        if room.name not in NO_PAGES:
            for path in sorted(room.rglob("*.py")):
                if not {"tests", "migrations"} & set(path.parts):
                    yield path, path.read_text()
    for path in sorted((ROOT / "templates").rglob("*.*")):
        # What stands between the words is no Python, and need not be indented as if it were.
        lines = templatize(path.read_text(), origin=str(path)).splitlines()
        yield path, "\n".join(line.strip() for line in lines)


def po_of(language: str) -> Path:
    return ROOT / "locale" / language / "LC_MESSAGES" / "django.po"


def read(language: str) -> Catalog:
    """Return the catalogue of a language as it is kept; empty when there is none yet."""
    path = po_of(language)
    if not path.exists():
        return Catalog(language)
    with path.open("rb") as file:
        return read_po(file, locale=language)


def brought_up_to(found: Catalog, language: str) -> Catalog:
    """Return the kept translations of what is in ``found``, and the rest of it untranslated."""
    kept = read(language)
    catalog = Catalog(
        language,
        project="Audio Transcoder",
        header_comment=f"# Audio Transcoder: {language}. Written by: make translations",
        creation_date=WRITTEN,
        revision_date=WRITTEN,
        fuzzy=False,
    )
    for message in sorted(found, key=_place):
        if message.id:
            old = kept.get(message.id, message.context)
            catalog[message.id] = Message(
                message.id,
                old.string if old and _has_forms(catalog, old) else "",
                sorted(set(message.locations)),
                message.flags,
                message.auto_comments,
                context=message.context,
            )
    return catalog


def _place(message: Message) -> tuple:
    return sorted(message.locations), str(message.id), message.context or ""


def _has_forms(catalog: Catalog, message: Message) -> bool:
    return not message.pluralizable or len(message.string) == catalog.num_plurals


def is_missing(message: Message) -> bool:
    forms = message.string if message.pluralizable else (message.string,)
    return bool(message.id) and not (forms and all(forms))


def po(catalog: Catalog) -> bytes:
    out = io.BytesIO()
    write_po(out, catalog, width=100, include_lineno=False)
    lines = out.getvalue().splitlines(keepends=True)
    return b"".join(line for line in lines if not line.startswith(EMPTY_HEADERS))


def mo(catalog: Catalog) -> bytes:
    out = io.BytesIO()
    write_mo(out, catalog)
    return out.getvalue()


def write() -> None:
    """Write the catalogues of every language, and print what they lack."""
    found = sources()
    for language in LANGUAGES:
        catalog = brought_up_to(found, language)
        path = po_of(language)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(po(catalog))
        path.with_suffix(".mo").write_bytes(mo(catalog))
        missing = [message for message in catalog if is_missing(message)]
        print(f"{language}: {len(catalog)} texts, {len(missing)} of them not translated")
        for message in missing:
            print(f"    {message.id}")
