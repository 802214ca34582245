"""What a person was told: the page of all messages, the newest on every page, dismissing."""

from __future__ import annotations

import functools
from collections.abc import Callable

from django.conf import settings
from django.contrib import messages as notes
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import BadRequest
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.cache import patch_cache_control, patch_vary_headers
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from transcode_messages.addresses import address_of
from transcode_messages.context_processors import UnreadMessages
from transcode_messages.forms import PreferencesForm
from transcode_messages.letters import read_unsubscribe_token
from transcode_messages.listing import DAYS, Listing
from transcode_messages.models import Kind, MessageQuerySet, Preferences

MESSAGES_ON_A_PAGE = 25
STOP_POLLING = 286  # htmx ends an element's polling with this status
FRAGMENT = "transcode_messages/_unread.html"


def _for_people(view: Callable[[HttpRequest], HttpResponse]) -> Callable[..., HttpResponse]:
    """Let only signed-in people reach ``view``, and keep its answers out of shared caches.

    Visitors go to the sign-in page; scripts, which cannot follow there, get 401.
    """

    @functools.wraps(view)
    def guarded(request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated:
            response = view(request)
        elif _is_htmx(request) or _wants_json(request):
            message = _("You are signed out. Sign in and try again.")
            response = JsonResponse({"reason": "signed_out", "message": message}, status=401)
        else:
            pages = (reverse("messages:list"), reverse("messages:preferences"))
            response = redirect_to_login(request.path if request.path in pages else pages[0])
        patch_cache_control(response, no_store=True, private=True)
        patch_vary_headers(response, ["Cookie", "HX-Request"])
        return response

    return guarded


def _is_htmx(request: HttpRequest) -> bool:
    return request.headers.get("HX-Request") == "true"


def _wants_json(request: HttpRequest) -> bool:
    return (
        request.headers.get("X-Requested-With") == "XMLHttpRequest"
        or request.get_preferred_type(["text/html", "application/json"]) == "application/json"
    )


@require_safe
@_for_people
def message_list(request: HttpRequest) -> HttpResponse:
    """The messages that the address asks for, newest first; see ``listing``."""
    news = UnreadMessages(request)
    if _is_htmx(request) and request.GET.get("have") == news.state:
        return _nothing_new(news)
    listing = Listing.of(request.GET)
    shown = listing.filtered(request.user.transcode_messages.all())
    page = Paginator(shown.with_pictures(), MESSAGES_ON_A_PAGE).get_page(request.GET.get("page"))
    context = {
        "page_obj": page,
        "listing": listing,
        "query": listing.query(),
        "days": DAYS,
        "transcode_messages": news,
    }
    return render(request, "transcode_messages/message_list.html", context)


@require_safe
@_for_people
def unread(request: HttpRequest) -> HttpResponse:
    """The newest unread messages, as the part of a page that asks for itself again.

    ``have`` is the state that the page shows. 204: nothing new, ask again. 286: nothing is under
    way any more, do not ask again.
    """
    news = UnreadMessages(request)
    if request.GET.get("have") == news.state:
        return _nothing_new(news)
    context = {"is_refresh": True, "transcode_messages": news}
    return render(request, FRAGMENT, context, status=200 if news.is_live else STOP_POLLING)


def _nothing_new(news: UnreadMessages) -> HttpResponse:
    """Leave the page as it is: what is replaced is read aloud again and loses the focus."""
    if news.is_live:
        return HttpResponse(status=204)
    return HttpResponse(status=STOP_POLLING, headers={"HX-Reswap": "none"})


@require_POST
@_for_people
def read_message(request: HttpRequest) -> HttpResponse:
    """Dismiss the message ``message_id``; dismissing it again is the same.

    400 without ``message_id``; 404 for one that does not exist or is somebody else's.
    """
    if "message_id" not in request.POST:
        raise BadRequest("message_id is missing")
    number = _number(request.POST["message_id"])
    if number is None:
        raise Http404
    message = get_object_or_404(request.user.transcode_messages, pk=number)
    request.user.transcode_messages.filter(pk=message.pk).mark_read()
    return _dismissed(request)


@require_POST
@_for_people
def read_all(request: HttpRequest) -> HttpResponse:
    """Dismiss every message up to ``until``, the newest that the page knew of.

    What came after the page was made has not been seen and stays. Without ``until``: all.
    """
    messages: MessageQuerySet = request.user.transcode_messages.all()
    if "until" in request.POST:
        until = _number(request.POST["until"])
        if until is None:
            raise BadRequest("until is not a message")
        messages = messages.filter(pk__lte=until)
    messages.mark_read()
    return _dismissed(request)


def _dismissed(request: HttpRequest) -> HttpResponse:
    if _is_htmx(request):
        return render(request, FRAGMENT, {"is_refresh": True})
    if _wants_json(request):
        return JsonResponse({"unread": UnreadMessages(request).count})
    back = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(
        back, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    # Not redirect(): it takes what is no path for the name of a view.
    is_path = is_ours and back.startswith("/")
    return HttpResponseRedirect(back if is_path else reverse("messages:list"))


def _number(text: str) -> int | None:
    """Return the primary key that ``text`` spells, or None; 18 digits fit every database."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


@require_http_methods(["GET", "HEAD", "POST"])
@_for_people
def preferences(request: HttpRequest) -> HttpResponse:
    """By which other ways a person is told; POST saves what they chose."""
    # A row of this person's for sure, so that two tabs save the same one.
    if request.method == "POST":
        chosen, _is_new = Preferences.objects.get_or_create(user=request.user)
        form = PreferencesForm(request.POST, instance=chosen)
        if form.is_valid():
            form.save()
            notes.success(request, _("Saved."))
            return redirect("messages:preferences")
    else:
        form = PreferencesForm(instance=Preferences.objects.of(request.user))
    backend = settings.EMAIL_BACKEND.split(".")[-2]
    context = {
        "form": form,
        "address": address_of(request.user),
        "has_mail_server": backend not in ("console", "dummy"),
    }
    return render(request, "transcode_messages/preferences.html", context)


@never_cache
@csrf_exempt  # the token in the address is the right to do it, and mail programs have no other
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """Stop one kind of e-mail, or ``all``, without signing in: GET asks, POST does it.

    Mail programs POST ``List-Unsubscribe=One-Click`` by themselves (RFC 8058) and follow no
    redirect. Twice is the same. 404 for a token that is not ours.
    """
    found = read_unsubscribe_token(token)
    if found is None:
        raise Http404
    chosen, kind = found
    if request.method == "POST":
        chosen.stop(list(Kind) if "all" in request.POST else [kind])
    context = {
        "kind": Kind(kind),
        "is_stopped": not chosen.wants(kind),
        "others": [other.label for other in Kind if chosen.wants(other) and other != kind],
    }
    return render(request, "transcode_messages/unsubscribe.html", context)
