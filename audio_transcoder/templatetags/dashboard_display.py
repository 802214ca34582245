"""How the operators' dashboard writes its numbers."""

from __future__ import annotations

from django import template

from audio_transcoder import figures

register = template.Library()
register.filter("short_time", figures.short_time)
register.filter("speed", figures.speed)
register.filter("money", figures.money)
