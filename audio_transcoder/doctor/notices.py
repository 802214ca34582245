"""Looks at the way of a notice: rule, topic, subscription, our webhook."""

from __future__ import annotations

import ipaddress
import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from audio_transcoder.doctor import amazon, storage, where
from audio_transcoder.doctor.amazon import ask
from audio_transcoder.doctor.engine import topics_of_the_pipeline
from audio_transcoder.doctor.looks import Answer, fine, look, warning, worst, wrong
from audio_transcoder.keys import bucket_key
from buckets import s3
from sns import arn, deliver, keys, wire

PATH = "/transcode-complete/"
EVENTS = "events.amazonaws.com"
# Of a MediaConvert job: without the first a job ends and nobody hears of it.
FINAL_STATUSES = {"COMPLETE", "ERROR", "CANCELED"}
OTHER_STATUSES = {"PROGRESSING", "STATUS_UPDATE"}
_TIMEOUT_S = 8.0


def webhook_url() -> str:
    return f"{settings.SITE_URL}{PATH}"


# --- Our own topics ---------------------------------------------------------------------------


@look("signing key", applies=where.with_own_topics)
def notices_can_be_signed() -> Answer:
    """What is missing is made, as by every process that comes first."""
    try:
        keys.ensure(settings.SNS_KEY_FILE, settings.SNS_CERTIFICATE_FILE)
    except (ValueError, OSError) as error:
        return wrong(
            f"Notices cannot be signed or checked: {error}.",
            "Remove sns.key.pem and sns.cert.pem from DATA_DIR; a new pair is made.",
        )
    return fine("Key and certificate of our own topics belong together.")


@look("own notices", applies=where.with_own_topics)
def own_notices_arrive() -> Answer:
    ours = {f"{url}{PATH}" for url in (settings.SITE_URL, settings.LOCAL_URL)}
    urls = [
        url
        for topic in settings.SNS_TOPIC_ARN
        for url in settings.TRANSCODER_TOPICS.get(topic, [])
        if url in ours
    ]
    if not urls:
        return wrong(
            "No topic of TRANSCODER_TOPICS posts to this site.",
            f"Add {settings.LOCAL_URL}{PATH} to the topic's URLs. Until then finished jobs show up "
            "minutes late.",
        )
    return worst(_answers(url) for url in urls)


def _answers(url: str) -> Answer:
    """Ask with GET, which the webhook refuses with 405 and which does nothing."""
    shown = deliver.shown(url)
    try:
        reply = wire.exchange("GET", url, timeout_s=_TIMEOUT_S, answer_bytes=1024)
    except (wire.NoAnswer, ValueError) as error:
        return wrong(
            f"{shown} does not answer: {error}.",
            "Start the web server; look at SITE_URL, LOCAL_URL, the proxy and the firewall.",
        )
    if reply.status == 405:
        return fine(f"{shown} answers.")
    if 300 <= reply.status < 400:
        return wrong(
            f"{shown} redirects ({reply.status}), and SNS follows no redirect.",
            "Set SITE_URL to the address that answers itself, with its https://.",
        )
    hints = {
        400: "Add the host to ALLOWED_HOSTS, or correct SITE_URL.",
        404: "Another site answers there: correct SITE_URL, or the proxy's path.",
    }
    return wrong(
        f"{shown} answers {reply.status} where our webhook would say 405.",
        hints.get(reply.status, "Look at what stands between: proxy, firewall, sign-in pages."),
    )


# --- Topics of Amazon SNS ---------------------------------------------------------------------


@look("webhook", applies=where.with_amazons_topics)
def webhook_is_reachable() -> Answer:
    host = urlsplit(settings.SITE_URL).hostname or ""
    regions = {arn.parse(topic).region for topic in where.amazons_topics() if arn.parse(topic)}
    is_real = any(amazon.is_amazons(_sns(region).meta.endpoint_url) for region in regions)
    if is_real and _is_private(host):
        return wrong(
            f"SITE_URL is {settings.SITE_URL}, which Amazon cannot reach.",
            "Set SITE_URL to the public address of this site, or of a tunnel that leads here.",
        )
    return _answers(webhook_url())


def _is_private(host: str) -> bool:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return False  # the request itself says so better
    return not any(ipaddress.ip_address(each[4][0]).is_global for each in found)


def _sns(region: str) -> Any:
    return amazon.client("sns", region)


def _attributes(topic: str) -> dict[str, str]:
    sns = _sns(arn.parse(topic).region)
    call = sns.get_topic_attributes
    return ask("sns:GetTopicAttributes", call, TopicArn=topic).get("Attributes", {})


@look("topic", applies=where.with_amazons_topics, needs=("credentials",))
def topics_are_there() -> Answer:
    return worst(_topic_is_there(topic) for topic in where.amazons_topics())


def _topic_is_there(topic: str) -> Answer:
    if arn.parse(topic) is None:
        return wrong(f"{topic!r} is no ARN of a topic.", "Correct SNS_TOPIC_ARN.")
    try:
        _attributes(topic)
    except amazon.Missing:
        return wrong(
            f"There is no topic {topic}.",
            "Create it (sns:CreateTopic), or correct SNS_TOPIC_ARN: region, account, name.",
        )
    return fine(f"{topic} is there.")


@look("signature version", applies=where.with_amazons_topics, needs=("topic",))
def signatures_are_accepted() -> Answer:
    return worst(_signature_is_accepted(topic) for topic in where.amazons_topics())


def _signature_is_accepted(topic: str) -> Answer:
    version = _attributes(topic).get("SignatureVersion", "1")
    hint = f"Set the topic's attribute SignatureVersion to 2 (sns:SetTopicAttributes) for {topic}."
    if version not in settings.SNS_SIGNATURE_VERSIONS:
        accepted = ",".join(settings.SNS_SIGNATURE_VERSIONS)
        return wrong(
            f"The topic signs with version {version}, SNS_SIGNATURE_VERSIONS is {accepted}: every "
            "notice is refused.",
            hint,
        )
    if version == "1":
        return warning("The topic signs with SHA-1 (version 1).", hint)
    return fine(f"The topic signs with version {version}.")


@look("subscription", applies=where.with_amazons_topics, needs=("topic",))
def we_are_subscribed() -> Answer:
    return worst(_is_subscribed(topic) for topic in where.amazons_topics())


def _is_subscribed(topic: str) -> Answer:
    found = list(_subscriptions(topic))
    ours = [each for each in found if each["Endpoint"] == webhook_url()]
    confirmed = [each for each in ours if each["SubscriptionArn"].startswith("arn:")]
    subscribe = f"Subscribe {webhook_url()} to {topic} (sns:Subscribe)"
    if not ours:
        others = sorted(
            deliver.shown(each["Endpoint"]) for each in found if each["Protocol"] in _HTTP
        )
        text = f"{webhook_url()} is not subscribed to {topic}"
        if others:
            return wrong(
                f"{text}; {', '.join(others)} is.",
                f"{subscribe}, or set SITE_URL to the address that is subscribed.",
            )
        return wrong(f"{text}.", f"{subscribe}.")
    if not confirmed:
        return wrong(
            f"The subscription of {webhook_url()} waits to be confirmed.",
            "Have the site run and reach sns:ConfirmSubscription, then subscribe once more "
            "(sns:Subscribe): a confirmation comes again and is answered by itself.",
        )
    return _is_as_it_should_be(topic, confirmed[0]["SubscriptionArn"])


_HTTP = ("http", "https")


def _subscriptions(topic: str) -> Iterator[dict[str, str]]:
    """Yield the topic's subscriptions. Source: ListSubscriptionsByTopic."""
    call = _sns(arn.parse(topic).region).list_subscriptions_by_topic
    more: dict[str, str] = {}
    while True:
        page = ask("sns:ListSubscriptionsByTopic", call, TopicArn=topic, **more)
        yield from page.get("Subscriptions", [])
        if not page.get("NextToken"):
            return
        more = {"NextToken": page["NextToken"]}


def _is_as_it_should_be(topic: str, subscription: str) -> Answer:
    """Source: GetSubscriptionAttributes."""
    call = _sns(arn.parse(topic).region).get_subscription_attributes
    answer = ask("sns:GetSubscriptionAttributes", call, SubscriptionArn=subscription)
    found = answer.get("Attributes", {})
    change = "(sns:SetSubscriptionAttributes)"
    if found.get("RawMessageDelivery", "false").lower() == "true":
        return wrong(
            "The subscription delivers raw messages, which carry no signature and are refused.",
            f"Set RawMessageDelivery to false {change}.",
        )
    if found.get("FilterPolicy"):
        return warning(
            "The subscription has a filter, which may hold notices back.",
            f"Take FilterPolicy away {change}; the rule chooses already.",
        )
    missing = [name for name in ("DeliveryPolicy", "RedrivePolicy") if not found.get(name)]
    if missing:
        return warning(
            f"The subscription is confirmed and has no {' and no '.join(missing)}: SNS gives up "
            "after a minute without an answer.",
            f"Set them {change}: repeats over an hour, and a queue for what was not accepted.",
        )
    return fine(f"{webhook_url()} is subscribed and confirmed.")


# --- From MediaConvert to the topic -----------------------------------------------------------


def _with_rule() -> str:
    return where.with_mediaconvert() or where.with_amazons_topics()


def _rules(topic: str) -> list[dict[str, Any]]:
    """Return the rules whose target is the topic. Source: ListRuleNamesByTarget, DescribeRule."""
    events = amazon.client("events", arn.parse(topic).region)
    names = ask("events:ListRuleNamesByTarget", events.list_rule_names_by_target, TargetArn=topic)
    return [
        ask("events:DescribeRule", events.describe_rule, Name=name) for name in names["RuleNames"]
    ]


@look("rule", applies=_with_rule, needs=("topic",))
def rule_tells_of_every_job() -> Answer:
    answers = [_rule_is_right(topic) for topic in where.amazons_topics()]
    # One topic with a good rule is enough.
    return next((answer for answer in answers if answer.state == "fine"), None) or worst(answers)


def _rule_is_right(topic: str) -> Answer:
    region = arn.parse(topic).region
    if region != settings.AWS_REGION:
        return wrong(
            f"Jobs run in {settings.AWS_REGION}, and a rule there reaches no topic in {region}.",
            "Have topic, rule and queue in AWS_REGION.",
        )
    found = [(rule, _pattern(rule)) for rule in _rules(topic)]
    of_jobs = [
        (rule, pattern)
        for rule, pattern in found
        if "aws.mediaconvert" in pattern.get("source", ["aws.mediaconvert"])
    ]
    if not of_jobs:
        return wrong(
            f"No EventBridge rule sends MediaConvert's events to {topic}.",
            "Create one (events:PutRule, events:PutTargets) for source aws.mediaconvert with the "
            "topic as its target.",
        )
    enabled = [(rule, pattern) for rule, pattern in of_jobs if rule.get("State") != "DISABLED"]
    if not enabled:
        return wrong(
            f"The rule {of_jobs[0][0]['Name']} is disabled.", "Enable it (events:EnableRule)."
        )
    return _says_enough(enabled)


def _pattern(rule: dict[str, Any]) -> dict[str, Any]:
    try:
        pattern = json.loads(rule.get("EventPattern") or "{}")
    except ValueError:
        return {}
    return pattern if isinstance(pattern, dict) else {}


def _says_enough(rules: list[tuple[dict[str, Any], dict[str, Any]]]) -> Answer:
    names = ", ".join(rule["Name"] for rule, _ in rules)
    queue = settings.MEDIACONVERT_QUEUE_ARN
    ours = [
        pattern.get("detail", {})
        for _, pattern in rules
        if not queue or queue in pattern.get("detail", {}).get("queue", [queue])
    ]
    if not ours:
        return wrong(
            f"The rule {names} listens to another queue than MEDIACONVERT_QUEUE_ARN.",
            f"Have detail.queue be {queue} (events:PutRule), character by character.",
        )
    named = [detail.get("userMetadata", {}).get("env") for detail in ours]
    env = settings.MEDIACONVERT_ENV
    if all(each is not None and env not in each for each in named):
        return wrong(
            f"The rule {names} listens to others: detail.userMetadata.env lacks {env}.",
            f"Add {env} there (events:PutRule), or correct MEDIACONVERT_ENV.",
        )
    every = FINAL_STATUSES | OTHER_STATUSES
    heard = set().union(*(detail.get("status", every) for detail in ours))
    unheard = sorted(FINAL_STATUSES - heard)
    hint = f"Have detail.status name {', '.join(sorted(every))} (events:PutRule)."
    if unheard:
        return wrong(f"The rule {names} does not tell of {', '.join(unheard)}.", hint)
    if OTHER_STATUSES - heard:
        return warning(f"The rule {names} tells nothing of progress.", hint)
    return fine(f"The rule {names} is enabled and tells of every status.")


@look("target", applies=_with_rule, needs=("rule",))
def event_travels_whole() -> Answer:
    """Source: ListTargetsByRule."""
    for topic in where.amazons_topics():
        events = amazon.client("events", arn.parse(topic).region)
        for rule in _rules(topic):
            name = rule["Name"]
            answer = ask("events:ListTargetsByRule", events.list_targets_by_rule, Rule=name)
            for target in answer["Targets"]:
                changed = {"Input", "InputPath", "InputTransformer"} & set(target)
                if target["Arn"] == topic and changed:
                    return wrong(
                        f"The rule {name} changes what it sends ({', '.join(sorted(changed))}).",
                        "Send the event as it is (events:PutTargets without it).",
                    )
    return fine("Events are sent as they are.")


@look("topic policy", applies=_with_rule, needs=("topic", "rule"))
def rule_may_publish() -> Answer:
    told = [(topic, rules) for topic in where.amazons_topics() if (rules := _rules(topic))]
    return worst(_rules_may_publish(topic, rules) for topic, rules in told)


def _rules_may_publish(topic: str, rules: list[dict[str, Any]]) -> Answer:
    text = _attributes(topic).get("Policy") or "{}"
    sources = [rule["Arn"] for rule in rules]
    account = arn.parse(topic).account
    if amazon.allows(
        json.loads(text), action="sns:Publish", service=EVENTS, sources=sources, account=account
    ):
        return fine("EventBridge may publish.")
    return wrong(
        f"The policy of {topic} does not let EventBridge publish for the rule "
        f"{', '.join(rule['Name'] for rule in rules)}.",
        f"Allow sns:Publish to the service {EVENTS}, with aws:SourceArn the rule's ARN "
        "(sns:SetTopicAttributes, Policy).",
    )


# --- From the bucket to the topic -------------------------------------------------------------


@look("intake", applies=where.on_s3_with_web_app, needs=("bucket", "topic"))
def bucket_tells_of_new_objects() -> Answer:
    """What nobody tells of, a look finds. Source: S3 GetBucketNotificationConfiguration."""
    # Its models are the web app's, which not every installation has.
    from audio_transcoder.uploads.intake import LOOK_ON_S3

    told = storage.optional(
        "s3:GetBucketNotification", s3.client().get_bucket_notification_configuration, set()
    )
    topics = {one["TopicArn"] for one in _of_dropped(told.get("TopicConfigurations", []))}
    ours = topics & set(where.amazons_topics())
    if ours:
        return worst(_bucket_may_publish(topic) for topic in sorted(ours))
    for one in _of_dropped(told.get("LambdaFunctionConfigurations", [])):
        return fine(f"{one['LambdaFunctionArn']} is told of new objects.")
    found = f"New ones are found by a look every {LOOK_ON_S3.total_seconds() / 60:g} minutes."
    if topics:
        return warning(
            f"The bucket tells {', '.join(sorted(topics))} of dropped objects, and we do not "
            f"listen there. {found}",
            "Add the topic to SNS_TOPIC_ARN.",
        )
    return warning(
        f"The bucket tells nobody of objects dropped below {_dropped()}. {found}",
        "Have it send s3:ObjectCreated:* to a topic of SNS_TOPIC_ARN, or to the function in "
        "deploy/aws/lambda (s3:PutBucketNotification).",
    )


def _dropped() -> str:
    return bucket_key("intake/")


def _of_dropped(configurations: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield those that take in every object that is dropped."""
    for one in configurations:
        rules = one.get("Filter", {}).get("Key", {}).get("FilterRules", [])
        limits = {rule["Name"].lower(): rule.get("Value", "") for rule in rules}
        is_whole = _dropped().startswith(limits.get("prefix", "")) and not limits.get("suffix")
        if is_whole and "s3:ObjectCreated:*" in one["Events"]:
            yield one


def _bucket_may_publish(topic: str) -> Answer:
    if amazon.allows(
        json.loads(_attributes(topic).get("Policy") or "{}"),
        action="sns:Publish",
        service="s3.amazonaws.com",
        sources=[f"arn:aws:s3:::{settings.MEDIA_BUCKET}"],
        account=arn.parse(topic).account,
    ):
        return fine(f"The bucket tells {topic} of new objects.")
    return wrong(
        f"The policy of {topic} does not let the bucket publish.",
        "Allow sns:Publish to the service s3.amazonaws.com, with aws:SourceArn the bucket's ARN "
        "(sns:SetTopicAttributes, Policy).",
        stops=False,
    )


# --- From our own transcoder to the topic -----------------------------------------------------


def _with_own_publisher() -> str:
    return where.with_elastic() or where.with_own_transcoder() or where.with_amazons_topics()


@look("publishing", applies=_with_own_publisher, needs=("topic", "pipeline"))
def transcoder_may_publish() -> Answer:
    told = topics_of_the_pipeline() & set(where.amazons_topics())
    return worst(_transcoder_may_publish(topic) for topic in sorted(told))


def _transcoder_may_publish(topic: str) -> Answer:
    """Source: SNS GetTopicAttributes, IAM SimulatePrincipalPolicy."""
    who = amazon.caller()
    account = arn.parse(topic).account
    policy = json.loads(_attributes(topic).get("Policy") or "{}")
    is_ours = who.split(":")[4] == account
    if is_ours and amazon.opens_to_its_account(policy, "sns:Publish", account):
        return fine("Our transcoder may publish, as everybody of the account.")
    if not amazon.denied(who, [("sns:Publish", topic)]):
        return fine("Our transcoder may publish.")
    return wrong(
        f"{who} may not publish to {topic}: no notice of our transcoder gets there.",
        f"Allow it sns:Publish on {topic}.",
    )
