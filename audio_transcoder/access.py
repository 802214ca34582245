"""Who may go on: signed-in people; scripts are told so in a way they understand."""

from __future__ import annotations

import functools
from collections.abc import Callable

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext as _


def is_scripted(request: HttpRequest) -> bool:
    """Return whether a script on a page asks, which cannot follow a redirect to a form."""
    return (
        request.headers.get("HX-Request") == "true"
        or request.headers.get("X-Requested-With") == "XMLHttpRequest"
    )


def not_signed_in(request: HttpRequest) -> HttpResponse:
    """Return the answer for visitors: 401 for scripts, else the way to the sign-in page."""
    if is_scripted(request):
        return JsonResponse(
            {"reason": "signed_out", "message": _("You are signed out. Sign in and try again.")},
            status=401,
        )
    return redirect_to_login(request.get_full_path() if request.method == "GET" else "/audio/")


def signed_in(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Let only signed-in people reach ``view``."""

    @functools.wraps(view)
    def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        if not request.user.is_authenticated:
            return not_signed_in(request)
        return view(request, *args, **kwargs)

    return guarded
