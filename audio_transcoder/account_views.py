"""The pages of an account that allauth does not have: sessions."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from audio_transcoder import account_sessions
from audio_transcoder.access import signed_in


@never_cache
@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def sessions(request: HttpRequest) -> HttpResponse:
    """Where somebody is signed in; POST ends one of the others (``session``), or ``all``."""
    if request.method != "POST":
        places = account_sessions.places_of(request)
        return render(request, "usersessions/usersession_list.html", {"places": places})
    count = account_sessions.end_others(request, request.POST.get("session", ""))
    text = ngettext("Signed out in %d place.", "Signed out in %d places.", count) % count
    messages.success(request, text if count else _("Nobody was signed in there any more."))
    return redirect("account_sessions")
