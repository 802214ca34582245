"""Operators: every page of the admin opens, and actions do what the pages do."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from audio_transcoder import removal
from audio_transcoder.models import AudioFile, Deletion, IntakeObject, TranscodeJob, Upload
from audio_transcoder.tests.factories import make_file, make_job, make_person

pytestmark = pytest.mark.django_db

OURS = ("audio_transcoder", "transcode_messages", "elastic_transcoder", "steps")
MODELS = [model for label in OURS for model in apps.get_app_config(label).get_models()]
# Models without a list of their own, and why.
NO_LIST = {
    "DeletedJob": "shown inside its Deletion",
    "Waveform": "bytes for drawing: the page of the file draws them",
}


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(get_user_model().objects.create_superuser("operator"))
    return client


def act(operator: Client, name: str, *rows: object, **more: object):
    model = type(rows[0])
    url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    data = {"action": name, "_selected_action": [row.pk for row in rows], **more}
    return operator.post(url, data, follow=True)


@pytest.mark.parametrize(
    "model",
    [model for model in MODELS if model.__name__ not in NO_LIST],
    ids=lambda model: model.__name__,
)
def test_every_model_has_its_list_and_search(operator, model):
    assert model in admin.site._registry
    url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    assert operator.get(url).status_code == 200
    assert operator.get(url, {"q": "%_'\\"}).status_code == 200


def test_a_job_opens_and_its_engine_fields_are_not_typed_in(operator):
    job = make_job()
    page = operator.get(reverse("admin:audio_transcoder_transcodejob_change", args=[job.pk]))
    assert page.status_code == 200
    assert job.engine_id in page.content.decode()
    assert 'name="engine_id"' not in page.content.decode()


def test_retry_and_cancel_call_the_jobs_own_methods(operator):
    job = make_job()
    assert "1 job canceled" in act(operator, "cancel", job).content.decode()
    job.refresh_from_db()
    assert job.status == "Canceled"
    assert "1 job ordered again" in act(operator, "retry", job).content.decode()
    assert TranscodeJob.objects.unfinished().count() == 1


def test_w8_deleting_files_takes_jobs_and_objects_along(operator):
    rows = [make_job().audio_file for _ in range(3)]
    act(operator, "delete_selected", *rows, post="yes")
    assert not AudioFile.objects.exists()
    assert Deletion.objects.count() == 3


def test_w9_deleting_a_person_takes_the_files_along(operator):
    person = make_person("ada")
    file = make_job(make_file(person)).audio_file
    default_storage.save("intake/ada/Song.wav", ContentFile(b"sound"))
    default_storage.save("intake/adam/Song.wav", ContentFile(b"sound"))
    url = reverse("admin:auth_user_delete", args=[person.pk])
    assert operator.get(url).status_code == 200
    operator.post(url, {"post": "yes"})
    assert not get_user_model().objects.filter(pk=person.pk).exists()
    assert not TranscodeJob.objects.exists()
    removal.remove_due()
    assert not default_storage.exists(file.mp3_file.name)
    # Whoever is called so later finds nothing.
    assert not default_storage.exists("intake/ada/Song.wav")
    assert default_storage.exists("intake/adam/Song.wav")


def test_a_person_without_rights_does_not_get_in(client):
    client.force_login(make_person())
    assert client.get("/admin/audio_transcoder/audiofile/").status_code == 302


def test_an_access_key_is_disabled_and_enabled_again(operator):
    model = apps.get_model("elastic_transcoder", "AccessKey")
    key = model.objects.create(access_key_id="AT1", name="old client", encrypted_secret="x")
    for action, is_enabled in (("disable", False), ("enable", True)):
        act(operator, action, key)
        key.refresh_from_db()
        assert key.is_enabled is is_enabled


def test_the_ledger_says_who_keeps_how_much_and_what_it_costs(operator, settings):
    settings.STORAGE_PRICE_PER_GIB, settings.STORAGE_CURRENCY = 0.5, "EUR"
    ada, grace = make_person("ada"), make_person("grace")
    make_file(ada, size_bytes=1024**3)
    job = make_job(make_file(grace, size_bytes=2 * 1024**3))
    job.renditions.filter(format_name="wav").update(size_bytes=3 * 1024**3)

    page = operator.get(reverse("admin:audio_transcoder_storageaccount_changelist"))

    rows = {account.username: account for account in page.context["cl"].result_list}
    assert list(rows)[:2] == ["grace", "ada"]
    assert (rows["grace"].files, rows["grace"].total_bytes) == (1, 5 * 1024**3)
    assert (rows["operator"].files, rows["operator"].total_bytes) == (0, 0)
    assert "2.50 EUR" in page.content.decode()
    assert "0.50 EUR" in page.content.decode()


def test_the_ledger_shows_nothing_else_of_a_person(operator):
    ada = get_user_model().objects.create_user("ada", password="a good one")
    page = operator.get(reverse("admin:audio_transcoder_storageaccount_change", args=[ada.pk]))
    assert "ada" in page.content.decode()
    assert ada.password not in page.content.decode()


def test_the_ledger_leads_to_the_files_of_a_person(operator):
    ada = make_person("ada")
    hers, _another = make_file(ada), make_file()
    url = reverse("admin:audio_transcoder_storageaccount_changelist")
    assert f"?owner={ada.pk}" in operator.get(url).content.decode()
    page = operator.get(reverse("admin:audio_transcoder_audiofile_changelist"), {"owner": ada.pk})
    assert list(page.context["cl"].result_list) == [hers]


def test_reasons_are_offered_as_filters_and_to_have_none_is_not(operator):
    job, _fine = make_job(), make_job()
    TranscodeJob.objects.filter(pk=job.pk).update(status="Error", reason="damaged")
    url = reverse("admin:audio_transcoder_transcodejob_changelist")
    text = operator.get(url).content.decode()
    assert 'href="?reason=damaged"' in text
    assert 'href="?reason="' not in text
    assert list(operator.get(f"{url}?reason=damaged").context["cl"].result_list) == [job]


def test_lists_say_states_and_sizes_in_words(operator):
    IntakeObject.objects.create(
        bucket="b", key="media/intake/ada/2026/Song.wav", size_bytes=2 * 1024**2, state="refused"
    )
    text = operator.get(reverse("admin:audio_transcoder_intakeobject_changelist")).content.decode()
    assert ">Song.wav</a>" in text
    assert '<span class="state state-refused">refused</span>' in text
    assert "2.0\xa0MB" in text
    for values in ({}, {"finished_at": timezone.now()}, {"aborted_at": timezone.now()}):
        Upload.objects.create(
            owner=make_person(), part_bytes=8, size_bytes=3 * 1024**2, file_name="a.mp3",
            formats=["wav"], media_type="audio/mpeg", store_id="1", **values,
        )  # fmt: skip
    text = operator.get(reverse("admin:audio_transcoder_upload_changelist")).content.decode()
    for words in ("under way", "finished", "aborted", "3.0\xa0MB"):
        assert words in text
