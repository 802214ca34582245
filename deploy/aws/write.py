"""Write what follows from ``permissions.py`` into the files that show it.

``python -m deploy.aws.write`` replaces, in ``site.yaml`` and ``README.md`` beside this file, what
stands between ``from permissions.py: …`` and ``end of permissions.py``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import groupby
from pathlib import Path

from deploy.aws.permissions import (
    PERMISSIONS,
    RESOURCES,
    ROLES,
    SERVICES,
    Permission,
    granted_to,
)

HERE = Path(__file__).resolve().parent
_YAML = re.compile(
    r"(?P<begin>(?P<indent> *)# from permissions\.py: (?P<what>[^\n]+)\n)"
    r".*?(?P<end>^ *# end of permissions\.py\n)",
    re.DOTALL | re.MULTILINE,
)
_MARKDOWN = re.compile(
    r"(?P<begin><!-- from permissions\.py: (?P<what>[^\n]+) -->\n)"
    r".*?(?P<end>^<!-- end of permissions\.py -->\n)",
    re.DOTALL | re.MULTILINE,
)


def template(text: str) -> str:
    """Return the template with its statements written anew.

    ``from permissions.py: web`` asks for what a role may do, ``… : on topic`` for what services
    may do with a resource.
    """

    def block(match: re.Match[str]) -> str:
        what = match["what"]
        chosen = on(what.removeprefix("on ")) if what.startswith("on ") else granted_to(what)
        lines = [f"{match['indent']}{line}" for line in statements(chosen)]
        return "\n".join([match["begin"].rstrip("\n"), *lines, match["end"]])

    return _YAML.sub(block, text)


def readme(text: str) -> str:
    """Return the README with its table of permissions written anew."""
    return _MARKDOWN.sub(lambda match: match["begin"] + table() + match["end"], text)


def on(resource: str) -> tuple[Permission, ...]:
    """Return what services may do with a resource, in the order of the list."""
    return tuple(
        permission
        for permission in PERMISSIONS
        if permission.who in SERVICES and resource in permission.on
    )


def statements(permissions: Iterable[Permission]) -> list[str]:
    """Return the lines of a policy's statements in YAML, neighbours of one kind in one."""
    lines: list[str] = []
    for _, group in groupby(permissions, lambda one: (one.who, one.on, one.when, one.passed_to)):
        lines += _statement(tuple(group))
    return lines


def _statement(permissions: tuple[Permission, ...]) -> list[str]:
    first = permissions[0]
    words = ([first.who] if first.who in SERVICES else []) + list(first.on)
    name = "".join(word.capitalize() for word in re.split("[ _]", " ".join(words)))
    lines = [f"Sid: {name}{'Pass' if first.passed_to else ''}", "Effect: Allow"]
    if first.who in SERVICES:
        lines += ["Principal:", f"  Service: {SERVICES[first.who].principal}"]
    lines += ["Action:", *(f"  - {one.action} # {one.why}" for one in permissions)]
    lines += ["Resource:", *(f"  - {_sub(RESOURCES[name])}" for name in first.on)]
    lines += _condition(first)
    first_line, *others = lines
    if not first.when:
        return [f"- {first_line}", *(f"  {line}" for line in others)]
    return [
        "- Fn::If:",
        f"    - {first.when}",
        f"    - {first_line}",
        *(f"      {line}" for line in others),
        "    - !Ref AWS::NoValue",
    ]


def _condition(permission: Permission) -> list[str]:
    if permission.passed_to:
        lines = ["StringEquals:", f"  iam:PassedToService: {permission.passed_to}"]
    elif permission.who in SERVICES:
        service = SERVICES[permission.who]
        lines = ["ArnEquals:", f"  aws:SourceArn: {_sub(RESOURCES[service.source])}"]
        if service.says_account:
            lines += ["StringEquals:", "  aws:SourceAccount: !Ref AWS::AccountId"]
    else:
        return []
    return ["Condition:", *(f"  {line}" for line in lines)]


def _sub(text: str) -> str:
    if "$" not in text:
        return f'"{text}"'
    attribute = re.fullmatch(r"\$\{([A-Za-z.]+)\}", text)
    return f"!GetAtt {attribute[1]}" if attribute else f"!Sub {text}"


def table() -> str:
    """Return the list as a table in Markdown."""
    lines = ["| who | may | on | because |", "|---|---|---|---|"]
    for one in PERMISSIONS:
        names = ", ".join(name.replace("_", " ") for name in one.on)
        who = one.who if one.who in ROLES else f"{one.who} ({SERVICES[one.who].principal})"
        lines.append(f"| {who} | `{one.action}` | {names} | {one.why} |")
    return "\n".join(lines) + "\n"


# What is written, and by whom.
WRITTEN: dict[str, Callable[[str], str]] = {"site.yaml": template, "README.md": readme}


def main() -> None:
    for name, anew in WRITTEN.items():
        path = HERE / name
        path.write_text(anew(path.read_text()))


if __name__ == "__main__":
    main()
