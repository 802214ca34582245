"""The start page and the list of a person's files."""

from __future__ import annotations

from uuid import UUID

from django.conf import settings
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from audio_transcoder import engines
from audio_transcoder.access import signed_in
from audio_transcoder.formats import FORMATS
from audio_transcoder.views.one_file import own_file, polled

FILES_ON_A_PAGE = 25


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
    query = request.GET.get("q", "")[:200].replace("\0", "")
    files = request.user.audio_files.named_like(query)
    page = Paginator(files.with_work(), FILES_ON_A_PAGE).get_page(request.GET.get("page"))
    return render(request, "audio_transcoder/library.html", {"page_obj": page, "query": query})


@never_cache
@signed_in
@require_safe
def library_row(request: HttpRequest, code: UUID) -> HttpResponse:
    """The file's row in the library, which asks for itself while its work is open."""
    audio_file = own_file(request, code)
    return polled(request, audio_file, "audio_transcoder/_library_row.html")
