"""The list of permissions: right words, nothing more than needed, nothing missing."""

from __future__ import annotations

import ast
import functools
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import botocore.session
import cfnlint
import pytest
from botocore import xform_name

from deploy.aws.permissions import (
    ACTIONS_OF_CALLS,
    PERMISSIONS,
    RESOURCES,
    ROLES,
    SERVICES,
    granted_to,
)
from deploy.aws.tests.template import Template
from deploy.aws.tests.test_template import VARIANTS

ROOT = Path(__file__).resolve().parents[3]
# What cfn-lint knows of IAM: service -> actions, in small letters -> what they can be narrowed to.
IAM = json.loads(
    (Path(cfnlint.__file__).parent / "data" / "AdditionalSpecs" / "Policies.json").read_text()
)
# Services of Amazon's that we have the right to call at all.
CALLED = sorted({call.split(".")[0] for call in ACTIONS_OF_CALLS} | {"lambda", "logs", "sqs"})
# All but elastic_transcoder, which asks Amazon through buckets and sns alone: the names of its own
# API are those of MediaConvert's.
ROOMS = (
    "audio_transcoder",
    "buckets",
    "deploy",
    "images",
    "sandbox",
    "sns",
    "sound",
    "steps",
    "transcode_messages",
)

# Words of our own and of Django's that a client of boto3 has too.
OURS = {"create_user", "probe"}
# Presets are made in our own transcoder; MediaConvert has methods of these names.
OURS |= {"create_preset", "list_presets"}


@pytest.mark.parametrize("permission", PERMISSIONS, ids=lambda one: f"{one.who} {one.action}")
def test_each_permission_is_spelled_right_and_narrow(permission):
    assert permission.who in ROLES.keys() | SERVICES.keys()
    assert set(permission.on) <= RESOURCES.keys()
    assert permission.why
    service, _, action = permission.action.partition(":")
    known = IAM[service]["Actions"]
    assert action.lower() in known, f"IAM knows no {permission.action}"
    if "anything" in permission.on:
        assert not known[action.lower()].get("Resources"), "this can be narrowed"


def test_no_permission_is_listed_twice():
    seen = [(one.who, one.action, one.on) for one in PERMISSIONS]
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize("parameters", VARIANTS)
def test_the_template_allows_what_is_in_the_list_and_no_more(parameters):
    listed = {one.action for one in PERMISSIONS}
    # Looking after the topic is the account's own right; SNS gives it by default.
    owners = {"AccountManages"}
    template = Template(parameters)
    for name, statements in template.policies().items():
        for one in statements:
            if one["Effect"] == "Allow" and one.get("Sid") not in owners:
                assert set(one["Action"]) <= listed, name
    for name, resource in template.resources.items():
        if resource["Type"] == "AWS::Lambda::Permission":
            assert resource["Properties"]["Action"] in listed, name


def test_everything_in_the_list_is_in_the_template():
    allowed = defaultdict(set)
    for statements in Template(VARIANTS[-1]).policies().values():
        for one in statements:
            allowed[one["Effect"]] |= set(one["Action"]) if one["Effect"] == "Allow" else set()
    in_functions_own = {"lambda:InvokeFunction"}
    assert {one.action for one in PERMISSIONS} - allowed["Allow"] == in_functions_own


# --- Calls ---


@functools.cache
def methods() -> dict[str, set[str]]:
    """Return the methods of boto3's clients, each with the services that have it."""
    session = botocore.session.get_session()
    found = defaultdict(set)
    for service in CALLED:
        for operation in session.get_service_model(service).operation_names:
            found[xform_name(operation)].add(service)
    return found


def imports_boto3(path: Path) -> bool:
    return re.search(r"^ *(import|from) (boto3|botocore)\b", path.read_text(), re.M) is not None


def modules() -> Iterator[Path]:
    """Return the modules that know boto3, and those beside them: they are handed its clients."""
    paths = {path for room in ROOMS for path in (ROOT / room).rglob("*.py")}
    folders = {path.parent for path in paths if imports_boto3(path)}
    for folder in folders:
        if "tests" not in folder.parts:
            yield from folder.glob("*.py")


@functools.cache
def calls() -> dict[str, set[str]]:
    """Return the names of clients' methods in our code, each with the modules that have it.

    Methods that are called, handed on, or named in a text, as for a paginator.
    """
    known = methods()
    found = defaultdict(set)
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            name = node.attr if isinstance(node, ast.Attribute) else None
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                name = node.value
            if name in known and name not in OURS:
                found[name].add(str(path.relative_to(ROOT)))
    return found


def callers(module: str) -> set[str]:
    """Return whose rights a module has: the function its own, everything else the site's."""
    return {"intake"} if module.startswith("deploy/aws/lambda/") else {"web", "worker", "doctor"}


def test_every_call_of_boto3_has_its_permissions():
    services = methods()
    for name, where in calls().items():
        possible = [f"{service}.{name}" for service in sorted(services[name])]
        listed = [call for call in possible if call in ACTIONS_OF_CALLS]
        assert listed, f"{', '.join(sorted(where))}: {possible} is not in deploy/aws/permissions.py"
        needed = {action for call in listed for action in ACTIONS_OF_CALLS[call]}
        for module in where:
            granted = {one.action for one in PERMISSIONS if one.who in callers(module)}
            assert needed <= granted, f"{module}: {name} needs {needed - granted}"


def test_the_calls_that_we_know_of_are_found():
    """A walk that finds nothing would be content with everything."""
    found = calls()
    assert "buckets/s3.py" in found["head_object"]  # called
    assert "buckets/s3.py" in found["list_multipart_uploads"]  # named for a paginator
    assert "sns/deliver.py" in found["confirm_subscription"]  # inside a lambda


def test_each_call_of_the_table_exists():
    known = methods()
    for call in ACTIONS_OF_CALLS:
        service, name = call.split(".")
        assert service in known[name], call


def test_the_site_may_do_nothing_that_it_never_does():
    used = {
        action
        for name in calls()
        for service in methods()[name]
        for action in ACTIONS_OF_CALLS.get(f"{service}.{name}", ())
    }
    of_the_site = {one.action for one in PERMISSIONS if one.who in ("web", "worker", "doctor")}
    assert of_the_site - used == set()


# --- The doctor ---

# Of a transcoder of ours, and of whoever the credentials are: IAM knows no right to it.
NEEDS_NONE = {"elastictranscoder:ListPipelines", "sts:GetCallerIdentity"}


def test_the_doctor_names_the_permissions_that_it_is_granted():
    """Its texts say "Allow …" with the action that it gives to ``ask``."""
    named = set()
    for path in (ROOT / "audio_transcoder" / "doctor").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            function = node.func.attr if isinstance(node.func, ast.Attribute) else node.func
            function = function.id if isinstance(function, ast.Name) else function
            if function in ("ask", "optional") and isinstance(node.args[0], ast.Constant):
                named.add(node.args[0].value)
    assert len(named) > 15
    assert named - NEEDS_NONE <= {one.action for one in granted_to("doctor")}
