"""What is done with many files at once: GET asks whether it is meant, POST does it.

A selection that is too large for one request is worked on for some seconds, and the page then asks
about the rest.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from urllib.parse import urlencode

from django.contrib import messages
from django.db.models import Count, Exists, Max, OuterRef, QuerySet, Sum
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    StreamingHttpResponse,
)
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from audio_transcoder import reasons
from audio_transcoder.access import signed_in
from audio_transcoder.formats import FORMATS
from audio_transcoder.forms.orders import ArchiveForm, OrderForm
from audio_transcoder.library import archive
from audio_transcoder.library.selection import Selection, work_off
from audio_transcoder.models import AudioFile, Deletion, Rendition, TranscodeJob
from audio_transcoder.models.files import AudioFileQuerySet
from audio_transcoder.quotas import OverQuota, require_room_for_results, room_for_results

# What can be canceled, and what tried again.
ENDED_BADLY = (AudioFile.State.FAILED, AudioFile.State.CANCELED)

_View = Callable[[HttpRequest, Selection, AudioFileQuerySet], HttpResponseBase]


def of_a_selection(*states: str) -> Callable[[_View], Callable[[HttpRequest], HttpResponseBase]]:
    """Call the view with the selection and those of its files that are in one of ``states``.

    Whoever ticked nothing, or nothing that is in such a state, goes back to the library and is
    told so. Codes of others count as codes of nothing; 404 when there is no other.
    """

    def decorate(view: _View) -> Callable[[HttpRequest], HttpResponseBase]:
        @never_cache
        @signed_in
        @require_http_methods(["GET", "HEAD", "POST"])
        @functools.wraps(view)
        def guarded(request: HttpRequest) -> HttpResponseBase:
            chosen = Selection.of(request.POST if request.method == "POST" else request.GET)
            if not chosen:
                return _back(request, chosen, _("Choose at least one file first."))
            files = chosen.files(request.user)
            fitting = files.filter(kept_state__in=states) if states else files
            if fitting.exists():
                return view(request, chosen, fitting)
            if not chosen.is_all and not files.exists():
                return _gone(request, chosen)
            return _back(request, chosen, _("There is nothing to do for these files."))

        return guarded

    return decorate


def _gone(request: HttpRequest, chosen: Selection) -> HttpResponse:
    before = Deletion.objects.filter(about__in=chosen.codes, owner_id=request.user.pk)
    if not before.exists():
        raise Http404
    return _back(request, chosen, _("These files are deleted already."))


def _back(request: HttpRequest, chosen: Selection, sentence: str) -> HttpResponse:
    messages.info(request, sentence)
    return redirect(_library(chosen))


def _library(chosen: Selection) -> str:
    return reverse("audio:list") + chosen.listing.query()


def _page(
    request: HttpRequest,
    name: str,
    chosen: Selection,
    files: QuerySet,
    *,
    status: int = 200,
    **context: object,
) -> HttpResponse:
    found = files.aggregate(count=Count("pk"), size=Sum("size_bytes"), newest=Max("pk"))
    context |= {
        "page": name,
        "count": found["count"],
        "size_bytes": found["size"] or 0,
        "selection": chosen.pairs(chosen.up_to or found["newest"] or 0),
        "library": _library(chosen),
    }
    return render(request, f"audio_transcoder/{name}.html", context, status=status)


def _after(
    request: HttpRequest,
    act: str,
    chosen: Selection,
    outcome: tuple[int, int | None],
    sentence: str,
    extra: list[tuple[str, str]] | None = None,
) -> HttpResponse:
    """Return the answer to a POST: the library, or, when something is left, the question again."""
    _done, newest_left = outcome
    messages.success(request, sentence)
    if newest_left is None:
        return redirect(_library(chosen))
    pairs = chosen.pairs(newest_left) + (extra or [])
    return redirect(f"{reverse(f'audio:several-{act}')}?{urlencode(pairs)}")


@of_a_selection()
def delete(request: HttpRequest, chosen: Selection, files: AudioFileQuerySet) -> HttpResponse:
    if request.method != "POST":
        results = Rendition.objects.filter(audio_file__in=files.values("pk"))
        made = results.aggregate(size=Sum("size_bytes"))["size"] or 0
        return _page(request, "several_delete", chosen, files, result_bytes=made)
    outcome = work_off(files, lambda some: some.remove(by_owner=True))
    sentence = ngettext(
        "{number} file is deleted.", "{number} files are deleted.", outcome[0]
    ).format(number=outcome[0])
    return _after(request, "delete", chosen, outcome, sentence)


@of_a_selection()
def order(request: HttpRequest, chosen: Selection, files: AudioFileQuerySet) -> HttpResponse:
    """Order formats for every file that has them neither ready nor under way."""
    is_sent = request.method == "POST"
    form = OrderForm(request.POST if is_sent else None, initial=_formats_asked(request))
    if is_sent and form.is_valid():
        try:
            require_room_for_results(request.user)
        except OverQuota as error:
            form.add_error("formats", reasons.refusal(error.reason))
    if not is_sent or not form.is_valid():
        return _page(
            request, "several_order", chosen, files, form=form, status=422 if is_sent else 200
        )
    formats = form.cleaned_data["formats"]

    outcome = _order_each(request, files, lambda one: one.order_missing(formats))
    sentence = ngettext(
        "{number} file is being converted.", "{number} files are being converted.", outcome[0]
    ).format(number=outcome[0])
    extra = [("formats", name) for name in formats]
    return _after(request, "order", chosen, outcome, sentence, extra)


def _order_each(
    request: HttpRequest, files: AudioFileQuerySet, order: Callable[[AudioFile], object]
) -> tuple[int, int | None]:
    """Order something for one file after the other, as long as there is room for results."""
    has_room = True

    def act(some: AudioFileQuerySet) -> int:
        nonlocal has_room
        count = 0
        for one in some.with_work() if has_room else ():
            try:
                with room_for_results(request.user):
                    count += bool(order(one))
            except OverQuota as error:
                messages.error(request, reasons.sentence(error.reason))
                has_room = False
                break
        return count

    return work_off(files, act)


def _formats_asked(request: HttpRequest) -> dict[str, list[str]]:
    return {"formats": [name for name in request.GET.getlist("formats") if name in FORMATS]}


@of_a_selection(*AudioFile.OPEN)
def cancel(request: HttpRequest, chosen: Selection, files: AudioFileQuerySet) -> HttpResponse:
    if request.method != "POST":
        return _page(request, "several_cancel", chosen, files)

    def act(some: AudioFileQuerySet) -> int:
        return sum(_cancel(one) for one in some.with_work())

    outcome = work_off(files, act)
    sentence = ngettext(
        "The conversion of {number} file is canceled.",
        "The conversion of {number} files is canceled.",
        outcome[0],
    ).format(number=outcome[0])
    return _after(request, "cancel", chosen, outcome, sentence)


def _cancel(audio_file: AudioFile) -> bool:
    canceled = [job.cancel() for job in audio_file.open_jobs]
    return any(canceled)


@of_a_selection(*ENDED_BADLY)
def retry(request: HttpRequest, chosen: Selection, files: AudioFileQuerySet) -> HttpResponse:
    if request.method != "POST":
        return _page(request, "several_retry", chosen, files)
    outcome = _order_each(request, files, lambda one: one.order_failed())
    sentence = ngettext(
        "{number} file is tried again.", "{number} files are tried again.", outcome[0]
    ).format(number=outcome[0])
    return _after(request, "retry", chosen, outcome, sentence)


# --- One ZIP ----------------------------------------------------------------------------------


@of_a_selection()
def download(request: HttpRequest, chosen: Selection, files: AudioFileQuerySet) -> HttpResponseBase:
    """GET asks what shall be in it, POST is answered with the archive."""
    kinds = _kinds(files)
    form = ArchiveForm(kinds, request.POST if request.method == "POST" else None)
    if request.method != "POST":
        return _page(request, "several_download", chosen, files, form=form)
    if not form.is_valid():
        return _page(request, "several_download", chosen, files, form=form, status=422)
    wanted = form.cleaned_data["kinds"]
    if sum(kinds[kind][0] for kind in wanted) > archive.MAX_ENTRIES:
        sentence = _("An archive holds at most {number} files. Choose fewer.")
        form.add_error("kinds", sentence.format(number=archive.MAX_ENTRIES))
        return _page(request, "several_download", chosen, files, form=form, status=422)
    place = archive.Place.take(request.user)
    if place is None:
        sentence = _("{number} downloads of yours are under way. Wait until one has ended.")
        form.add_error(None, sentence.format(number=archive.AT_ONCE))
        answer = _page(request, "several_download", chosen, files, form=form, status=429)
        answer["Retry-After"] = "30"
        return answer
    try:
        return _archive(chosen.listing.ordered(files), wanted, place)
    except BaseException:
        place.leave()
        raise


def _kinds(files: AudioFileQuerySet) -> dict[str, tuple[int, int]]:
    """Return how many originals and results of each format there are, and their bytes."""
    found = files.aggregate(count=Count("pk"), size=Sum("size_bytes"))
    kinds = {archive.ORIGINALS: (found["count"], found["size"] or 0)}
    ready = Rendition.objects.filter(audio_file__in=files.values("pk")).newest_ready()
    by_format = ready.order_by().values_list("format_name").annotate(Count("pk"), Sum("size_bytes"))
    counted = {name: (count, size or 0) for name, count, size in by_format}
    return kinds | {name: counted[name] for name in FORMATS if name in counted}


def _archive(
    files: AudioFileQuerySet, kinds: list[str], place: archive.Place
) -> StreamingHttpResponse:
    if archive.ORIGINALS not in kinds:
        wanted = Rendition.objects.filter(
            audio_file=OuterRef("pk"), status=TranscodeJob.Status.COMPLETE, format_name__in=kinds
        )
        files = files.filter(Exists(wanted))
    pks = list(files.values_list("pk", flat=True))
    made = archive.Archive(archive.entries(pks, kinds), place)
    name = _("Recordings {date}").format(date=timezone.localdate().isoformat())
    response = StreamingHttpResponse(made, content_type="application/zip")
    response["Content-Disposition"] = content_disposition_header(True, f"{name}.zip")
    response["Cache-Control"] = "private, no-store"
    response["X-Content-Type-Options"] = "nosniff"
    if made.size_bytes is not None:
        response["Content-Length"] = str(made.size_bytes)
    return response
