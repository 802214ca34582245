"""A whole AWS account for this installation, on moto, right in everything until a test breaks it.

What moto has not is stood in for: MediaConvert's queue, the simulation of policies, a topic's
signature version, preflights, and a look at the signature of links (the first one that is seen for
a key counts as genuine).
"""

from __future__ import annotations

import base64
import io
import itertools
import json
import re
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs, unquote

import boto3
from botocore.config import Config
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.moto_server import MotoServer

REGION = "eu-west-1"
ACCOUNT = "123456789012"
ACCESS_KEY_ID = "AKIAEXAMPLEEXAMPLE01"
QUEUE = f"arn:aws:mediaconvert:{REGION}:{ACCOUNT}:queues/audio"
STATUSES = ["COMPLETE", "ERROR", "CANCELED", "PROGRESSING", "STATUS_UPDATE"]
_CORS = {
    "AllowedMethods": ["PUT"],
    "AllowedHeaders": ["*"],
    "ExposeHeaders": ["ETag"],
}
_numbers = itertools.count(1)


class AmazonServer(MotoServer):
    """moto with the rest; what ``mend`` sets is there to be broken."""

    def mend(self) -> None:
        self.clock_ahead = timedelta(0)
        self.forbidden: set[str] = set()
        self.unaccepted = False
        self.pending = False
        self.signature_version = "2"
        self.may_pass = True
        self.checks_signatures = True
        self.queue = {"name": "audio", "arn": QUEUE, "status": "ACTIVE"}
        self._links: dict[str, str] = {}

    def __enter__(self) -> AmazonServer:
        super().__enter__()
        self._clients: dict[str, Any] = {}
        account = self

        class Handler(self._server.RequestHandlerClass):
            def date_time_string(self, *_: Any) -> str:
                return format_datetime(datetime.now(UTC) + account.clock_ahead, usegmt=True)

        self._server.RequestHandlerClass = Handler
        return self

    def answer(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        started: list[Any] = []
        body = b"".join(self._answered(environ, lambda *answer: started.extend(answer)))
        if self.pending:
            body = body.replace(self.subscription.encode(), b"PendingConfirmation")
        if _is_topic(body):
            body = body.replace(b"</Attributes>", self._version() + b"</Attributes>")
        headers = [pair for pair in started[1] if pair[0].lower() != "content-length"]
        start(started[0], [*headers, ("Content-Length", str(len(body)))])
        return [body]

    def _answered(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length) if length else b""
        environ["wsgi.input"] = io.BytesIO(body)
        action = _action(environ, body)
        if action in self.forbidden:
            return _error(start, "403 Forbidden", "AccessDenied", action)
        if self.unaccepted and "HTTP_AUTHORIZATION" in environ:
            return _error(start, "403 Forbidden", "InvalidClientTokenId", action)
        if action == "GetQueue":
            return self._answer_queue(environ, start)
        if action == "SimulatePrincipalPolicy":
            return self._answer_simulation(start)
        if environ["REQUEST_METHOD"] == "OPTIONS":
            return self._answer_preflight(environ, start)
        if action == "Link" and self.checks_signatures and not self._is_genuine(environ):
            return _error(start, "403 Forbidden", "SignatureDoesNotMatch", action)
        return self._moto(environ, start)

    def _version(self) -> bytes:
        value = self.signature_version
        return f"<entry><key>SignatureVersion</key><value>{value}</value></entry>".encode()

    def _answer_queue(self, environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        name = environ["PATH_INFO"].rpartition("/")[2]
        if name != self.queue["name"]:
            return _error(start, "404 Not Found", "NotFoundException", "GetQueue")
        start("200 OK", [("Content-Type", "application/json")])
        return [json.dumps({"queue": self.queue}).encode()]

    def _answer_simulation(self, start: Callable[..., Any]) -> list[bytes]:
        decision = "allowed" if self.may_pass else "implicitDeny"
        start("200 OK", [("Content-Type", "text/xml")])
        return [
            b"<SimulatePrincipalPolicyResponse><SimulatePrincipalPolicyResult><EvaluationResults>"
            b"<member><EvalActionName>any</EvalActionName><EvalDecision>%s</EvalDecision></member>"
            b"</EvaluationResults></SimulatePrincipalPolicyResult>"
            b"</SimulatePrincipalPolicyResponse>" % decision.encode()
        ]

    def _answer_preflight(self, environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        origin = environ["HTTP_ORIGIN"]
        bucket = environ["PATH_INFO"].split("/")[1]
        try:
            rules = self.client("s3").get_bucket_cors(Bucket=bucket)["CORSRules"]
        except self.client("s3").exceptions.ClientError:
            rules = []
        for rule in rules:
            if origin in rule["AllowedOrigins"] or "*" in rule["AllowedOrigins"]:
                allowed = "*" if "*" in rule["AllowedOrigins"] else origin
                methods = ", ".join(rule["AllowedMethods"])
                start(
                    "200 OK",
                    [
                        ("Access-Control-Allow-Origin", allowed),
                        ("Access-Control-Allow-Methods", methods),
                    ],
                )
                return [b""]
        return _error(start, "403 Forbidden", "AccessForbidden", "Preflight")

    def _is_genuine(self, environ: dict[str, Any]) -> bool:
        signature = parse_qs(environ["QUERY_STRING"])["X-Amz-Signature"][0]
        return self._links.setdefault(environ["PATH_INFO"], signature) == signature

    # --- the account --------------------------------------------------------------------------

    def client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = boto3.client(
                service,
                region_name=REGION,
                endpoint_url=self.url,
                aws_access_key_id=ACCESS_KEY_ID,
                aws_secret_access_key="anything",  # moto looks at no signature
                config=Config(s3={"addressing_style": "path"}),
            )
        return self._clients[service]

    def furnish(self, site_url: str) -> None:
        """Make bucket, topic, subscription, rule and role, all as they should be."""
        number = next(_numbers)
        self.mend()
        self.site_url = site_url
        self._make_bucket(f"audio-{number}")
        sns, events = self.client("sns"), self.client("events")
        self.rule = f"audio-{number}"
        self.topic = sns.create_topic(Name=f"audio-{number}")["TopicArn"]
        self.rule_arn = self.put_rule()
        target = [{"Id": "topic", "Arn": self.topic}]
        events.put_targets(Rule=self.rule, Targets=target)
        self.allow_publishing("events.amazonaws.com", self.rule_arn)
        self.tell_of_new_objects(TopicArn=self.topic)
        self.subscribe(f"{site_url}/transcode-complete/")
        self.role = f"audio-{number}"
        self.role_arn = f"arn:aws:iam::{ACCOUNT}:role/{self.role}"
        trust = _statement("sts:AssumeRole", "mediaconvert.amazonaws.com", QUEUE)
        self.client("iam").create_role(
            RoleName=self.role, AssumeRolePolicyDocument=json.dumps(trust)
        )

    def _make_bucket(self, name: str) -> None:
        s3 = self.client("s3")
        self.bucket = name
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        names = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy")
        blocks = dict.fromkeys((*names, "RestrictPublicBuckets"), True)
        s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=blocks)
        self.allow_uploads(self.site_url)
        rule = {"ID": "stale", "Status": "Enabled", "Filter": {"Prefix": ""}}
        rule["AbortIncompleteMultipartUpload"] = {"DaysAfterInitiation": 2}
        s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": [rule]})

    def presigned(self, url: str, key: str) -> str:
        """Return a link at another address of this server."""
        s3 = boto3.client(
            "s3",
            region_name=REGION,
            endpoint_url=url,
            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
        )
        params = {"Bucket": self.bucket, "Key": key}
        return s3.generate_presigned_url("get_object", Params=params)

    def allow_uploads(self, origin: str, **changes: Any) -> None:
        rules = {"CORSRules": [{"AllowedOrigins": [origin], **_CORS, **changes}]}
        self.client("s3").put_bucket_cors(Bucket=self.bucket, CORSConfiguration=rules)

    def set_topic(self, **attributes: str) -> None:
        for name, value in attributes.items():
            self.client("sns").set_topic_attributes(
                TopicArn=self.topic, AttributeName=name, AttributeValue=value
            )

    def allow_publishing(self, service: str, source: str) -> None:
        """Let a service publish to the topic, and the bucket."""
        policy = _statement("sns:Publish", service, source)
        policy["Statement"].append(self.bucket_may_publish())
        for statement in policy["Statement"]:
            statement["Resource"] = self.topic
        self.set_topic(Policy=json.dumps(policy))

    def bucket_may_publish(self) -> dict[str, Any]:
        source = f"arn:aws:s3:::{self.bucket}"
        return _statement("sns:Publish", "s3.amazonaws.com", source)["Statement"][0]

    def tell_of_new_objects(self, prefix: str = "media/intake/", **whom: str) -> None:
        """Let the bucket tell a topic (``TopicArn``) or a function (``LambdaFunctionArn``)."""
        rules = [{"Name": "prefix", "Value": prefix}]
        told = {"Events": ["s3:ObjectCreated:*"], "Filter": {"Key": {"FilterRules": rules}}, **whom}
        kind = "Topic" if "TopicArn" in whom else "LambdaFunction"
        self.client("s3").put_bucket_notification_configuration(
            Bucket=self.bucket,
            NotificationConfiguration={f"{kind}Configurations": [told]} if whom else {},
        )

    def subscribe(self, url: str) -> None:
        sns = self.client("sns")
        made = sns.subscribe(TopicArn=self.topic, Protocol=url.partition(":")[0], Endpoint=url)
        self.subscription = made["SubscriptionArn"]
        dead = f"arn:aws:sqs:{REGION}:{ACCOUNT}:dead"
        self.set_subscription("DeliveryPolicy", '{"healthyRetryPolicy": {"numRetries": 50}}')
        self.set_subscription("RedrivePolicy", json.dumps({"deadLetterTargetArn": dead}))

    def set_subscription(self, name: str, value: str) -> None:
        self.client("sns").set_subscription_attributes(
            SubscriptionArn=self.subscription, AttributeName=name, AttributeValue=value
        )

    def unsubscribe(self) -> None:
        self.client("sns").unsubscribe(SubscriptionArn=self.subscription)

    def put_rule(self, *, state: str = "ENABLED", **detail: Any) -> str:
        pattern = {
            "source": ["aws.mediaconvert"],
            "detail-type": ["MediaConvert Job State Change"],
            "detail": {"queue": [QUEUE], "status": STATUSES, **detail},
        }
        made = self.client("events").put_rule(
            Name=self.rule, EventPattern=json.dumps(pattern), State=state
        )
        return made["RuleArn"]


class Distribution(MotoServer):
    """CloudFront before the bucket of ``account``, at ``url``; what is set first can be broken.

    Source: CloudFront Developer Guide, "Create a signed URL using a canned policy".
    """

    def __init__(self, account: AmazonServer) -> None:
        self.account = account
        self.key_id = "K2JCJMDEHXQW5F"
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.reads_the_bucket = self.asks_for_signatures = self.passes_on_names = True

    def __enter__(self) -> Distribution:
        super().__enter__()
        self.url = self.url.replace("127.0.0.1", "localhost")  # another host than the bucket's
        return self

    @property
    def private_pem(self) -> str:
        encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        return self.key.private_bytes(encoding, form, serialization.NoEncryption()).decode()

    def answer(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        key = environ["PATH_INFO"].removeprefix("/")
        is_signed = key.startswith("static/") or self._is_signed(environ["RAW_URI"])
        if not self.reads_the_bucket or (self.asks_for_signatures and not is_signed):
            return _error(start, "403 Forbidden", "AccessDenied", "GET")
        asked = parse_qs(environ["QUERY_STRING"])
        names = {
            name: asked[f"response-content-{name.lower()}"][0]
            for name in ("Disposition", "Type")
            if self.passes_on_names and f"response-content-{name.lower()}" in asked
        }
        s3 = self.account.client("s3")
        try:
            found = s3.get_object(
                Bucket=self.account.bucket,
                Key=key,
                **{f"ResponseContent{name}": value for name, value in names.items()},
            )
        except s3.exceptions.NoSuchKey:
            return _error(start, "404 Not Found", "NoSuchKey", "GET")
        headers = [("Content-Type", found["ContentType"])]
        if "ContentDisposition" in found:
            headers.append(("Content-Disposition", found["ContentDisposition"]))
        start("200 OK", headers)
        return [found["Body"].read()]

    def _is_signed(self, target: str) -> bool:
        found = re.fullmatch(r"(.*)[?&]Expires=(\d+)&Signature=([^&]+)&Key-Pair-Id=([^&]+)", target)
        if found is None or found[4] != self.key_id or int(found[2]) < time.time():
            return False
        until = {"DateLessThan": {"AWS:EpochTime": int(found[2])}}
        statement = {"Resource": f"{self.url}{found[1]}", "Condition": until}
        policy = json.dumps({"Statement": [statement]}, separators=(",", ":")).encode()
        signature = base64.b64decode(found[3].translate(str.maketrans("-_~", "+=/")))
        try:
            self.key.public_key().verify(signature, policy, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303
        except InvalidSignature:
            return False
        return True


def _statement(action: str, service: str, source: str) -> dict[str, Any]:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": action,
        "Condition": {
            "ArnLike": {"aws:SourceArn": source},
            "StringEquals": {"aws:SourceAccount": ACCOUNT},
        },
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def _is_topic(body: bytes) -> bool:
    return b"<GetTopicAttributesResult>" in body


def _action(environ: dict[str, Any], body: bytes) -> str:
    if environ["PATH_INFO"].startswith("/2017-08-29/queues/"):
        return "GetQueue"
    if target := environ.get("HTTP_X_AMZ_TARGET"):
        return target.rpartition(".")[2]
    if b"Action=" in body:
        return parse_qs(body.decode())["Action"][0]
    query = environ["QUERY_STRING"]
    if "X-Amz-Signature=" in query:
        return "Link"
    return f"{environ['REQUEST_METHOD']} {unquote(query).partition('=')[0]}".strip()


def _error(start: Callable[..., Any], status: str, code: str, action: str) -> list[bytes]:
    if action == "GetQueue" or action.startswith(("DescribeRule", "ListRule", "ListTargets")):
        start(status, [("Content-Type", "application/json"), ("x-amzn-ErrorType", code)])
        return [json.dumps({"__type": code, "message": "no"}).encode()]
    error = f"<Error><Code>{code}</Code><Message>no</Message></Error>"
    is_query = action[:1].isupper() and " " not in action and action not in ("GET", "PUT", "Link")
    text = f"<ErrorResponse>{error}</ErrorResponse>" if is_query else error
    start(status, [("Content-Type", "application/xml")])
    return [text.encode()]
