"""The pages of an account that allauth does not have: profile, sessions."""

from __future__ import annotations

from allauth.account.models import EmailAddress
from allauth.mfa.utils import is_mfa_enabled
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from audio_transcoder import account_sessions, accounts
from audio_transcoder.access import signed_in
from audio_transcoder.account_forms import ProfileForm
from audio_transcoder.models import Profile, StorageAccount
from audio_transcoder.quotas import quotas_of


@never_cache
@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def profile(request: HttpRequest) -> HttpResponse:
    """Who somebody is here and what they keep; POST changes name and language."""
    if request.method == "POST":
        return _change_profile(request)
    initial = {
        "display_name": request.user.first_name,
        "language": Profile.objects.language_of(request.user),
    }
    return _profile_page(request, ProfileForm(initial=initial))


def _change_profile(request: HttpRequest) -> HttpResponse:
    form = ProfileForm(request.POST)
    if not form.is_valid():
        return _profile_page(request, form, status=422)
    form.save(request.user)
    messages.success(request, _("Saved."))
    response = redirect("account_profile")
    accounts.speak(response, form.cleaned_data["language"])
    return response


def _profile_page(request: HttpRequest, form: ProfileForm, status: int = 200) -> HttpResponse:
    account = StorageAccount.objects.with_use().get(pk=request.user.pk)
    addresses = EmailAddress.objects.filter(user=request.user).order_by("-primary", "pk")
    context = {
        "form": form,
        "account": account,
        "quotas": quotas_of(account),
        "address": addresses.first(),
        "has_second_factor": is_mfa_enabled(request.user),
    }
    return render(request, "account/profile.html", context, status=status)


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
