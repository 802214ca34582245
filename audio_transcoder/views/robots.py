"""What the site says to programs that collect pages."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

# What is somebody's, or for machines. Source: RFC 9309. Shared pages are not among it: whoever may
# not open one never reads its "noindex", and lists the bare address.
PRIVATE = (
    "/audio/",
    "/messages/",
    "/accounts/",
    "/admin/",
    "/2012-09-25/",
    "/transcode-complete/",
    "/health/",
)


@require_safe
@cache_control(public=True, max_age=3600)
def robots(request: HttpRequest) -> HttpResponse:
    lines = ["User-agent: *", *(f"Disallow: {path}" for path in PRIVATE)]
    return HttpResponse("\n".join(lines) + "\n", content_type="text/plain; charset=utf-8")
