import pytest

from elastic_transcoder import keys
from elastic_transcoder.models import AccessKey, Pipeline
from elastic_transcoder.pipelines import ensure_pipeline

pytestmark = pytest.mark.django_db


def test_d11_a_secret_comes_back_and_is_not_stored_in_the_clear():
    key, secret = keys.create("a partner")
    assert keys.secret_of(key.access_key_id) == secret
    assert len(secret) == 40
    assert secret not in AccessKey.objects.get(pk=key.pk).encrypted_secret


def test_a_disabled_key_has_no_secret_until_it_is_enabled_again():
    key, secret = keys.create("a partner")
    assert keys.disable(key.access_key_id)
    assert keys.secret_of(key.access_key_id) is None
    assert keys.enable(key.access_key_id)
    assert keys.secret_of(key.access_key_id) == secret


def test_an_unknown_key_cannot_be_switched():
    assert not keys.disable("AKIAUNKNOWN")
    assert not keys.enable("AKIAUNKNOWN")
    assert keys.secret_of("AKIAUNKNOWN") is None


def test_another_secret_key_makes_secrets_unreadable_and_a_fallback_readable(settings):
    key, secret = keys.create("a partner")
    before, settings.SECRET_KEY = settings.SECRET_KEY, "another secret key"
    assert keys.secret_of(key.access_key_id) is None
    settings.SECRET_KEY_FALLBACKS = [before]
    assert keys.secret_of(key.access_key_id) == secret


def test_the_sites_own_pair_is_there_after_a_migration(settings):
    assert (
        keys.secret_of(settings.TRANSCODER_ACCESS_KEY_ID) == settings.TRANSCODER_SECRET_ACCESS_KEY
    )


def test_the_sites_own_pair_follows_the_settings_and_stays_disabled(settings):
    keys.ensure_default_key()
    keys.disable(settings.TRANSCODER_ACCESS_KEY_ID)
    settings.TRANSCODER_SECRET_ACCESS_KEY = "changed"
    keys.ensure_default_key()
    assert keys.secret_of(settings.TRANSCODER_ACCESS_KEY_ID) is None
    keys.enable(settings.TRANSCODER_ACCESS_KEY_ID)
    assert keys.secret_of(settings.TRANSCODER_ACCESS_KEY_ID) == "changed"


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
