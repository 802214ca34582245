"""The commands of the README, with the real AWS command line against moto's CloudFormation.

moto makes no bucket policy, CORS rules, lifecycle, topic policy, subscription, queue policy,
alarm, MediaConvert queue, CloudFront or destination of a function; those are in test_template.
"""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import shutil
import subprocess
import zipfile
from collections.abc import Iterator

import boto3
import pytest
from moto.cloudformation import parsing
from moto.moto_api._internal import moto_api_backend

from deploy.aws.tests.template import BUCKET, SITE
from tests.clients.clients import AWS, installed
from tests.moto_server import MotoServer

README = (SITE.parent / "README.md").read_text()
IGNORED = shutil.ignore_patterns("__pycache__")


@pytest.fixture
def amazon(monkeypatch) -> Iterator[MotoServer]:
    # moto leaves a None in a list where AWS::NoValue takes the element out of it.
    clean = parsing.clean_json

    def clean_json(value, resources):
        if isinstance(value, list):
            found = (clean_json(each, resources) for each in value)
            return [each for each in found if each is not None]
        return clean(value, resources)

    monkeypatch.setattr(parsing, "clean_json", clean_json)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing-secret")
    with MotoServer() as server:
        yield server
        # One Amazon for the whole process; and it cannot delete a stack whose roles have policies.
        moto_api_backend.reset()


@pytest.fixture
def run(amazon, tmp_path):
    """Run one command of the README in a copy of the project; return what it prints."""
    folder = tmp_path / "deploy" / "aws"
    folder.mkdir(parents=True)
    shutil.copy(SITE, folder)
    shutil.copytree(SITE.parent / "lambda", folder / "lambda", ignore=IGNORED)

    def run(command: str) -> str:
        program = shlex.quote(str(installed(AWS)))
        done = subprocess.run(
            ["/bin/sh", "-ec", re.sub(r"\baws (?=s3|cloudformation )", f"{program} ", command)],
            cwd=tmp_path,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(tmp_path),
                "AWS_ACCESS_KEY_ID": "testing",
                "AWS_SECRET_ACCESS_KEY": "testing-secret",
                "AWS_DEFAULT_REGION": "eu-west-1",
                "AWS_ENDPOINT_URL": amazon.url,
            },
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    yield run


def command(first_words: str) -> str:
    """Return the README's command that begins with these words."""
    blocks = re.findall(r"^```sh\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    (found,) = [block for block in blocks if block.startswith(first_words)]
    return found


@pytest.fixture
def client(amazon):
    return lambda service: boto3.client(service, endpoint_url=amazon.url, region_name="eu-west-1")


pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse AWS.*not supported by moto")


def test_one_command_deploys(run, client):
    run(command("aws cloudformation deploy"))
    bucket = client("s3").get_bucket_encryption(Bucket=BUCKET)
    (rule,) = bucket["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    pattern = client("events").describe_rule(Name="audio-mediaconvert")["EventPattern"]
    (queue,) = json.loads(pattern)["detail"]["queue"]
    assert queue.endswith(":queues/audio")
    (target,) = client("events").list_targets_by_rule(Rule="audio-mediaconvert")["Targets"]
    assert target["Arn"].endswith(":audio-events")
    iam = client("iam")
    (role,) = (
        one["RoleName"] for one in iam.list_roles()["Roles"] if "SiteRole" in one["RoleName"]
    )
    attached = iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    assert len(attached) == 3  # web, worker, doctor


def test_the_outputs_become_lines_of_env(run, client, tmp_path):
    # moto forgets the outputs of what `deploy` made; the same template in one call keeps them.
    words = shlex.split(command("aws cloudformation deploy"))
    client("cloudformation").create_stack(
        StackName="audio",
        TemplateBody=SITE.read_text(),
        Capabilities=["CAPABILITY_IAM"],
        Parameters=[
            {"ParameterKey": name, "ParameterValue": value}
            for name, value in (word.split("=", 1) for word in words if "=" in word)
        ],
    )
    run(command("aws cloudformation describe-stacks"))
    lines = (tmp_path / ".env").read_text().splitlines()
    written = dict(line.split("=", 1) for line in lines)
    assert written["SITE_URL"] == "https://audio.example.org"
    assert written["AWS_REGION"] == "eu-west-1"
    assert written["AWS_STORAGE_BUCKET_NAME"] == BUCKET
    topic, own = written["SNS_TOPIC_ARN"].split(",")
    assert client("sns").get_topic_attributes(TopicArn=topic)
    assert own == "arn:aws:sns:eu-west-1:000000000000:transcode-complete"
    assert written["TRANSCODER_ENGINE"] == "mediaconvert"
    assert client("iam").get_role(RoleName=written["MEDIACONVERT_ROLE_ARN"].rpartition("/")[2])
    assert written["MEDIACONVERT_QUEUE_ARN"].endswith(":queues/audio")


def test_with_the_function_it_is_packaged_and_deployed(run, client):
    run("aws s3 mb s3://your-artefacts")
    run(command("aws cloudformation package"))
    function = client("lambda").get_function(FunctionName="audio-intake")["Configuration"]
    assert (function["Runtime"], function["Handler"]) == ("python3.13", "transcode.lambda_handler")
    policy = json.loads(client("lambda").get_policy(FunctionName="audio-intake")["Policy"])
    (statement,) = policy["Statement"]
    assert statement["Condition"]["ArnLike"]["AWS:SourceArn"] == f"arn:aws:s3:::{BUCKET}"
    (log,) = client("logs").describe_log_groups(logGroupNamePrefix="/aws/lambda/audio-intake")[
        "logGroups"
    ]
    assert log["retentionInDays"] == 30
    # What Lambda gets is the handler and nothing else, as it stands here.
    (packed,) = client("s3").list_objects_v2(Bucket="your-artefacts")["Contents"]
    body = client("s3").get_object(Bucket="your-artefacts", Key=packed["Key"])["Body"].read()
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert archive.namelist() == ["transcode.py"]
        assert (
            archive.read("transcode.py") == (SITE.parent / "lambda" / "transcode.py").read_bytes()
        )
