"""The start page and the list of a person's files."""

from __future__ import annotations

from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from audio_transcoder import engines
from audio_transcoder.access import signed_in
from audio_transcoder.formats import FORMATS
from audio_transcoder.library.listing import DAYS, ORDER_WORDS, FilePage, Listing
from audio_transcoder.library.rows import rows
from audio_transcoder.models import AudioFile
from audio_transcoder.views.one_file import own_file, polled


@require_safe
def landing(request: HttpRequest) -> HttpResponse:
    if request.user.is_authenticated:
        return redirect("audio:list")
    context = {
        "kinds": engines.kinds(),
        "formats": FORMATS.values(),
        "site_url": settings.SITE_URL,
    }
    return render(request, "audio_transcoder/landing.html", context)


@never_cache
@signed_in
@require_safe
def library(request: HttpRequest) -> HttpResponse:
    """The person's files, those that the address asks for; nonsense in it is not asked for."""
    listing = Listing.of(request.GET)
    page = FilePage.of(listing, request.user.audio_files.all(), request.GET.get("page", ""))
    context = {
        "page_obj": page,
        "listing": listing,
        "states": AudioFile.State.choices,
        "formats": FORMATS.values(),
        "days": DAYS,
        "orders": ORDER_WORDS.items(),
    }
    return render(request, "audio_transcoder/library.html", context)


@never_cache
@signed_in
@require_safe
def library_row(request: HttpRequest, code: UUID) -> HttpResponse:
    """The file's row in the library, which asks for itself while its work is open."""
    audio_file = own_file(request, code)
    context = {"rows": rows([audio_file.pk])}
    return polled(request, audio_file, "audio_transcoder/_library_rows.html", context)
