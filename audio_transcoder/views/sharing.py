"""Links for people without an account: their owner gives and ends them, others open them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed
from django.shortcuts import get_object_or_404, redirect, render
from django.templatetags.static import static
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from audio_transcoder import covers
from audio_transcoder.access import signed_in
from audio_transcoder.file_page import facts
from audio_transcoder.floods import Turnstile
from audio_transcoder.forms.sharing import ShareForm
from audio_transcoder.models import AudioFile, Rendition, Share, TooManyShares
from audio_transcoder.views import media
from audio_transcoder.views.one_file import file_to_show, page_context, with_waveform

SHARES_ON_A_PAGE = 50
# Links that open nothing, from one address within a minute.
MISSES_PER_MINUTE = 60
COVER = covers.square(320)

turnstile = Turnstile()

# --- The owner ----------------------------------------------------------------------------------


@never_cache
@signed_in
@require_POST
@with_waveform
def share(request: HttpRequest, code: UUID) -> HttpResponse:
    """Give out a link to one's own file; 422 with the file's page for what cannot be."""
    audio_file = file_to_show(request, code)
    form = ShareForm(request.POST, audio_file=audio_file)
    if form.is_valid():
        try:
            Share.give(
                audio_file,
                rendition=form.rendition,
                with_original=form.cleaned_data["with_original"],
                lasts=form.time,
            )
        except TooManyShares:
            sentence = ngettext(
                "This file has {number} link that works. End one of them first.",
                "This file has {number} links that work. End one of them first.",
                Share.MOST_OF_A_FILE,
            )
            form.add_error(None, sentence.format(number=Share.MOST_OF_A_FILE))
        except AudioFile.DoesNotExist as error:  # deleted meanwhile
            raise Http404 from error
    if not form.is_valid():
        context = page_context(audio_file, share_form=form)
        return render(request, "audio_transcoder/detail.html", context, status=422)
    messages.success(request, _("The link is ready. Copy it and give it to whom you like."))
    return redirect(f"{audio_file.get_absolute_url()}#sharing")


@never_cache
@signed_in
@require_safe
def shares(request: HttpRequest) -> HttpResponse:
    """Every link that the person gave out, newest first."""
    mine = Share.objects.filter(audio_file__owner=request.user)
    page = Paginator(mine.for_list(), SHARES_ON_A_PAGE).get_page(request.GET.get("page"))
    return render(request, "audio_transcoder/shares.html", {"page_obj": page})


@never_cache
@signed_in
@require_POST
def end_share(request: HttpRequest, code: UUID) -> HttpResponse:
    """End a link of one's own; ending it twice gets the same answer."""
    mine = Share.objects.filter(audio_file__owner=request.user, code=code)
    found = get_object_or_404(mine.select_related("audio_file"))
    mine.revoke()
    messages.success(request, _("The link does not work any more."))
    if request.POST.get("back") == "shares":
        return redirect("audio:shares")
    return redirect(f"{found.audio_file.get_absolute_url()}#sharing")


# --- Whoever has the link -----------------------------------------------------------------------

_SharedView = Callable[..., HttpResponseBase]
_SAFE = ("GET", "HEAD")


def by_link(view: _SharedView) -> _SharedView:
    """Call ``view`` with the share that the link opens, read ``with_sounds``.

    Unknown, forged, expired, revoked, deleted, and whatever the share does not hold: one 404. No
    cache keeps any of it, no search engine lists it, and no other site is told the address.
    """

    @functools.wraps(view)
    def guarded(request: HttpRequest, token: str, **arguments: str) -> HttpResponseBase:
        if request.method in _SAFE:
            response = _opened(view, request, token, arguments)
        else:
            response = HttpResponseNotAllowed(_SAFE)
        response.headers["Cache-Control"] = "private, no-store"
        response.headers["X-Robots-Tag"] = "noindex, nofollow"
        response.headers["Referrer-Policy"] = "no-referrer"
        response._has_been_logged = True  # Django would write the link into the log
        return response

    return guarded


def _opened(
    view: _SharedView, request: HttpRequest, token: str, arguments: dict[str, str]
) -> HttpResponseBase:
    """Count first: whoever asks too often costs no row."""
    address = request.META["REMOTE_ADDR"]  # see VisitorAddressMiddleware
    code = Share.code_of(token)
    if code is None:
        return _missed(request, address)
    wait_s = turnstile.wait_s(f"{address} {code}", settings.SHARE_REQUESTS_PER_MINUTE)
    if wait_s:
        return _too_many(request, wait_s)
    found = Share.objects.working().filter(code=code).with_sounds().first()
    if found is None:
        return _missed(request, address)
    try:
        return view(request, found, **arguments)
    except Http404:
        return _gone(request)


def _missed(request: HttpRequest, address: str) -> HttpResponse:
    wait_s = turnstile.wait_s(address, MISSES_PER_MINUTE)
    return _too_many(request, wait_s) if wait_s else _gone(request)


def _gone(request: HttpRequest) -> HttpResponse:
    return render(request, "audio_transcoder/share_gone.html", status=404)


def _too_many(request: HttpRequest, wait_s: int) -> HttpResponse:
    response = render(request, "429.html", status=429)
    response.headers["Retry-After"] = str(wait_s)
    return response


@dataclass(frozen=True)
class SharedSound:
    """One thing that a link lets people hear and keep."""

    which: str  # as addresses have it
    label: str
    facts: list[str]
    media_type: str
    listen_url: str
    download_url: str


@dataclass
class Player:
    """The same sound in several formats: a browser plays the first that it can."""

    words: list[str]  # what it is a part of; nothing: all of it
    sounds: list[SharedSound] = field(default_factory=list)
    chosen: SharedSound | None = None  # the one that it plays and no other

    @property
    def sources(self) -> list[SharedSound]:
        return [self.chosen] if self.chosen else self.sounds


@by_link
def shared(request: HttpRequest, share: Share) -> HttpResponse:
    """The page of a link: nothing of its owner but what they shared.

    ``?version=`` chooses what is played, as the address of a sound has it; nonsense is no choice.
    """
    audio_file = share.audio_file
    cover = static("img/cover.svg")
    if audio_file.cover:
        size = covers.token(audio_file, COVER)
        cover = reverse("shared-cover", args=[share.token, size])
    players = _players(share)
    for player in players:
        asked = (one for one in player.sounds if one.which == request.GET.get("version"))
        player.chosen = next(asked, None)
    context = {"share": share, "audio_file": audio_file, "players": players, "cover": cover}
    return render(request, "audio_transcoder/share.html", context)


def _players(share: Share) -> list[Player]:
    found: dict[str, Player] = {}
    # Small ones first: a phone need not load a WAV to play it.
    ready = sorted(share.ready_renditions, key=lambda one: (one.variant, one.size_bytes or 0))
    for one in ready:
        player = found.setdefault(one.variant, Player(facts.of_variant(one)))
        player.sounds.append(
            _sound(share, str(one.code), one.format.label, one, one.format.media_type)
        )
    if share.with_original:
        whole = found.setdefault("", Player([]))
        original = share.audio_file
        whole.sounds.append(_sound(share, "original", _("Original"), original, original.media_type))
    return list(found.values())


def _sound(
    share: Share, which: str, label: str, sound: AudioFile | Rendition, media_type: str
) -> SharedSound:
    address = [share.token, which]
    return SharedSound(
        which=which,
        label=str(label),
        facts=facts.in_short(sound),
        media_type=media_type,
        listen_url=reverse("shared-listen", args=address),
        download_url=reverse("shared-download", args=address),
    )


@by_link
def shared_cover(request: HttpRequest, share: Share, size: str) -> HttpResponse:
    return covers.answer(request, share.audio_file, size)


@by_link
def shared_listen(request: HttpRequest, share: Share, rendition: str) -> HttpResponseBase:
    response = _serve(request, share, rendition, inline=True)
    if _is_begun(request, response):
        share.note_use(listens=1)
    return response


@by_link
def shared_download(request: HttpRequest, share: Share, rendition: str) -> HttpResponseBase:
    response = _serve(request, share, rendition, inline=False)
    if _is_begun(request, response):
        share.note_use(downloads=1)
    return response


def _serve(request: HttpRequest, share: Share, which: str, *, inline: bool) -> HttpResponseBase:
    """Hand out one object of the share: a rendition by its code or format, or ``original``."""
    if which == "original" and share.with_original:
        return media.original(request, share.audio_file, ends_at=share.expires_at)
    for one in share.ready_renditions:
        if which == str(one.code) or (which == one.format_name and not one.variant):
            return media.result(request, one, inline=inline, ends_at=share.expires_at)
    raise Http404


def _is_begun(request: HttpRequest, response: HttpResponseBase) -> bool:
    """Return whether this is the first of the requests that a player or a download makes."""
    # Safari asks for two bytes first, to see whether there are ranges.
    asked = request.headers.get("Range", "bytes=0-")
    is_first = asked.startswith("bytes=0-") and asked != "bytes=0-1"
    return is_first and media.is_handed_out(request, response)
