"""Who may do what in the AWS account, and why: the one list.

The policy statements of ``site.yaml`` are written from it (``python -m deploy.aws.write``), the
calls of our code are held against it by a test, and whoever tells people about permissions reads
it. So a new call of boto3 needs a line here, and nothing is allowed that is not here.
"""

from __future__ import annotations

from dataclasses import dataclass

# What a permission is for, as CloudFormation's Fn::Sub writes it. The keys are those of
# MEDIAFILES_LOCATION=media and STATICFILES_LOCATION=static.
_S3 = "arn:${AWS::Partition}:s3:::${BucketName}"
_HERE = "${AWS::Region}:${AWS::AccountId}"
RESOURCES = {
    "bucket": _S3,
    "media": f"{_S3}/media/*",
    "uploads": f"{_S3}/media/uploads/*",
    "renditions": f"{_S3}/media/renditions/*",
    "variants": f"{_S3}/media/variants/*",
    "check": f"{_S3}/media/check/*",
    "static": f"{_S3}/static/*",
    "topic": f"arn:${{AWS::Partition}}:sns:{_HERE}:${{Prefix}}-events",
    "alarms": f"arn:${{AWS::Partition}}:sns:{_HERE}:${{Prefix}}-alarms",
    "rule": f"arn:${{AWS::Partition}}:events:{_HERE}:rule/${{Prefix}}-mediaconvert",
    "alarm": f"arn:${{AWS::Partition}}:cloudwatch:{_HERE}:alarm:${{Prefix}}-undelivered",
    "undelivered": f"arn:${{AWS::Partition}}:sqs:{_HERE}:${{Prefix}}-undelivered",
    "queue": f"arn:${{AWS::Partition}}:mediaconvert:{_HERE}:queues/${{Prefix}}",
    "jobs": f"arn:${{AWS::Partition}}:mediaconvert:{_HERE}:jobs/*",
    "mediaconvert_role": "${MediaConvertRole.Arn}",
    "site_role": "${SiteRole.Arn}",
    "site_user": "${SiteUser.Arn}",
    "anything": "*",  # for actions that IAM cannot narrow
    "function": f"arn:${{AWS::Partition}}:lambda:{_HERE}:function:${{Prefix}}-intake",
    "function_log": (
        f"arn:${{AWS::Partition}}:logs:{_HERE}:log-group:/aws/lambda/${{Prefix}}-intake:*"
    ),
    "distribution": (
        "arn:${AWS::Partition}:cloudfront::${AWS::AccountId}:distribution/${Distribution}"
    ),
}

# Whoever runs under a policy of its own.
ROLES = {
    "web": "the processes that answer requests",
    "worker": "the processes that transcode and run the steps",
    "doctor": "manage.py doctor, which reads how all this is set up",
    "collectstatic": "manage.py collectstatic, with STATIC_ON_S3",
    "mediaconvert": "MediaConvert, while it does a job of ours",
    "intake": "the Lambda function that tells of objects dropped into the bucket",
}


@dataclass(frozen=True)
class Service:
    """A service of Amazon's that acts for ``source``, one of RESOURCES, and for nothing else.

    ``says_account``: it also says whose account the source is in. The ARN of a bucket does not.
    """

    principal: str
    source: str
    says_account: bool = True


SERVICES = {
    "the rule": Service("events.amazonaws.com", "rule"),
    "the bucket": Service("s3.amazonaws.com", "bucket"),
    "the topic": Service("sns.amazonaws.com", "topic", says_account=False),
    "the alarm": Service("cloudwatch.amazonaws.com", "alarm"),
    "the distribution": Service("cloudfront.amazonaws.com", "distribution", says_account=False),
}


@dataclass(frozen=True)
class Permission:
    """``who`` may do ``action`` on each of ``on``.

    ``who``: one of ROLES or SERVICES. ``action``: as IAM spells it. ``on``: names of RESOURCES.
    ``when``: a condition of the template without which there is no such permission.
    ``passed_to``: the one service to which a role may be passed.
    """

    who: str
    action: str
    on: tuple[str, ...]
    why: str
    when: str = ""
    passed_to: str = ""


MEDIACONVERT = "WithMediaConvert"
USER = "WithUser"
CLOUDFRONT = "WithCloudFront"
TOPIC_INTAKE = "WithTopicIntake"
LAMBDA_INTAKE = "WithLambdaIntake"

PERMISSIONS = (
    # --- web ---
    Permission("web", "s3:PutObject", ("uploads",), "signs, ends and itself stores uploads"),
    Permission("web", "s3:AbortMultipartUpload", ("uploads",), "drops an upload given up"),
    Permission("web", "s3:ListMultipartUploadParts", ("uploads",), "resumes an upload"),
    Permission("web", "s3:PutObject", ("variants",), "keeps the sizes of covers that it drew"),
    Permission("web", "s3:GetObject", ("media",), "signs the links of players and downloads"),
    Permission("web", "s3:GetObject", ("static",), "reads the names of static files", CLOUDFRONT),
    Permission("web", "s3:PutObject", ("check",), "/health/ begins an upload, to see if it may"),
    Permission("web", "s3:AbortMultipartUpload", ("check",), "/health/ drops that upload"),
    Permission("web", "s3:ListBucket", ("bucket",), "without it S3 calls a missing object denied"),
    Permission("web", "sns:ConfirmSubscription", ("topic",), "the webhook confirms itself"),
    Permission("web", "sns:Publish", ("topic",), "TestRole of our own transcoder tries its topics"),
    # --- worker ---
    Permission("worker", "s3:GetObject", ("media",), "reads sources, compares results"),
    Permission("worker", "s3:PutObject", ("media",), "stores results, takes in what was dropped"),
    Permission("worker", "s3:DeleteObject", ("media",), "a deleted file's objects go too"),
    Permission("worker", "s3:DeleteObjectVersion", ("media",), "and their earlier versions"),
    Permission("worker", "s3:AbortMultipartUpload", ("media",), "sweeps uploads never finished"),
    Permission("worker", "s3:ListMultipartUploadParts", ("media",), "counts what those hold"),
    Permission("worker", "s3:ListBucket", ("bucket",), "finds what a prefix holds"),
    Permission("worker", "s3:ListBucketVersions", ("bucket",), "finds earlier versions"),
    Permission("worker", "s3:ListBucketMultipartUploads", ("bucket",), "finds open uploads"),
    Permission("worker", "sns:Publish", ("topic",), "our own transcoder's notices, if sent by SNS"),
    Permission("worker", "mediaconvert:CreateJob", ("queue",), "places jobs", MEDIACONVERT),
    Permission("worker", "mediaconvert:ListJobs", ("queue",), "finds a lost job", MEDIACONVERT),
    Permission("worker", "mediaconvert:GetJob", ("jobs",), "asks how a job is", MEDIACONVERT),
    Permission("worker", "mediaconvert:CancelJob", ("jobs",), "cancels a job", MEDIACONVERT),
    Permission(
        "worker",
        "iam:PassRole",
        ("mediaconvert_role",),
        "MediaConvert works under that role",
        MEDIACONVERT,
        passed_to="mediaconvert.amazonaws.com",
    ),
    # --- doctor ---
    Permission("doctor", "s3:PutObject", ("check",), "can we store an object?"),
    Permission("doctor", "s3:GetObject", ("check",), "does it come back, by links too?"),
    Permission("doctor", "s3:DeleteObject", ("check",), "and it leaves nothing behind"),
    Permission("doctor", "s3:GetObject", ("static",), "are static files there?", CLOUDFRONT),
    Permission("doctor", "s3:ListBucket", ("bucket",), "is the bucket there?"),
    Permission("doctor", "s3:GetBucketPublicAccessBlock", ("bucket",), "is it private?"),
    Permission("doctor", "s3:GetBucketPolicyStatus", ("bucket",), "does its policy keep it so?"),
    Permission("doctor", "s3:GetBucketAcl", ("bucket",), "has it an access list of old?"),
    Permission("doctor", "s3:GetBucketCORS", ("bucket",), "may pages of our site upload?"),
    Permission("doctor", "s3:GetLifecycleConfiguration", ("bucket",), "do open uploads end?"),
    Permission("doctor", "s3:GetBucketNotification", ("bucket",), "who tells of dropped objects?"),
    Permission("doctor", "sns:GetTopicAttributes", ("topic",), "its policy, signature version"),
    Permission("doctor", "sns:ListSubscriptionsByTopic", ("topic",), "does it point to our site?"),
    Permission("doctor", "sns:GetSubscriptionAttributes", ("topic",), "is it confirmed?"),
    Permission("doctor", "events:ListRuleNamesByTarget", ("anything",), "whose rule tells us?"),
    Permission(
        "doctor", "events:DescribeRule", ("rule",), "is it on, does it match?", MEDIACONVERT
    ),
    Permission("doctor", "events:ListTargetsByRule", ("rule",), "whom it tells", MEDIACONVERT),
    Permission("doctor", "mediaconvert:GetQueue", ("queue",), "is it active?", MEDIACONVERT),
    Permission("doctor", "iam:GetRole", ("mediaconvert_role",), "whom it trusts", MEDIACONVERT),
    Permission(
        "doctor",
        "iam:SimulatePrincipalPolicy",
        ("mediaconvert_role",),
        "may it read uploads and write renditions?",
        MEDIACONVERT,
    ),
    Permission("doctor", "iam:SimulatePrincipalPolicy", ("site_role",), "may we pass that role?"),
    Permission(
        "doctor",
        "iam:SimulatePrincipalPolicy",
        ("site_user",),
        "the same, outside of AWS",
        USER,
    ),
    # --- collectstatic ---
    Permission("collectstatic", "s3:GetObject", ("static",), "compares with what is there"),
    Permission("collectstatic", "s3:PutObject", ("static",), "stores styles, scripts, pictures"),
    Permission("collectstatic", "s3:DeleteObject", ("static",), "replaces what has changed"),
    Permission("collectstatic", "s3:ListBucket", ("bucket",), "a missing file is not a denied one"),
    # --- mediaconvert ---
    Permission("mediaconvert", "s3:GetObject", ("uploads",), "reads the source"),
    Permission("mediaconvert", "s3:PutObject", ("renditions",), "writes the results"),
    Permission("mediaconvert", "s3:AbortMultipartUpload", ("renditions",), "takes back a part"),
    # --- intake ---
    Permission("intake", "sns:Publish", ("topic",), "tells the site of new objects"),
    Permission("intake", "sqs:SendMessage", ("undelivered",), "keeps events that it failed on"),
    Permission("intake", "logs:CreateLogStream", ("function_log",), "opens a log"),
    Permission("intake", "logs:PutLogEvents", ("function_log",), "writes it"),
    # --- services ---
    Permission("the rule", "sns:Publish", ("topic",), "states of jobs", MEDIACONVERT),
    Permission("the bucket", "sns:Publish", ("topic",), "objects dropped in", TOPIC_INTAKE),
    Permission("the topic", "sqs:SendMessage", ("undelivered",), "what the site never accepted"),
    Permission("the rule", "sqs:SendMessage", ("undelivered",), "lost events", MEDIACONVERT),
    Permission("the bucket", "lambda:InvokeFunction", ("function",), "intake", LAMBDA_INTAKE),
    Permission("the distribution", "s3:GetObject", ("media", "static"), "serves", CLOUDFRONT),
    Permission("the alarm", "sns:Publish", ("alarms",), "mail to whoever looks after it"),
)

# What each call of boto3 needs, as "service.method". Sources: Service Authorization Reference;
# Amazon S3 User Guide, "Required permissions for Amazon S3 API operations" and "Multipart upload
# API and permissions". An empty tuple: the call needs none.
ACTIONS_OF_CALLS = {
    "s3.abort_multipart_upload": ("s3:AbortMultipartUpload",),
    "s3.complete_multipart_upload": ("s3:PutObject",),
    "s3.copy_object": ("s3:GetObject", "s3:PutObject"),
    "s3.create_multipart_upload": ("s3:PutObject",),
    "s3.delete_object": ("s3:DeleteObject",),
    "s3.delete_objects": ("s3:DeleteObject",),
    "s3.get_bucket_acl": ("s3:GetBucketAcl",),
    "s3.get_bucket_cors": ("s3:GetBucketCORS",),
    "s3.get_bucket_lifecycle_configuration": ("s3:GetLifecycleConfiguration",),
    "s3.get_bucket_notification_configuration": ("s3:GetBucketNotification",),
    "s3.get_bucket_policy_status": ("s3:GetBucketPolicyStatus",),
    "s3.get_object": ("s3:GetObject",),
    "s3.get_public_access_block": ("s3:GetBucketPublicAccessBlock",),
    "s3.head_bucket": ("s3:ListBucket",),
    # ListBucket: else what is not there is answered with 403.
    "s3.head_object": ("s3:GetObject", "s3:ListBucket"),
    "s3.list_multipart_uploads": ("s3:ListBucketMultipartUploads",),
    # Whoever looks for versions is to delete them, by a member of DeleteObjects.
    "s3.list_object_versions": ("s3:ListBucketVersions", "s3:DeleteObjectVersion"),
    "s3.list_objects_v2": ("s3:ListBucket",),
    "s3.list_parts": ("s3:ListMultipartUploadParts",),
    "s3.put_object": ("s3:PutObject",),
    "s3.upload_part": ("s3:PutObject",),
    "s3.upload_part_copy": ("s3:GetObject", "s3:PutObject"),
    "sns.confirm_subscription": ("sns:ConfirmSubscription",),
    "sns.get_subscription_attributes": ("sns:GetSubscriptionAttributes",),
    "sns.get_topic_attributes": ("sns:GetTopicAttributes",),
    "sns.list_subscriptions_by_topic": ("sns:ListSubscriptionsByTopic",),
    "sns.publish": ("sns:Publish",),
    "events.describe_rule": ("events:DescribeRule",),
    "events.list_rule_names_by_target": ("events:ListRuleNamesByTarget",),
    "events.list_targets_by_rule": ("events:ListTargetsByRule",),
    "mediaconvert.cancel_job": ("mediaconvert:CancelJob",),
    "mediaconvert.create_job": ("mediaconvert:CreateJob", "iam:PassRole"),
    "mediaconvert.get_job": ("mediaconvert:GetJob",),
    "mediaconvert.get_queue": ("mediaconvert:GetQueue",),
    "mediaconvert.list_jobs": ("mediaconvert:ListJobs",),
    "iam.get_role": ("iam:GetRole",),
    "iam.simulate_principal_policy": ("iam:SimulatePrincipalPolicy",),
    "sts.get_caller_identity": (),
}


def granted_to(who: str) -> tuple[Permission, ...]:
    """Return what one of ROLES or SERVICES may do, in the order of the list."""
    return tuple(permission for permission in PERMISSIONS if permission.who == who)
