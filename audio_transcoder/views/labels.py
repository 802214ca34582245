"""What stands on a file's label: its tags."""

from __future__ import annotations

from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from audio_transcoder.access import signed_in
from audio_transcoder.forms import TagsForm
from audio_transcoder.models import AudioFile


def _own_file(request: HttpRequest, code: UUID) -> AudioFile:
    return get_object_or_404(request.user.audio_files, code=code)


@never_cache
@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def edit_tags(request: HttpRequest, code: UUID) -> HttpResponse:
    audio_file = _own_file(request, code)
    form = TagsForm(request.POST or None, instance=audio_file)
    if request.method == "POST" and form.is_valid():
        row = request.user.audio_files.filter(code=code)
        if not row.update(**form.cleaned_data):  # deleted meanwhile
            raise Http404
        return redirect(audio_file)
    status = 422 if request.method == "POST" else 200
    context = {"audio_file": audio_file, "form": form}
    return render(request, "audio_transcoder/edit_tags.html", context, status=status)
