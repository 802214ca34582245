"""The template: what cfn-lint says of it, and what there is after it was used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cfnlint import lint_file
from cfnlint.config import ManualArgs
from django.conf import settings
from moto.events.models import EventPattern

from audio_transcoder.engines.base import Order, Source, Wanted
from audio_transcoder.engines.mediaconvert import requests
from audio_transcoder.formats import FORMATS
from buckets.cors import cors_rules
from deploy.aws import write
from deploy.aws.tests.template import ACCOUNT, BUCKET, REGION, SITE, Template, is_allowed, source

EVENTS = json.loads((Path(__file__).parent / "mediaconvert_events.json").read_text())
MEDIA = f"arn:aws:s3:::{BUCKET}/media/uploads/0b0f5d2e/source"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:audio-events"
UNDELIVERED = f"arn:aws:sqs:{REGION}:{ACCOUNT}:audio-undelivered"
RULE = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/audio-mediaconvert"
CLOUDFRONT = {"CloudFront": "yes", "CloudFrontKeyIds": "K1EXAMPLE,K2EXAMPLE"}
VARIANTS = (
    {},
    {"MediaConvert": "no", "Intake": "none", "Subscribe": "no"},
    {
        "Intake": "lambda",
        "User": "yes",
        "Versioning": "yes",
        "AlarmEmail": "x@example.org",
        **CLOUDFRONT,
        "CloudFrontDomain": "media.example.org",
        "CloudFrontCertificateArn": "arn:aws:acm:us-east-1:111122223333:certificate/0",
    },
)


@pytest.mark.parametrize("region", ["eu-west-1", "us-east-1"])  # CloudFront is at home in the last
def test_cfn_lint_has_nothing_to_say(region):
    found = lint_file(SITE, config=ManualArgs(regions=[region], include_checks=["I", "W", "E"]))
    assert [f"{one.linenumber}: {one.rule.id} {one.message}" for one in found] == []


def test_the_template_is_small_enough_to_be_sent_without_a_bucket():
    """51,200 bytes: AWS CloudFormation User Guide, quotas, template body in a request."""
    assert SITE.stat().st_size <= 51_200


@pytest.mark.parametrize("name", write.WRITTEN)
def test_what_follows_from_the_list_of_permissions_is_written(name):
    text = (write.HERE / name).read_text()
    assert write.WRITTEN[name](text) == text, "say python -m deploy.aws.write"


def test_keys_are_those_of_the_settings():
    assert (settings.MEDIAFILES_LOCATION, settings.STATICFILES_LOCATION) == ("media", "static")


# --- Storage ---


def test_nothing_in_the_bucket_is_public_and_it_outlives_the_stack():
    bucket = Template().resources["Bucket"]
    block = bucket["Properties"]["PublicAccessBlockConfiguration"]
    assert block == dict.fromkeys(
        ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
    )
    ownership = bucket["Properties"]["OwnershipControls"]["Rules"]
    assert ownership == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    encryption = bucket["Properties"]["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption == [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
    assert bucket["DeletionPolicy"] == bucket["UpdateReplacePolicy"] == "Retain"


def test_browsers_may_upload_and_play_from_our_origin_alone():
    # CloudFormation has names of its own for three members of the API.
    names = {"Id": "ID", "ExposedHeaders": "ExposeHeaders", "MaxAge": "MaxAgeSeconds"}
    rules = Template().properties("Bucket")["CorsConfiguration"]["CorsRules"]
    as_s3_has_them = [{names.get(name, name): rule[name] for name in rule} for rule in rules]
    assert {"CORSRules": as_s3_has_them} == cors_rules("https://audio.example.org")


def test_open_uploads_and_earlier_versions_end_by_themselves():
    stale, versions = Template().properties("Bucket")["LifecycleConfiguration"]["Rules"]
    assert stale["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 2}
    assert versions["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
    assert stale["Status"] == versions["Status"] == "Enabled"


@pytest.mark.parametrize(
    ("action", "context", "refused"),
    [
        ("s3:PutObject", {"aws_SecureTransport": "false"}, True),
        ("s3:GetObject", {"aws_SecureTransport": "false"}, True),
        ("s3:GetObject", {"s3_signatureversion": "AWS"}, True),
        ("s3:GetObject", {"s3_signatureversion": "AWS4-HMAC-SHA256"}, False),
        ("s3:PutObject", {"s3_signatureAge": "43200001"}, True),
        ("s3:PutObject", {"s3_signatureAge": "43200000"}, False),
        ("s3:GetObject", {"s3_signatureAge": "43200001"}, False),
    ],
)
def test_the_bucket_refuses_plain_http_old_signatures_and_stale_ones(action, context, refused):
    anyone = {"Effect": "Allow", "Action": action, "Resource": MEDIA}
    statements = [anyone, *Template().statements("BucketPolicy")]
    assert is_allowed(statements, action, MEDIA, **context) is not refused


def test_what_is_deleted_is_kept_only_on_request():
    assert "VersioningConfiguration" not in Template().properties("Bucket")
    kept = Template({"Versioning": "yes"}).properties("Bucket")["VersioningConfiguration"]
    assert kept == {"Status": "Enabled"}


# --- Notices ---


@pytest.mark.parametrize(
    ("by", "source_arn", "account", "allowed"),
    [
        ("events.amazonaws.com", RULE, ACCOUNT, True),
        ("events.amazonaws.com", f"{RULE}-of-others", ACCOUNT, False),
        ("events.amazonaws.com", RULE, "999999999999", False),
        ("s3.amazonaws.com", f"arn:aws:s3:::{BUCKET}", ACCOUNT, True),
        ("s3.amazonaws.com", "arn:aws:s3:::of-others", ACCOUNT, False),
        ("s3.amazonaws.com", f"arn:aws:s3:::{BUCKET}", "999999999999", False),
        ("lambda.amazonaws.com", RULE, ACCOUNT, False),
    ],
)
def test_only_our_rule_and_our_bucket_may_publish(by, source_arn, account, allowed):
    statements = Template().statements("TopicPolicy")
    context = {"aws_SourceArn": source_arn, "aws_SourceAccount": account}
    asked = (statements, "sns:Publish", TOPIC)
    assert is_allowed(*asked, by=by, aws_SecureTransport="true", **context) is allowed
    assert not is_allowed(*asked, by=by, aws_SecureTransport="false", **context)


def test_the_bucket_may_publish_only_where_it_is_to():
    context = {"aws_SourceArn": f"arn:aws:s3:::{BUCKET}", "aws_SourceAccount": ACCOUNT}
    for intake in ("lambda", "none"):
        statements = Template({"Intake": intake}).statements("TopicPolicy")
        assert not is_allowed(statements, "sns:Publish", TOPIC, by="s3.amazonaws.com", **context)


def test_the_site_is_told_with_sha256_signatures_and_repeats_of_most_of_an_hour():
    template = Template()
    assert template.properties("Topic")["SignatureVersion"] == "2"
    subscription = template.properties("Subscription")
    assert subscription["Endpoint"] == "https://audio.example.org/transcode-complete/"
    assert (subscription["Protocol"], subscription["RawMessageDelivery"]) == ("https", False)
    policy = subscription["DeliveryPolicy"]["healthyRetryPolicy"]
    least, most = policy["minDelayTarget"], policy["maxDelayTarget"]
    before, after = policy["numMinDelayRetries"], policy["numMaxDelayRetries"]
    between = policy["numRetries"] - before - after
    growth = (most / least) ** (1 / (between - 1))
    seconds = before * least + sum(least * growth**step for step in range(between)) + after * most
    assert 2400 <= seconds <= 3600  # SNS refuses more in all


def test_what_the_site_never_took_is_kept_for_two_weeks():
    template = Template()
    assert template.properties("Subscription")["RedrivePolicy"] == {
        "deadLetterTargetArn": UNDELIVERED
    }
    assert template.properties("Rule")["Targets"][0]["DeadLetterConfig"] == {"Arn": UNDELIVERED}
    assert template.properties("Undelivered")["MessageRetentionPeriod"] == 14 * 24 * 3600
    statements = template.statements("UndeliveredPolicy")
    asked = (statements, "sqs:SendMessage", UNDELIVERED)
    assert is_allowed(*asked, by="sns.amazonaws.com", aws_SourceArn=TOPIC)
    assert not is_allowed(*asked, by="sns.amazonaws.com", aws_SourceArn=f"{TOPIC}-of-others")
    assert is_allowed(
        *asked, by="events.amazonaws.com", aws_SourceArn=RULE, aws_SourceAccount=ACCOUNT
    )


def test_there_is_no_subscription_before_the_site_is_up():
    assert "Subscription" not in Template({"Subscribe": "no"}).resources


# --- MediaConvert ---


def pattern() -> EventPattern:
    return EventPattern.load(json.dumps(Template().properties("Rule")["EventPattern"]))


@pytest.mark.parametrize("name", EVENTS)
def test_every_event_of_our_jobs_reaches_the_topic(name):
    assert pattern().matches_event(EVENTS[name])


def test_every_event_of_a_job_as_our_engine_orders_it_reaches_the_topic():
    order = Order(
        our_id="0b0f5d2e-6f0f-4c1f-9f5e-2f7d1f0c9a11",
        source=Source(key="media/uploads/0b0f5d2e/source", container="wav", codec="pcm_s16le"),
        outputs=[Wanted("media/renditions/0b0f5d2e/1/wav.wav", FORMATS["wav"])],
    )
    written = requests.request(order, env="audio.example.org", role="", queue="", bucket=BUCKET)[
        "UserMetadata"
    ]
    event = EVENTS["ERROR"]
    detail = event["detail"] | {"userMetadata": written}
    assert set(written) == {"env", "transcode_job"}
    assert pattern().matches_event(event | {"detail": detail})


def test_events_of_other_queues_and_other_programs_do_not():
    event = EVENTS["ERROR"]
    others = event["detail"] | {"queue": f"{event['detail']['queue']}-of-others"}
    nobodys = event["detail"] | {"userMetadata": {}}
    assert not pattern().matches_event(event | {"detail": others})
    assert not pattern().matches_event(event | {"detail": nobodys})


def test_only_our_queue_may_take_on_the_role_and_it_reads_uploads_and_writes_renditions():
    template = Template()
    (trust,) = template.properties("MediaConvertRole")["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "mediaconvert.amazonaws.com"}
    assert trust["Condition"] == {
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
        "ArnLike": {"aws:SourceArn": EVENTS["ERROR"]["detail"]["queue"]},
    }
    statements = template.statements("MediaConvertRole")
    results = f"arn:aws:s3:::{BUCKET}/media/renditions/0b0f5d2e/1/sound.flac"
    assert is_allowed(statements, "s3:GetObject", MEDIA)
    assert is_allowed(statements, "s3:PutObject", results)
    assert not is_allowed(statements, "s3:PutObject", MEDIA)
    assert not is_allowed(statements, "s3:DeleteObject", results)


def test_without_mediaconvert_there_is_no_role_to_pass():
    template = Template({"MediaConvert": "no"})
    assert not {"Queue", "MediaConvertRole", "Rule"} & set(template.resources)
    actions = {one for each in template.statements("WorkerPolicy") for one in each["Action"]}
    assert not {one for one in actions if one.startswith(("mediaconvert:", "iam:"))}


# --- Intake ---


def test_the_bucket_tells_the_topic_the_function_or_nobody():
    told = {
        intake: Template({"Intake": intake}).properties("Bucket").get("NotificationConfiguration")
        for intake in ("topic", "lambda", "none")
    }
    watched = {
        "Event": "s3:ObjectCreated:*",
        "Filter": {"S3Key": {"Rules": [{"Name": "prefix", "Value": "media/intake/"}]}},
    }
    assert told == {
        "topic": {"TopicConfigurations": [watched | {"Topic": TOPIC}]},
        "lambda": {"LambdaConfigurations": [watched | {"Function": "IntakeFunction.Arn"}]},
        "none": None,
    }


def test_the_function_is_invoked_by_our_bucket_and_failures_are_kept():
    template = Template({"Intake": "lambda"})
    function = template.properties("IntakeFunction")
    assert (function["Runtime"], function["Handler"]) == ("python3.13", "transcode.lambda_handler")
    assert function["Environment"]["Variables"] == {
        "BUCKET": BUCKET,
        "INTAKE_PREFIX": "media/intake/",
        "TOPIC_ARN": TOPIC,
    }
    permission = template.properties("IntakePermission")
    assert permission["SourceArn"] == f"arn:aws:s3:::{BUCKET}"
    assert (permission["Principal"], permission["SourceAccount"]) == ("s3.amazonaws.com", ACCOUNT)
    failures = template.properties("IntakeFailures")["DestinationConfig"]["OnFailure"]
    assert failures == {"Destination": UNDELIVERED}
    statements = template.statements("IntakeRole")
    assert is_allowed(statements, "sns:Publish", TOPIC)
    assert is_allowed(statements, "sqs:SendMessage", UNDELIVERED)
    assert not is_allowed(statements, "s3:GetObject", MEDIA)


def test_s3_may_tell_before_it_is_told_to():
    """S3 tries whom it is to tell; a bucket that came first would be refused."""
    bucket = source()["Resources"]["Bucket"]
    assert bucket["DependsOn"] == "TopicPolicy"
    assert {"Ref": "IntakePermission"} in bucket["Properties"]["Tags"][0]["Value"]["Fn::If"]


# --- CloudFront ---


def test_cloudfront_asks_for_a_signature_everywhere_but_for_static_files():
    config = Template(CLOUDFRONT).properties("Distribution")["DistributionConfig"]
    (static,) = config["CacheBehaviors"]
    assert config["DefaultCacheBehavior"]["TrustedKeyGroups"] == ["KeyGroup"]
    assert static["PathPattern"] == "static/*"
    assert "TrustedKeyGroups" not in static
    for behaviour in (config["DefaultCacheBehavior"], static):
        assert behaviour["ViewerProtocolPolicy"] == "https-only"


def test_cloudfront_passes_on_what_a_link_says_of_name_and_type():
    config = Template(CLOUDFRONT).properties("MediaCache")["CachePolicyConfig"]
    strings = config["ParametersInCacheKeyAndForwardedToOrigin"]["QueryStringsConfig"]
    assert set(strings["QueryStrings"]) == {
        "response-cache-control",
        "response-content-disposition",
        "response-content-type",
    }


def test_only_our_distribution_reads_the_bucket_and_only_media_and_static_files():
    statements = Template(CLOUDFRONT).statements("BucketPolicy")
    ours = f"arn:aws:cloudfront::{ACCOUNT}:distribution/EDISTRIBUTION"

    def may_get(key: str, distribution: str) -> bool:
        resource = f"arn:aws:s3:::{BUCKET}/{key}"
        by = "cloudfront.amazonaws.com"
        return is_allowed(statements, "s3:GetObject", resource, by=by, aws_SourceArn=distribution)

    assert may_get("media/renditions/x", ours)
    assert may_get("static/site.css", ours)
    assert not may_get("else/x", ours)
    assert not may_get("media/renditions/x", f"{ours}0")
    assert not may_get("media/renditions/x", f"arn:aws:s3:::{BUCKET}")


def test_cloudfront_without_keys_and_a_domain_without_certificate_are_refused():
    rules = source()["Rules"]
    (keys,) = rules["CloudFrontChecksSignatures"]["Assertions"]
    assert keys["Assert"] == {
        "Fn::Not": [{"Fn::EachMemberEquals": [{"Ref": "CloudFrontKeyIds"}, ""]}]
    }
    (certificate,) = rules["DomainHasCertificate"]["Assertions"]
    assert certificate["Assert"] == {
        "Fn::Not": [{"Fn::Equals": [{"Ref": "CloudFrontCertificateArn"}, ""]}]
    }


# --- Policies ---


@pytest.mark.parametrize("parameters", VARIANTS)
def test_iam_takes_every_policy(parameters):
    """No statement's name twice, and 6,144 characters: IAM User Guide, quotas."""
    for name, statements in Template(parameters).policies().items():
        names = [one["Sid"] for one in statements]
        assert len(names) == len(set(names)), name
        assert len(json.dumps(statements, separators=(",", ":"))) < 6000, name


@pytest.mark.parametrize("parameters", VARIANTS)
def test_nobody_is_meant_whom_no_condition_names(parameters):
    for name, statements in Template(parameters).policies().items():
        for one in statements:
            if one["Effect"] == "Deny" or "Principal" not in one:
                continue
            assert one["Principal"] != "*", name
            if "Service" in one["Principal"]:
                wanted = one["Condition"]["ArnEquals"]["aws:SourceArn"]
                assert "*" not in wanted, name
            else:
                assert one["Principal"] == {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, name
