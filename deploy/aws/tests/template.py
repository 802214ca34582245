"""The template as CloudFormation understands it, for given parameters; and as IAM does its
policies."""

from __future__ import annotations

import fnmatch
import functools
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

SITE = Path(__file__).resolve().parent.parent / "site.yaml"
ACCOUNT, REGION, BUCKET = "111122223333", "eu-west-1", "audio-example-org"
PARAMETERS = {"SiteUrl": "https://audio.example.org", "BucketName": BUCKET}
_PSEUDO = {
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::AccountId": ACCOUNT,
    "AWS::StackName": "audio",
}
# What a Ref or GetAtt of a resource gives, where a test looks at it. Anything else: its own name.
_KNOWN = {
    "Topic": f"arn:aws:sns:{REGION}:{ACCOUNT}:audio-events",
    "Undelivered.Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:audio-undelivered",
    "Distribution": "EDISTRIBUTION",
    "Bucket": BUCKET,
}
_NOTHING = object()


class _Loader(yaml.SafeLoader):
    """Reads the short forms as the long ones."""


def _function(loader: _Loader, name: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    else:
        value = loader.construct_sequence(node, deep=True)
    if name == "GetAtt":
        value = value.split(".", 1)
    return {name if name in ("Ref", "Condition") else f"Fn::{name}": value}


_Loader.add_multi_constructor("!", _function)


@functools.cache
def source() -> dict[str, Any]:
    """Return the template as it stands, with CloudFormation's functions in their long form."""
    return yaml.load(SITE.read_text(), _Loader)  # noqa: S506 - a SafeLoader


@dataclass
class Template:
    """``resources`` and ``outputs`` that there are with ``parameters``, all functions resolved."""

    parameters: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._source = source()
        self._values = _PSEUDO | {
            name: one.get("Default") for name, one in self._source["Parameters"].items()
        }
        for name, value in (PARAMETERS | self.parameters).items():
            assert name in self._source["Parameters"], name
            self._values[name] = value
        for name, one in self._source["Parameters"].items():
            if one["Type"] == "CommaDelimitedList":
                self._values[name] = self._values[name].split(",")
        self._conditions = {
            name: self._resolve(condition) for name, condition in self._source["Conditions"].items()
        }
        self.resources = self._there("Resources")
        self.outputs = {one["Description"]: one["Value"] for one in self._there("Outputs").values()}

    def properties(self, name: str) -> dict[str, Any]:
        return self.resources[name]["Properties"]

    def statements(self, name: str) -> list[dict[str, Any]]:
        """Return the statements of a policy, or of a role's only one."""
        properties = self.properties(name)
        policy = properties if "PolicyDocument" in properties else properties["Policies"][0]
        return policy["PolicyDocument"]["Statement"]

    def policies(self) -> dict[str, list[dict[str, Any]]]:
        """Return the statements of every policy, by the name of its resource."""
        return {
            name: self.statements(name)
            for name, one in self.resources.items()
            if {"PolicyDocument", "Policies"} & set(one.get("Properties", {}))
        }

    def _there(self, section: str) -> dict[str, Any]:
        return {
            name: self._resolve({key: value for key, value in one.items() if key != "Condition"})
            for name, one in self._source[section].items()
            if "Condition" not in one or self._conditions[one["Condition"]]
        }

    def _resolve(self, value: Any) -> Any:
        if isinstance(value, list):
            found = (self._resolve(each) for each in value)
            return [each for each in found if each is not _NOTHING]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            (name, argument), *_ = value.items()
            if name == "Ref" or name.startswith("Fn::"):
                return self._call(name, argument)
        found = {key: self._resolve(each) for key, each in value.items()}
        return {key: each for key, each in found.items() if each is not _NOTHING}

    def _call(self, name: str, argument: Any) -> Any:
        match name:
            case "Ref":
                return self._ref(argument)
            case "Fn::GetAtt":
                return _KNOWN.get(".".join(argument), ".".join(argument))
            case "Fn::Sub":
                return re.sub(r"\$\{([^}]+)\}", lambda match: self._ref(match[1]), argument)
            case "Fn::If":
                condition, then, otherwise = argument
                return self._resolve(then if self._conditions[condition] else otherwise)
            case "Fn::Equals":
                one, other = self._resolve(argument)
                return one == other
            case "Fn::Not":
                return not self._resolve(argument[0])
            case "Fn::Select":
                return self._resolve(argument[1])[int(argument[0])]
        raise NotImplementedError(name)

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return _NOTHING
        if name in self._values:
            return self._values[name]
        return _KNOWN.get(name, name)


def is_allowed(
    statements: list[dict[str, Any]],
    action: str,
    resource: str,
    *,
    by: str = "",
    **context: str,
) -> bool:
    """Return what IAM says: denied by any statement, else allowed by one, else denied.

    ``by``: a service, for policies of resources. ``context``: condition keys, with ``_`` for ``:``.
    """
    said = {
        one["Effect"]
        for one in statements
        if any(fnmatch.fnmatchcase(action, pattern) for pattern in _list(one["Action"]))
        and any(fnmatch.fnmatchcase(resource, pattern) for pattern in _list(one["Resource"]))
        and ("Principal" not in one or _is_principal(one["Principal"], by))
        and _holds(one.get("Condition", {}), {k.replace("_", ":"): v for k, v in context.items()})
    }
    return said == {"Allow"}


def _is_principal(principal: Any, by: str) -> bool:
    return principal == "*" or principal.get("Service") == by


def _holds(condition: dict[str, dict[str, Any]], context: dict[str, str]) -> bool:
    return all(
        _compares(operator, context.get(key), [str(each) for each in _list(wanted)])
        for operator, keys in condition.items()
        for key, wanted in keys.items()
    )


def _compares(operator: str, found: str | None, wanted: list[str]) -> bool:
    if operator == "StringNotEquals":
        return found not in wanted
    if found is None:
        return False
    if operator == "NumericGreaterThan":
        return float(found) > float(wanted[0])
    assert operator in ("StringEquals", "ArnEquals", "ArnLike", "Bool"), operator
    return found in wanted


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
