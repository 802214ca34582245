"""`manage.py doctor` names the fault of each broken set-up, and none of a good one.

Each test runs the command itself, on a site that really answers.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.management import call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from audio_transcoder.doctor import amazon, looks
from audio_transcoder.tests.amazon import (
    ACCESS_KEY_ID,
    ACCOUNT,
    QUEUE,
    REGION,
    STATUSES,
    AmazonServer,
    Distribution,
)
from audio_transcoder.tests.factories import make_job
from buckets import cloudfront, s3
from elastic_transcoder.models import Pipeline
from elastic_transcoder.pipelines import ensure_pipeline
from steps.models import Heartbeat
from tests.radosgw import S3Server

pytestmark = pytest.mark.django_db(transaction=True)

TOPIC = f"arn:aws:sns:{REGION}:000000000000:transcode-complete"


class Found:
    """What the command wrote, and how it ended."""

    def __init__(self, capsys: pytest.CaptureFixture, *arguments: str) -> None:
        forget_clients_of_others()
        self.status = 0
        try:
            call_command("doctor", "--json", *arguments)
        except SystemExit as error:
            self.status = error.code
        self.text = capsys.readouterr().out
        self.document = json.loads(self.text)
        self.looks = {look["name"]: look for look in self.document["looks"]}

    def names(self, state: str) -> list[str]:
        return [name for name, look in self.looks.items() if look["state"] == state]

    def said(self, name: str) -> str:
        return f"{self.looks[name]['text']} {self.looks[name]['hint']}"

    def must_name(self, name: str, words: str) -> None:
        """The first thing that is wrong is this, and the command says so with these words."""
        assert self.names("wrong")[:1] == [name], self.text
        assert words in self.said(name)
        assert self.looks[name]["hint"]
        assert self.status == 1
        assert self.document["ok"] is False


@pytest.fixture
def doctor(capsys) -> Callable[..., Found]:
    return lambda *arguments: Found(capsys, *arguments)


def beat(kind: str) -> None:
    Heartbeat.objects.create(kind=kind, process=f"here {kind}", at=timezone.now())


@pytest.fixture
def here(live_server, settings, tmp_path) -> Any:
    """The default: folders, our own transcoder, everything alive at one address."""
    settings.SITE_URL = settings.LOCAL_URL = live_server.url
    settings.TRANSCODER_ENDPOINT_URL = live_server.url
    settings.SNS_TOPIC_ARN = [TOPIC]
    settings.TRANSCODER_TOPICS = {TOPIC: [f"{live_server.url}/transcode-complete/"]}
    settings.SNS_KEY_FILE = tmp_path / "sns.key.pem"
    settings.SNS_CERTIFICATE_FILE = tmp_path / "sns.cert.pem"
    settings.HAS_UPPY = True
    ensure_pipeline()
    beat("steps")
    beat("transcode")
    return settings


_clients_are_of: list[str | None] = []


def forget_clients_of_others() -> None:
    """Forget the process's clients, which take a second to make, if they have other keys."""
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL")
    now = [os.environ.get(name) for name in names]
    if now != _clients_are_of:
        for made in (s3._built_client, amazon._made_client, amazon._session):
            made.cache_clear()
        _clients_are_of[:] = now


@pytest.fixture(scope="module", autouse=True)
def no_clients_are_left() -> Iterator[None]:
    yield
    forget_clients_of_others()


@pytest.fixture(scope="session")
def amazon_server() -> Iterator[AmazonServer]:
    server = AmazonServer()
    server.mend()
    with server:
        yield server


def use_keys(monkeypatch, access_key_id: str, secret: str) -> None:
    for name, value in (
        ("AWS_ACCESS_KEY_ID", access_key_id),
        ("AWS_SECRET_ACCESS_KEY", secret),
        ("AWS_CONFIG_FILE", "/nowhere"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/nowhere"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ):
        monkeypatch.setenv(name, value)


class Aws:
    """An installation on AWS with MediaConvert: ``account`` is over there, ``settings`` here."""

    def __init__(self, account: AmazonServer, settings: Any, monkeypatch: Any) -> None:
        self.account = account
        self.settings = settings
        self.monkeypatch = monkeypatch


@pytest.fixture
def aws(here, amazon_server, monkeypatch) -> Aws:
    use_keys(monkeypatch, ACCESS_KEY_ID, "a-secret-that-nobody-may-read")
    monkeypatch.setenv("AWS_ENDPOINT_URL", amazon_server.url)
    amazon_server.furnish(here.SITE_URL)
    here.AWS_REGION = here.AWS_S3_REGION_NAME = REGION
    here.AWS_S3_ADDRESSING_STYLE = "path"
    here.AWS_STORAGE_BUCKET_NAME = here.MEDIA_BUCKET = amazon_server.bucket
    here.TRANSCODER_ENGINE = "mediaconvert"
    here.TRANSCODER_TOPICS = {}
    here.SNS_TOPIC_ARN = [amazon_server.topic]
    here.MEDIACONVERT_ROLE_ARN = amazon_server.role_arn
    here.MEDIACONVERT_QUEUE_ARN = QUEUE
    here.MEDIACONVERT_ENV = "here"
    return Aws(amazon_server, here, monkeypatch)


# --- Folders and our own transcoder -----------------------------------------------------------


def test_nothing_is_wrong_with_the_default(here, doctor):
    found = doctor()
    assert found.names("wrong") == found.names("warning") == []
    assert found.status == 0
    assert found.document["ok"] is True
    for name in ("ffmpeg", "worker", "folder", "hard links", "pipeline", "own notices"):
        assert found.looks[name]["state"] == "fine"
    assert found.looks["bucket"]["text"] == "The bucket is not on S3."


def nobody_transcodes(settings: Any) -> None:
    Heartbeat.objects.filter(kind="transcode").delete()


def the_steps_stopped_a_while_ago(settings: Any) -> None:
    old = timezone.now() - timedelta(minutes=5)
    Heartbeat.objects.filter(kind="steps").update(at=old)


def ffmpeg_lacks_an_encoder(settings: Any) -> None:
    path = Path(settings.FILE_UPLOAD_TEMP_DIR) / "ffmpeg"
    words = "' A....D aac  AAC'"
    path.write_text(f"#!/bin/sh\n[ $1 = -version ] && echo ffmpeg version n9.0.2 || echo {words}\n")
    path.chmod(0o755)
    settings.FFMPEG_BINARY = str(path)


def the_folder_is_a_file(settings: Any) -> None:
    settings.BUCKETS_DIR.mkdir()
    (settings.BUCKETS_DIR / "local").write_text("in the way")


def the_pipeline_is_called_otherwise(settings: Any) -> None:
    settings.TRANSCODER_PIPELINE_NAME = "Another"


def the_pipeline_is_paused(settings: Any) -> None:
    Pipeline.objects.update(status="Paused")


def the_pipeline_has_another_bucket(settings: Any) -> None:
    Pipeline.objects.update(output_bucket="elsewhere")


def the_pipeline_tells_another_topic(settings: Any) -> None:
    settings.SNS_TOPIC_ARN = [f"{TOPIC}-2"]
    settings.TRANSCODER_TOPICS = {f"{TOPIC}-2": [f"{settings.SITE_URL}/transcode-complete/"]}


def nobody_posts_to_us(settings: Any) -> None:
    settings.TRANSCODER_TOPICS = {TOPIC: ["http://127.0.0.1:9/elsewhere/"]}


def the_site_is_elsewhere(settings: Any) -> None:
    settings.LOCAL_URL = "http://127.0.0.1:9"
    settings.TRANSCODER_TOPICS = {TOPIC: ["http://127.0.0.1:9/transcode-complete/"]}


def nobody_answers_for_the_transcoder(settings: Any) -> None:
    settings.LOCAL_URL = settings.TRANSCODER_ENDPOINT_URL = "http://127.0.0.1:9"


def settings_contradict_each_other(settings: Any) -> None:
    settings.TRANSCODER_RENEW_S = settings.TRANSCODER_LEASE_S


def another_site_answers(settings: Any) -> None:
    settings.SITE_URL = f"{settings.SITE_URL}/elsewhere"
    settings.TRANSCODER_TOPICS = {TOPIC: [f"{settings.SITE_URL}/transcode-complete/"]}


@pytest.mark.parametrize(
    ("broken", "name", "words"),
    [
        (settings_contradict_each_other, "settings", "TRANSCODER_RENEW_S"),
        (ffmpeg_lacks_an_encoder, "ffmpeg", "lacks the encoders libmp3lame, mp2"),
        (the_steps_stopped_a_while_ago, "steps", "transcode_worker"),
        (nobody_transcodes, "worker", "No worker is alive"),
        (the_folder_is_a_file, "folder", "something that is no folder is there"),
        (nobody_answers_for_the_transcoder, "transcoder", "No Elastic Transcoder answers"),
        (the_pipeline_is_called_otherwise, "pipeline", "There is no pipeline 'Another'"),
        (the_pipeline_is_paused, "pipeline", "is paused"),
        (the_pipeline_has_another_bucket, "pipeline", "works on elsewhere, local"),
        (the_pipeline_tells_another_topic, "pipeline", "UpdatePipelineNotifications"),
        (nobody_posts_to_us, "own notices", "No topic of TRANSCODER_TOPICS posts to this site"),
        (the_site_is_elsewhere, "own notices", "does not answer"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_fault_of_the_default_is_named(here, doctor, broken, name, words):
    broken(here)
    doctor().must_name(name, words)


def test_another_site_at_our_address_is_named(here, doctor):
    another_site_answers(here)
    found = doctor()
    assert "answers 404 where our webhook would say 405" in found.said("own notices")
    assert found.status == 1


def test_missing_migrations_are_named_and_nothing_is_asked_that_needs_them(here, doctor):
    recorder = MigrationRecorder(connection)
    recorder.record_unapplied("steps", "0001_initial")
    try:
        found = doctor()
    finally:
        recorder.record_applied("steps", "0001_initial")
    found.must_name("migrations", "steps.0001_initial")
    assert "manage.py migrate" in found.said("migrations")
    assert found.names("wrong") == ["migrations"]
    assert found.looks["worker"]["state"] == "skipped"
    assert '"migrations" is wrong' in found.said("worker")


def test_secrets_that_others_may_read_are_named(here, doctor):
    here.SNS_KEY_FILE.write_text("a key")
    here.SNS_KEY_FILE.chmod(0o644)
    doctor().must_name("secrets", f"chmod 600 {here.SNS_KEY_FILE}")


def test_a_folder_that_everybody_may_look_into_is_named(here, doctor):
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        here.BUCKETS_DIR = Path(folder)
        (here.BUCKETS_DIR / "local").mkdir()
        for path in (here.BUCKETS_DIR, here.BUCKETS_DIR / "local"):
            path.chmod(0o755)
        doctor().must_name("folder is private", "chmod o-rwx")


def test_a_folder_that_is_a_link_is_only_warned_of(here, doctor, tmp_path):
    (tmp_path / "disk").mkdir(mode=0o700)
    here.BUCKETS_DIR.mkdir()
    (here.BUCKETS_DIR / "local").symlink_to(tmp_path / "disk")
    found = doctor()
    assert found.names("warning") == ["folder"]
    assert str(tmp_path / "disk") in found.said("folder")
    assert found.status == 0


def test_a_look_that_hangs_is_wrong_and_the_others_are_taken(here, doctor, monkeypatch):
    release = looks.threading.Event()

    def hang() -> looks.Answer:
        release.wait(60)
        return looks.fine("At last.")

    slow = looks.Look("slow", hang, lambda: "", (), 0.2)
    monkeypatch.setattr(looks, "_looks", [slow, *looks._looks])
    found = doctor()
    release.set()
    found.must_name("slow", "No answer within 0.2 s")
    assert found.names("wrong") == ["slow"]


def test_a_look_that_breaks_is_wrong_and_keeps_its_secrets(here, doctor, monkeypatch):
    def break_down() -> looks.Answer:
        raise RuntimeError("key=very-secret")

    monkeypatch.setattr(
        looks, "_looks", [looks.Look("odd", break_down, lambda: "", (), 5), *looks._looks]
    )
    found = doctor()
    found.must_name("odd", "The look itself failed: RuntimeError")
    assert "very-secret" not in found.text


def test_each_look_is_one_line_for_people(here, capsys):
    nobody_transcodes(here)
    with pytest.raises(SystemExit):
        call_command("doctor")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(looks._looks) + 1
    assert "fine  database: sqlite answers." in lines
    assert any(
        line.startswith("wrong  worker: No worker is alive") and "Start make run" in line
        for line in lines
    )
    assert lines[-1] == "Not well: 1 wrong."


def test_missing_packages_of_npm_are_warned_of_and_every_warning_is_told(here, doctor):
    here.HAS_UPPY = False
    here.SNS_SIGNATURE_VERSIONS = ["1"]
    found = doctor()
    assert found.names("warning") == ["settings"]
    assert "npm ci" in found.said("settings")
    assert "would refuse the notices of its own topic" in found.said("settings")
    assert found.status == 0


def test_the_loop_is_not_sent_where_it_could_only_wait(here, doctor):
    nobody_transcodes(here)
    found = doctor("--loop")
    assert found.document["loop"]["ok"] is False
    assert found.document["loop"]["text"] == 'Not sent while "worker" is wrong.'
    assert found.status == 1


def test_the_transcoder_alone_is_looked_at_too(here, doctor):
    here.TRANSCODER_ALONE = True
    here.SNS_TOPIC_ARN = []
    found = doctor()
    assert found.names("wrong") == []
    assert "TRANSCODER_ALONE" in found.said("own notices")
    assert found.looks["worker"]["state"] == "fine"


# --- AWS with MediaConvert --------------------------------------------------------------------


def test_nothing_is_wrong_with_a_good_account(aws, doctor):
    found = doctor()
    assert found.names("wrong") == [], found.text
    assert found.names("could not be asked") == []
    assert found.status == 0
    for name in ("credentials", "region", "bucket is private", "anonymous reading", "cors"):
        assert found.looks[name]["state"] == "fine", name
    for name in ("signed links", "lifecycle", "queue", "role", "rule", "target", "topic policy"):
        assert found.looks[name]["state"] == "fine", name
    for name in (
        "topic",
        "subscription",
        "signature version",
        "webhook",
        "role's rights",
        "intake",
    ):
        assert found.looks[name]["state"] == "fine", name
    assert "AKIA…LE01" in found.said("credentials")
    assert "nobody-may-read" not in found.text


def test_workers_of_ours_are_not_missed_with_mediaconvert_until_a_job_is_theirs(aws, doctor):
    nobody_transcodes(aws.settings)
    assert doctor().looks["worker"]["state"] == "skipped"
    aws.settings.TRANSCODER_ENGINE = "elastic"
    make_job()
    aws.settings.TRANSCODER_ENGINE = "mediaconvert"
    doctor().must_name("worker", "No worker is alive")


def no_credentials(aws: Aws) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        aws.monkeypatch.delenv(name)


def credentials_are_not_accepted(aws: Aws) -> None:
    aws.account.unaccepted = True


def the_bucket_is_missing(aws: Aws) -> None:
    aws.settings.AWS_STORAGE_BUCKET_NAME = aws.settings.MEDIA_BUCKET = "there-is-none"


def the_bucket_may_not_be_listed(aws: Aws) -> None:
    aws.account.forbidden.add("GET list-type")


def the_bucket_is_in_another_region(aws: Aws) -> None:
    aws.settings.AWS_S3_REGION_NAME = "eu-central-1"


def the_bucket_has_a_public_policy(aws: Aws) -> None:
    s3 = aws.account.client("s3")
    s3.delete_public_access_block(Bucket=aws.account.bucket)
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{aws.account.bucket}/*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    s3.put_bucket_policy(Bucket=aws.account.bucket, Policy=policy)


def the_bucket_has_a_public_access_list(aws: Aws) -> None:
    s3 = aws.account.client("s3")
    s3.delete_public_access_block(Bucket=aws.account.bucket)
    s3.put_bucket_acl(Bucket=aws.account.bucket, ACL="public-read")


def there_is_no_cors(aws: Aws) -> None:
    aws.account.client("s3").delete_bucket_cors(Bucket=aws.account.bucket)


def cors_names_another_site(aws: Aws) -> None:
    aws.account.allow_uploads("https://other.example.org")


def cors_hides_the_etag(aws: Aws) -> None:
    aws.account.allow_uploads(aws.settings.SITE_URL, ExposeHeaders=["x-amz-request-id"])


def the_topic_is_missing(aws: Aws) -> None:
    aws.settings.SNS_TOPIC_ARN = [f"arn:aws:sns:{REGION}:{ACCOUNT}:there-is-none"]


def nothing_is_subscribed(aws: Aws) -> None:
    aws.account.unsubscribe()


def the_subscription_is_pending(aws: Aws) -> None:
    aws.account.pending = True


def another_address_is_subscribed(aws: Aws) -> None:
    aws.account.unsubscribe()
    aws.account.subscribe("https://old.example.org/transcode-complete/?token=very-secret")


def delivery_is_raw(aws: Aws) -> None:
    aws.account.set_subscription("RawMessageDelivery", "true")


def version_1_is_refused_here(aws: Aws) -> None:
    aws.account.signature_version = "1"
    aws.settings.SNS_SIGNATURE_VERSIONS = ["2"]


def the_policy_names_another_service(aws: Aws) -> None:
    aws.account.allow_publishing("s3.amazonaws.com", aws.account.rule_arn)


def the_policy_names_another_rule(aws: Aws) -> None:
    aws.account.allow_publishing("events.amazonaws.com", f"{aws.account.rule_arn}-2")


def the_rule_is_disabled(aws: Aws) -> None:
    aws.account.put_rule(state="DISABLED")


def the_rule_lacks_error(aws: Aws) -> None:
    aws.account.put_rule(status=[status for status in STATUSES if status != "ERROR"])


def the_rule_is_of_another_queue(aws: Aws) -> None:
    aws.account.put_rule(queue=[f"{QUEUE}-2"])


def the_rule_is_of_another_installation(aws: Aws) -> None:
    aws.account.put_rule(userMetadata={"env": ["staging"]})


def there_is_no_rule(aws: Aws) -> None:
    events = aws.account.client("events")
    events.remove_targets(Rule=aws.account.rule, Ids=["topic"])


def the_target_rewrites_the_event(aws: Aws) -> None:
    target = {"Id": "topic", "Arn": aws.account.topic, "InputPath": "$.detail"}
    aws.account.client("events").put_targets(Rule=aws.account.rule, Targets=[target])


def the_role_is_missing(aws: Aws) -> None:
    aws.account.client("iam").delete_role(RoleName=aws.account.role)


def the_role_is_not_named(aws: Aws) -> None:
    aws.settings.MEDIACONVERT_ROLE_ARN = ""


def trust(service: str, source: str) -> str:
    condition = {"ArnLike": {"aws:SourceArn": source}}
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Condition": condition}
    statement["Principal"] = {"Service": service}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def the_role_trusts_another_service(aws: Aws) -> None:
    aws.account.client("iam").update_assume_role_policy(
        RoleName=aws.account.role, PolicyDocument=trust("elastictranscoder.amazonaws.com", "*")
    )


def the_role_trusts_another_queue(aws: Aws) -> None:
    aws.account.client("iam").update_assume_role_policy(
        RoleName=aws.account.role, PolicyDocument=trust("mediaconvert.amazonaws.com", f"{QUEUE}-2")
    )


def the_role_may_not_be_passed(aws: Aws) -> None:
    aws.account.may_pass = False


def the_queue_is_paused(aws: Aws) -> None:
    aws.account.queue["status"] = "PAUSED"


def the_queue_is_missing(aws: Aws) -> None:
    aws.settings.MEDIACONVERT_QUEUE_ARN = f"{QUEUE}-2"


def the_clock_is_two_minutes_slow(aws: Aws) -> None:
    aws.account.clock_ahead = timedelta(minutes=2)


def the_clock_is_ten_minutes_fast(aws: Aws) -> None:
    aws.account.clock_ahead = timedelta(minutes=-10)


def the_site_does_not_answer(aws: Aws) -> None:
    aws.settings.SITE_URL = "http://127.0.0.1:9"
    aws.account.unsubscribe()
    aws.account.subscribe("http://127.0.0.1:9/transcode-complete/")
    aws.account.allow_uploads("http://127.0.0.1:9")


BROKEN_ON_AWS: list[tuple[Callable[[Aws], None], str, str]] = [
    (no_credentials, "credentials", "There are no credentials"),
    (credentials_are_not_accepted, "credentials", "InvalidClientTokenId"),
    (the_bucket_is_in_another_region, "region", "AWS_S3_REGION_NAME=eu-west-1"),
    (the_bucket_is_missing, "bucket", "There is no bucket 'there-is-none'"),
    (the_bucket_may_not_be_listed, "bucket", "Allow s3:ListBucket"),
    (the_bucket_has_a_public_policy, "bucket is private", "policy lets everybody in"),
    (the_bucket_has_a_public_access_list, "bucket is private", "access list lets everybody in"),
    (there_is_no_cors, "cors", "allows nobody"),
    (cors_names_another_site, "cors", "AllowedOrigins http://"),
    (cors_hides_the_etag, "cors", "ExposeHeaders ETag"),
    (the_queue_is_paused, "queue", "is paused"),
    (the_queue_is_missing, "queue", "There is no queue audio-2"),
    (the_role_is_missing, "role", "There is no role"),
    (the_role_is_not_named, "settings", "MEDIACONVERT_ROLE_ARN is ''"),
    (the_role_trusts_another_service, "role", "does not trust MediaConvert"),
    (the_role_trusts_another_queue, "role", "does not trust MediaConvert on behalf of"),
    (the_role_may_not_be_passed, "passing the role", "Allow iam:PassRole"),
    (the_site_does_not_answer, "webhook", "does not answer: Connection refused"),
    (the_topic_is_missing, "topic", "There is no topic"),
    (version_1_is_refused_here, "signature version", "every notice is refused"),
    (nothing_is_subscribed, "subscription", "is not subscribed"),
    (the_subscription_is_pending, "subscription", "waits to be confirmed"),
    (another_address_is_subscribed, "subscription", "https://old.example.org/transcode-complete/"),
    (delivery_is_raw, "subscription", "RawMessageDelivery"),
    (there_is_no_rule, "rule", "No EventBridge rule"),
    (the_rule_is_disabled, "rule", "is disabled"),
    (the_rule_lacks_error, "rule", "does not tell of ERROR"),
    (the_rule_is_of_another_queue, "rule", "another queue"),
    (the_rule_is_of_another_installation, "rule", "detail.userMetadata.env lacks here"),
    (the_target_rewrites_the_event, "target", "InputPath"),
    (the_policy_names_another_service, "topic policy", "does not let EventBridge publish"),
    (
        the_policy_names_another_rule,
        "topic policy",
        "publish for the rule audio-",
    ),
    (the_clock_is_two_minutes_slow, "clock", "behind"),
    (the_clock_is_ten_minutes_fast, "clock", "Signed requests are refused"),
]


@pytest.mark.parametrize(
    ("broken", "name", "words"), BROKEN_ON_AWS, ids=[row[0].__name__ for row in BROKEN_ON_AWS]
)
def test_a_fault_on_aws_is_named(aws, doctor, broken, name, words):
    broken(aws)
    found = doctor()
    found.must_name(name, words)
    assert "nobody-may-read" not in found.text
    assert "very-secret" not in found.text


def test_a_fatal_clock_keeps_everything_signed_from_being_asked(aws, doctor):
    the_clock_is_ten_minutes_fast(aws)
    found = doctor()
    assert found.names("wrong") == ["clock"]
    assert '"clock" is wrong' in found.said("bucket")


@pytest.mark.parametrize(
    ("action", "name", "permission"),
    [
        ("GET notification", "intake", "s3:GetBucketNotification"),
        ("GET policyStatus", "bucket is private", "s3:GetBucketPolicyStatus"),
        ("GET lifecycle", "lifecycle", "s3:GetLifecycleConfiguration"),
        ("GetRole", "role", "iam:GetRole"),
        ("SimulatePrincipalPolicy", "passing the role", "iam:SimulatePrincipalPolicy"),
        ("GetQueue", "queue", "mediaconvert:GetQueue"),
        ("ListRuleNamesByTarget", "rule", "events:ListRuleNamesByTarget"),
        ("ListSubscriptionsByTopic", "subscription", "sns:ListSubscriptionsByTopic"),
        ("GetTopicAttributes", "topic", "sns:GetTopicAttributes"),
    ],
)
def test_what_may_not_be_asked_is_no_fault(aws, doctor, action, name, permission):
    aws.account.forbidden.add(action)
    found = doctor()
    assert name in found.names("could not be asked")
    assert permission in found.said(name)
    assert found.names("wrong") == [], found.text
    assert found.status == 0


def test_our_own_transcoder_may_publish_to_a_topic_of_the_account(aws, doctor):
    use_our_own_transcoder(aws)
    found = doctor()
    assert found.names("wrong") == [], found.text
    assert found.looks["publishing"]["state"] == "fine"
    assert "not mediaconvert" in found.said("rule")


def test_our_own_transcoder_that_may_not_publish_is_named(aws, doctor):
    use_our_own_transcoder(aws)
    aws.account.allow_publishing("events.amazonaws.com", aws.account.rule_arn)
    the_role_may_not_be_passed(aws)
    doctor().must_name("publishing", "Allow it sns:Publish")


def use_our_own_transcoder(aws: Aws) -> None:
    aws.settings.TRANSCODER_ENGINE = "elastic"
    everybody = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": ["SNS:Publish"]}
    everybody["Condition"] = {"StringEquals": {"AWS:SourceOwner": ACCOUNT}}
    statements = [everybody, aws.account.bucket_may_publish()]
    aws.account.set_topic(Policy=json.dumps({"Statement": statements}))
    ensure_pipeline()


def test_a_topic_for_other_things_needs_no_rule(aws, doctor):
    other = aws.account.client("sns").create_topic(Name="dropped-files")["TopicArn"]
    aws.account.client("sns").subscribe(
        TopicArn=other, Protocol="http", Endpoint=f"{aws.settings.SITE_URL}/transcode-complete/"
    )
    aws.settings.SNS_TOPIC_ARN = [aws.account.topic, other]
    found = doctor()
    assert found.names("wrong") == [], found.text


@pytest.fixture
def distribution(aws, tmp_path) -> Iterator[Distribution]:
    """CloudFront for people's files and for static files, one of which is collected."""
    with Distribution(aws.account) as made:
        aws.settings.CLOUDFRONT_DOMAIN = "d111111abcdef8.cloudfront.net"
        aws.settings.CLOUDFRONT_KEY_ID = made.key_id
        aws.settings.CLOUDFRONT_KEY = made.private_pem
        # Nobody here has a certificate of that host.
        address = f"{made.url}/{{}}".format
        aws.monkeypatch.setattr(cloudfront, "_address", address)
        aws.settings.STATIC_ON_S3 = True
        aws.settings.AWS_S3_CUSTOM_DOMAIN = made.url.removeprefix("http://")
        aws.settings.AWS_S3_URL_PROTOCOL = "http:"
        aws.settings.STORAGES = {
            **aws.settings.STORAGES,
            "staticfiles": {"BACKEND": "audio_transcoder.storages.S3StaticStorage"},
        }
        (tmp_path / "collected" / "css").mkdir(parents=True)
        (tmp_path / "collected" / "css" / "site.css").write_text("body { color: red }")
        aws.settings.STATICFILES_DIRS = [tmp_path / "collected"]
        aws.settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
        call_command("collectstatic", interactive=False, verbosity=0)
        yield made


def test_nothing_is_wrong_with_a_good_distribution(distribution, doctor):
    found = doctor()
    assert found.names("wrong") == found.names("could not be asked") == [], found.text
    assert found.looks["people's links"]["state"] == found.looks["static files"]["state"] == "fine"
    assert "localhost" in found.said("people's links")
    assert re.search(r"/static/css/site\.[0-9a-f]{12}\.css is there", found.said("static files"))


def the_distribution_asks_for_nothing(distribution: Distribution) -> None:
    distribution.asks_for_signatures = False


def the_distribution_knows_another_key(distribution: Distribution) -> None:
    distribution.key_id = "K0ANOTHERKEY"


def the_distribution_drops_names(distribution: Distribution) -> None:
    distribution.passes_on_names = False


def the_static_file_is_gone(distribution: Distribution) -> None:
    s3, bucket = distribution.account.client("s3"), distribution.account.bucket
    for found in s3.list_objects_v2(Bucket=bucket, Prefix="static/css/")["Contents"]:
        s3.delete_object(Bucket=bucket, Key=found["Key"])


def nothing_was_collected(distribution: Distribution) -> None:
    staticfiles_storage.hashed_files.clear()


@pytest.mark.parametrize(
    ("broken", "name", "words"),
    [
        (the_distribution_asks_for_nothing, "people's links", "without a right signature"),
        (the_distribution_knows_another_key, "people's links", "is answered 403"),
        (the_distribution_drops_names, "people's links", "downloads are called by their keys"),
        (the_static_file_is_gone, "static files", "is answered 404"),
        (nothing_was_collected, "static files", "Say manage.py collectstatic"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_fault_of_the_distribution_is_named(distribution, doctor, broken, name, words):
    broken(distribution)
    doctor().must_name(name, words)


def test_a_distribution_that_may_not_read_the_bucket_is_named(distribution, doctor):
    distribution.reads_the_bucket = False
    found = doctor()
    assert found.names("wrong") == ["people's links", "static files"]
    assert "origin access control" in found.said("people's links")
    assert "may read static/*" in found.said("static files")


# --- Objects dropped into the bucket ---


def test_a_bucket_that_tells_a_function_is_fine(aws, doctor):
    function = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:audio-intake"
    aws.account.tell_of_new_objects(LambdaFunctionArn=function)
    found = doctor()
    assert found.looks["intake"]["state"] == "fine", found.text
    assert function in found.said("intake")


def nobody_is_told(aws: Aws) -> None:
    aws.account.tell_of_new_objects()


def something_else_is_told_of(aws: Aws) -> None:
    aws.account.tell_of_new_objects("media/uploads/", TopicArn=aws.account.topic)


def another_topic_is_told(aws: Aws) -> None:
    other = aws.account.client("sns").create_topic(Name="of-others")["TopicArn"]
    aws.account.tell_of_new_objects(TopicArn=other)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (nobody_is_told, "tells nobody of objects dropped below media/intake/"),
        (something_else_is_told_of, "tells nobody"),
        (another_topic_is_told, "of-others of dropped objects, and we do not listen there"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_an_intake_that_nobody_tells_of_is_warned_of(aws, doctor, broken, words):
    broken(aws)
    found = doctor()
    assert found.names("wrong") == [], found.text
    assert found.looks["intake"]["state"] == "warning"
    assert words in found.said("intake")
    assert "a look every 5 minutes" in found.said("intake")


def test_a_topic_that_the_bucket_may_not_tell_is_named(aws, doctor):
    rule = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}}
    rule["Action"] = "sns:Publish"
    aws.account.set_topic(Policy=json.dumps({"Statement": [rule]}))
    doctor().must_name("intake", "s3.amazonaws.com")


# --- Another storage of Django's ---


@pytest.fixture
def on_another_storage(here, tmp_path) -> Any:
    here.MEDIA_STORAGE_BACKEND = "django.core.files.storage.FileSystemStorage"
    here.MEDIA_STORAGE_OPTIONS = {"location": f"{tmp_path}/{{bucket}}"}
    here.MEDIA_STORAGE_BUCKET = here.MEDIA_BUCKET = "audio"
    Pipeline.objects.update(input_bucket="audio", output_bucket="audio")
    return here


def test_another_storage_is_looked_at(on_another_storage, doctor, tmp_path):
    found = doctor()
    assert found.names("wrong") == [], found.text
    assert found.looks["storage"]["state"] == "fine"
    assert "Uploads pass through this site" in found.said("storage")
    assert found.looks["folder"]["state"] == found.looks["bucket"]["state"] == "skipped"
    assert not [path for path in (tmp_path / "audio").rglob("*") if path.is_file()]


def test_another_storage_that_refuses_us_is_named_and_no_tone_sent(
    on_another_storage, doctor, tmp_path
):
    (tmp_path / "audio").write_text("in the way")
    found = doctor("--loop")
    found.must_name("storage", "FileSystemStorage cannot be used")
    assert found.document["loop"]["text"] == 'Not sent while "storage" is wrong.'


def test_another_storage_that_cannot_be_made_is_named(on_another_storage, doctor):
    on_another_storage.MEDIA_STORAGE_BACKEND = "storages.backends.no_such.Storage"
    found = doctor()
    found.must_name("settings", "audio.E051")
    assert "cannot be made (ModuleNotFoundError)" in found.said("storage")


def test_a_private_address_is_no_address_for_amazon(aws, doctor):
    no_credentials(aws)
    aws.monkeypatch.delenv("AWS_ENDPOINT_URL")
    aws.settings.AWS_S3_ENDPOINT_URL = aws.account.url
    found = doctor()
    assert "which Amazon cannot reach" in found.said("webhook")


# --- A real S3 server -------------------------------------------------------------------------


class OnS3:
    """``s3`` is a client of the bucket's owner."""

    def __init__(self, settings: Any, s3: Any) -> None:
        self.settings = settings
        self.s3 = s3

    @property
    def bucket(self) -> str:
        return self.settings.MEDIA_BUCKET


@pytest.fixture
def on_s3(here, s3_server: S3Server, monkeypatch) -> OnS3:
    """Our own transcoder, with the bucket on a server that checks everything as Amazon does."""
    keys = s3_server.user()
    use_keys(monkeypatch, keys.access_key_id, keys.secret_access_key)
    here.AWS_STORAGE_BUCKET_NAME = here.MEDIA_BUCKET = s3_server.bucket(keys)
    here.AWS_S3_ENDPOINT_URL = s3_server.url
    here.AWS_S3_ADDRESSING_STYLE = "path"
    here.AWS_S3_REGION_NAME = "us-east-1"
    rule = {"AllowedMethods": ["PUT"], "AllowedHeaders": ["*"], "ExposeHeaders": ["ETag"]}
    rule["AllowedOrigins"] = [here.SITE_URL]
    ensure_pipeline()
    owned = OnS3(here, s3_server.client(keys))
    owned.s3.put_bucket_cors(Bucket=owned.bucket, CORSConfiguration={"CORSRules": [rule]})
    return owned


@pytest.mark.s3
def test_nothing_is_wrong_with_a_bucket_on_a_real_server(on_s3, doctor):
    found = doctor()
    assert found.names("wrong") == [], found.text
    assert found.status == 0
    for name in ("bucket", "bucket is writable", "anonymous reading", "signed links", "cors"):
        assert found.looks[name]["state"] == "fine", found.said(name)
    assert on_s3.s3.list_objects_v2(Bucket=on_s3.bucket)["KeyCount"] == 0


@pytest.mark.s3
def test_a_bucket_with_versions_keeps_nothing_of_the_looks(on_s3, doctor):
    on_s3.s3.put_bucket_versioning(
        Bucket=on_s3.bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    assert doctor().looks["signed links"]["state"] == "fine"
    left = on_s3.s3.list_object_versions(Bucket=on_s3.bucket)
    assert not {"Versions", "DeleteMarkers"} & set(left)


@pytest.mark.s3
def test_wrong_keys_are_named_by_a_real_server(on_s3, doctor, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    doctor().must_name("bucket", "SignatureDoesNotMatch")


@pytest.mark.s3
def test_somebody_elses_bucket_is_named_by_a_real_server(on_s3, doctor, s3_server, monkeypatch):
    stranger = s3_server.user()
    use_keys(monkeypatch, stranger.access_key_id, stranger.secret_access_key)
    doctor().must_name("bucket", "somebody else's")


@pytest.mark.s3
def test_a_public_bucket_is_named_by_a_real_server(on_s3, doctor):
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{on_s3.bucket}/*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    on_s3.s3.put_bucket_policy(Bucket=on_s3.bucket, Policy=policy)
    found = doctor()
    assert found.looks["anonymous reading"]["state"] == "wrong"
    assert "Anybody who knows a key gets the object" in found.said("anonymous reading")
    assert found.status == 1


@pytest.mark.s3
@pytest.mark.parametrize("origin", [None, "https://other.example.org"])
def test_a_browser_that_may_not_upload_is_named_by_a_real_server(on_s3, doctor, origin):
    if origin is None:
        on_s3.s3.delete_bucket_cors(Bucket=on_s3.bucket)
    else:
        rule = {"AllowedMethods": ["PUT"], "AllowedOrigins": [origin]}
        on_s3.s3.put_bucket_cors(Bucket=on_s3.bucket, CORSConfiguration={"CORSRules": [rule]})
    doctor().must_name("cors", f"AllowedOrigins {on_s3.settings.SITE_URL}")
