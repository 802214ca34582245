"""The pages of an account that allauth does not have: profile, sessions, deletion."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit

from allauth.account.models import EmailAddress
from allauth.core import ratelimit
from allauth.core.ratelimit import respond_429
from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import get_user_model, logout
from django.core.signing import BadSignature, Signer
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django.views.i18n import LANGUAGE_QUERY_PARAMETER, set_language

from audio_transcoder import removal
from audio_transcoder.access import not_signed_in, signed_in
from audio_transcoder.accounts.adapters import speak
from audio_transcoder.accounts.forms import DeleteAccountForm, ProfileForm
from audio_transcoder.accounts.sessions import end_others, places_of
from audio_transcoder.models import StorageAccount, TranscodeJob, Upload
from audio_transcoder.quotas import quotas_of
from transcode_messages.languages import chosen_by
from transcode_messages.models import Message, Preferences


@never_cache
@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def profile(request: HttpRequest) -> HttpResponse:
    """Who somebody is here and what they keep; POST changes name and language."""
    if request.method == "POST":
        return _change_profile(request)
    initial = {
        "display_name": request.user.first_name,
        "language": chosen_by(request.user),
    }
    return _profile_page(request, ProfileForm(initial=initial))


def _change_profile(request: HttpRequest) -> HttpResponse:
    form = ProfileForm(request.POST)
    if not form.is_valid():
        return _profile_page(request, form, status=422)
    form.save(request.user)
    messages.success(request, _("Saved."))
    response = redirect("account_profile")
    speak(response, form.cleaned_data["language"])
    return response


def _profile_page(request: HttpRequest, form: ProfileForm, status: int = 200) -> HttpResponse:
    addresses = EmailAddress.objects.filter(user=request.user).order_by("-primary", "pk")
    context = {
        "form": form,
        "quotas": quotas_of(request.user, with_unlimited=True),
        "address": addresses.first(),
        "has_second_factor": is_mfa_enabled(request.user),
    }
    return render(request, "account/profile.html", context, status=status)


@require_POST
def choose_language(request: HttpRequest) -> HttpResponse:
    """Django's ``set_language``, which also remembers the choice of whoever is signed in."""
    language = request.POST.get(LANGUAGE_QUERY_PARAMETER)
    if request.user.is_authenticated and language in dict(settings.LANGUAGES):
        Preferences.objects.remember_language(request.user, language)
    response = set_language(request)
    if "Location" in response:
        response["Location"] = _in_any_language(response["Location"])
    return response


def _in_any_language(address: str) -> str:
    """Return ``address`` without the language that it asks for: that would count more."""
    parts = urlsplit(address)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    others = [pair for pair in pairs if pair[0] != LANGUAGE_QUERY_PARAMETER]
    return address if others == pairs else parts._replace(query=urlencode(others)).geturl()


@never_cache
@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def sessions(request: HttpRequest) -> HttpResponse:
    """Where somebody is signed in; POST ends one of the others (``session``), or ``all``."""
    if request.method != "POST":
        places = places_of(request)
        return render(request, "usersessions/usersession_list.html", {"places": places})
    count = end_others(request, request.POST.get("session", ""))
    text = ngettext("Signed out in %d place.", "Signed out in %d places.", count) % count
    messages.success(request, text if count else _("Nobody was signed in there any more."))
    return redirect("account_sessions")


@sensitive_post_parameters("password")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: HttpRequest) -> HttpResponse:
    """GET says what goes and asks for the password, POST deletes; deleting twice is fine."""
    if not request.user.is_authenticated:
        is_again = request.method == "POST" and _is_gone(request.POST.get("account", ""))
        return redirect("account_deleted") if is_again else not_signed_in(request)
    if request.method != "POST":
        return _delete_page(request, DeleteAccountForm(person=request.user))
    if not ratelimit.consume(request, action="reauthenticate", user=request.user):
        return respond_429(request)
    form = DeleteAccountForm(request.POST, person=request.user)
    if not form.is_valid():
        return _delete_page(request, form, status=422)
    return _delete(request, form)


def _delete(request: HttpRequest, form: DeleteAccountForm) -> HttpResponse:
    try:
        removal.remove_person(request.user.pk)
    except removal.LastOperator:
        form.add_error(
            None,
            _(
                "You are the only one who may administer this site. Give somebody else this right "
                "first, in the administration."
            ),
        )
        return _delete_page(request, form, status=422)
    logout(request)
    return redirect("account_deleted")


def _delete_page(request: HttpRequest, form: DeleteAccountForm, status: int = 200) -> HttpResponse:
    person = request.user
    context = {
        "form": form,
        "account": StorageAccount.objects.with_use().get(pk=person.pk),
        "jobs": TranscodeJob.objects.unfinished().filter(audio_file__owner=person).count(),
        "uploads": Upload.objects.unfinished().filter(owner=person).count(),
        "messages_kept": Message.objects.filter(user=person).count(),
        "mark": _signer().sign(str(person.pk)),
    }
    return render(request, "account/delete.html", context, status=status)


def _is_gone(mark: str) -> bool:
    """Return whether ``mark`` is the form's of an account that was deleted."""
    try:
        number = _signer().unsign(mark)
    except BadSignature:
        return False
    return not get_user_model().objects.filter(pk=number).exists()


def _signer() -> Signer:
    return Signer(salt="account-deletion")


@never_cache
@require_safe
def deleted(request: HttpRequest) -> HttpResponse:
    if request.user.is_authenticated:
        return redirect("account_profile")
    return render(request, "account/deleted.html")
