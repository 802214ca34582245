"""The catalogues of the languages: whole, fitting, and the ones that the site reads."""

from __future__ import annotations

import gettext
import re
from pathlib import Path

import pytest
from babel.messages.catalog import Message
from django.utils import formats, translation
from django.utils.translation import ngettext

from tests import translations
from tests.translations import LANGUAGES

# Letters and abbreviations end otherwise elsewhere.
OTHERWISE = {"Hello %(person)s,", "No."}
PLACES = re.compile(r"\{\w*\}|%%|%\(\w+\)[sd]|%[sd]|%\.\df|</?\w+")


@pytest.fixture(scope="module")
def found():
    return translations.sources()


def keys(catalog) -> set:
    return {(message.id, message.context) for message in catalog if message.id}


def forms_of(message: Message) -> tuple[str, ...]:
    return tuple(message.string) if message.pluralizable else (message.string,)


def test_english_polish_and_spanish_are_spoken():
    assert LANGUAGES == ["pl", "es"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_catalogue_has_what_is_said_and_nothing_else(found, language):
    kept = keys(translations.read(language))
    assert keys(found) - kept == set(), "new words: make translations, then translate them"
    assert kept - keys(found) == set(), "nobody says this any more: make translations"


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_left_untranslated_or_unsure(language):
    catalog = translations.read(language)
    assert [message.id for message in catalog if translations.is_missing(message)] == []
    assert [message.id for message in catalog if message.id and message.fuzzy] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_has_the_places_and_tags_of_the_original(language):
    wrong = []
    for message in translations.read(language):
        if message.id:
            original = message.id[-1] if message.pluralizable else message.id
            for text in forms_of(message):
                if sorted(PLACES.findall(text)) != sorted(PLACES.findall(original)):
                    wrong.append((original, text))
    assert wrong == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_begins_and_ends_like_the_original(language):
    """A label keeps its colon and a sentence its full stop; nothing gains or loses a space."""
    wrong = []
    for message in translations.read(language):
        if message.id:
            original = message.id[-1] if message.pluralizable else message.id
            wrong += [
                (original, text) for text in forms_of(message) if ends(text) != ends(original)
            ]
    assert [pair for pair in wrong if pair[0] not in OTHERWISE] == []


def ends(text: str) -> tuple[str, ...]:
    last = text[-1:] if text[-1:] in ".:?…," else ""
    return (text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :], last)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_compiled_catalogue_is_what_the_text_says(language, tmp_path: Path):
    path = translations.po_of(language)
    (tmp_path / "django.mo").write_bytes(translations.mo(translations.read(language)))
    with path.with_suffix(".mo").open("rb") as kept, (tmp_path / "django.mo").open("rb") as made:
        catalogues = [gettext.GNUTranslations(file)._catalog for file in (kept, made)]
    for catalogue in catalogues:
        del catalogue[""]
    assert catalogues[0] == catalogues[1], "make translations"


@pytest.mark.parametrize(
    ("language", "number", "said"),
    [("pl", 1, "1 plik"), ("pl", 2, "2 pliki"), ("pl", 5, "5 plików"), ("pl", 12, "12 plików"),
     ("pl", 22, "22 pliki"), ("pl", 0, "0 plików"), ("pl", 112, "112 plików"),
     ("es", 1, "1 archivo"), ("es", 0, "0 archivos"), ("es", 2, "2 archivos")],
)  # fmt: skip
def test_a_number_gets_the_plural_of_the_language(language, number, said):
    with translation.override(language):
        text = ngettext("{number} file", "{number} files", number)
    assert text.format(number=number) == said


@pytest.mark.parametrize(
    ("language", "number"), [("en", "12,345.6"), ("pl", "12\xa0345,6"), ("es", "12\xa0345,6")]
)
def test_a_number_is_written_as_the_language_has_it(language, number):
    with translation.override(language):
        assert formats.number_format(12345.6, 1, use_l10n=True, force_grouping=True) == number


def test_words_of_templates_python_and_models_are_found(found):
    for words in ("Skip to the content", "Your file {name} is ready.", "created at"):
        assert words in found
    assert ("{number} file", "{number} files") in {message.id for message in found}


def test_a_word_that_is_new_is_said_by_name(found, capsys, monkeypatch, tmp_path: Path):
    monkeypatch.setattr(translations, "po_of", lambda language: tmp_path / language / "django.po")
    monkeypatch.setattr(translations, "sources", lambda: found)
    translations.write()
    said = capsys.readouterr().out
    assert f"pl: {len(found)} texts, {len(found)} of them not translated" in said
    assert "    Skip to the content\n" in said
