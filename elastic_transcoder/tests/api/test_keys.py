from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from elastic_transcoder import keys
from elastic_transcoder.models import AccessKey, Pipeline
from elastic_transcoder.pipelines import ensure_pipeline

pytestmark = pytest.mark.django_db


def secret_of(access_key_id):
    caller = keys.caller(access_key_id)
    return caller and caller.secret


def test_d11_a_secret_comes_back_and_is_not_stored_in_the_clear():
    key, secret = keys.create("a partner")
    assert secret_of(key.access_key_id) == secret
    assert len(secret) == 40
    assert secret not in AccessKey.objects.get(pk=key.pk).encrypted_secret


def test_a_disabled_key_has_no_secret_until_it_is_enabled_again():
    key, secret = keys.create("a partner")
    assert keys.disable(key.access_key_id)
    assert secret_of(key.access_key_id) is None
    assert keys.enable(key.access_key_id)
    assert secret_of(key.access_key_id) == secret


def test_one_query_tells_who_calls(django_assert_num_queries):
    key, secret = keys.create("a partner")
    with django_assert_num_queries(1):
        caller = keys.caller(key.access_key_id)
    assert (caller.key_id, caller.name, caller.secret) == (key.pk, "a partner", secret)
    assert caller.last_used_at is None


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "\x1b[2J", "a\u2028b", "x" * 101])
def test_a_name_that_could_spoil_a_list_or_a_log_is_refused(name):
    before = AccessKey.objects.count()
    with pytest.raises(ValueError, match="1 to 100 printable"):
        keys.create(name)
    assert AccessKey.objects.count() == before


def test_a_genuine_call_is_noted_and_the_next_one_only_an_hour_later(call):
    key, secret = keys.create("a partner")
    signed = {"key_id": key.access_key_id, "secret": secret}

    assert call("GET", "/pipelines", key_id=key.access_key_id, secret="wrong").status_code == 403
    key.refresh_from_db()
    assert key.last_used_at is None

    began = timezone.now()
    assert call("GET", "/pipelines", **signed).status_code == 200
    key.refresh_from_db()
    first = key.last_used_at
    assert began <= first <= timezone.now()

    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert call("GET", "/pipelines", **signed).status_code == 200
    assert not [query for query in queries if query["sql"].startswith("UPDATE")]

    AccessKey.objects.update(last_used_at=first - timedelta(hours=1))
    assert call("GET", "/pipelines", **signed).status_code == 200
    key.refresh_from_db()
    assert key.last_used_at >= first


def test_an_unknown_key_cannot_be_switched():
    assert not keys.disable("AKIAUNKNOWN")
    assert not keys.enable("AKIAUNKNOWN")
    assert secret_of("AKIAUNKNOWN") is None


def test_another_secret_key_makes_secrets_unreadable_and_a_fallback_readable(settings):
    key, secret = keys.create("a partner")
    before, settings.SECRET_KEY = settings.SECRET_KEY, "another secret key"
    assert secret_of(key.access_key_id) is None
    settings.SECRET_KEY_FALLBACKS = [before]
    assert secret_of(key.access_key_id) == secret


def test_the_sites_own_pair_is_there_after_a_migration(settings):
    assert secret_of(settings.TRANSCODER_ACCESS_KEY_ID) == settings.TRANSCODER_SECRET_ACCESS_KEY


def test_the_sites_own_pair_follows_the_settings_and_stays_disabled(settings):
    keys.ensure_default_key()
    keys.disable(settings.TRANSCODER_ACCESS_KEY_ID)
    settings.TRANSCODER_SECRET_ACCESS_KEY = "changed"
    keys.ensure_default_key()
    assert secret_of(settings.TRANSCODER_ACCESS_KEY_ID) is None
    keys.enable(settings.TRANSCODER_ACCESS_KEY_ID)
    assert secret_of(settings.TRANSCODER_ACCESS_KEY_ID) == "changed"


def test_the_sites_pipeline_is_there_after_a_migration(settings):
    pipeline = Pipeline.objects.get(name=settings.TRANSCODER_PIPELINE_NAME)
    topic = next(iter(settings.TRANSCODER_TOPICS))
    assert (pipeline.input_bucket, pipeline.result_bucket) == ("local", "local")
    assert pipeline.notifications == {
        "Progressing": topic,
        "Completed": topic,
        "Warning": "",
        "Error": topic,
    }


def test_the_sites_pipeline_follows_the_settings_and_keeps_its_pause(settings):
    Pipeline.objects.all().delete()
    first = ensure_pipeline()
    Pipeline.objects.update(status=Pipeline.Status.PAUSED)
    settings.MEDIA_BUCKET = "another"
    again = ensure_pipeline()
    again.refresh_from_db()
    assert again.pk == first.pk
    assert (again.input_bucket, again.output_bucket) == ("another", "another")
    assert again.status == Pipeline.Status.PAUSED


def test_without_a_topic_of_our_own_the_listed_one_is_told(settings):
    Pipeline.objects.all().delete()
    settings.TRANSCODER_TOPICS = {}
    settings.SNS_TOPIC_ARN = ["arn:aws:sns:eu-west-1:123456789012:theirs"]
    assert ensure_pipeline().notifications["Completed"] == settings.SNS_TOPIC_ARN[0]


def test_where_the_transcoder_is_alone_the_pipeline_is_its_clients(settings):
    settings.TRANSCODER_ALONE = True
    settings.SNS_TOPIC_ARN = settings.TRANSCODER_TOPICS = {}
    Pipeline.objects.all().delete()
    assert not any(ensure_pipeline().notifications.values())
    Pipeline.objects.update(input_bucket="theirs", output_bucket="theirs")

    first, second = (f"arn:aws:sns:eu-west-1:000000000000:{name}" for name in ("one", "two"))
    for topic in (first, second):
        settings.TRANSCODER_TOPICS = {topic: ["http://127.0.0.1:9/"]}
        ensure_pipeline()
        pipeline = Pipeline.objects.get()
        assert (pipeline.input_bucket, pipeline.output_bucket) == ("theirs", "theirs")
        assert pipeline.notifications["Completed"] == first
