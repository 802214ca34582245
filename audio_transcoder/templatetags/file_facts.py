"""How pages tell a result from its original."""

from __future__ import annotations

from django import template

from audio_transcoder.file_page import facts

register = template.Library()
register.filter("comparison", facts.compare)
register.filter("variant_words", facts.of_variant)
