"""How pages write what a sound is."""

from __future__ import annotations

from django import template

from audio_transcoder import figures

register = template.Library()
register.filter("clock", figures.clock)
register.filter("kilohertz", figures.kilohertz)
register.filter("channel_word", figures.channel_word)
register.filter("time_left", figures.time_left)
