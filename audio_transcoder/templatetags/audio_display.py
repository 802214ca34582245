"""How pages write times."""

from __future__ import annotations

from django import template

from audio_transcoder import figures

register = template.Library()
register.filter("clock", figures.clock)
register.filter("time_left", figures.time_left)
