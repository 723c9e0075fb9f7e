"""Stack files for tests: a service with labels in as few words as a test should need, and what lint says of it."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from interlock_lint.checking import Checked, check
from interlock_lint.finding import Finding

LB = "com.docker.lb."
GOOD = {"hosts": "shop.example.com", "port": "8080"}


def stack_text(
    written: Mapping[str, object] = GOOD,
    /,
    *,
    on: Sequence[str] = ("web",),
    networks: Mapping[str, object] | None = None,
    others: Mapping[str, object] | None = None,
    deploy: Mapping[str, object] | None = None,
    **service: object,
) -> str:
    """A stack of one service, `shop`, on these networks; labels without their prefix."""
    labels = {LB + key: value for key, value in written.items()}
    shop = {"image": "shop:1", "networks": [*on], "deploy": {"labels": labels, **(deploy or {})}, **service}
    return dumped({"services": {"shop": shop, **(others or {})}, "networks": networks or {"web": {}}})


def dumped(stack: Mapping[str, Any]) -> str:
    """As a file."""
    return yaml.safe_dump({"version": "3.8", **stack}, sort_keys=False)


def checked(*texts: str, stack: str = "", **environment: str) -> Checked:
    """Files `a.yml`, `b.yml` and so on as one stack."""
    files = [(f"{name}.yml", textwrap.dedent(text).encode()) for name, text in zip("abcdef", texts, strict=False)]
    return check(files, environment, stack=stack)


def findings(*texts: str, stack: str = "", **environment: str) -> tuple[Finding, ...]:
    """What is wrong; every file must be readable."""
    report = checked(*texts, stack=stack, **environment).report
    assert not report.unread
    return report.findings


def codes(*texts: str, stack: str = "", **environment: str) -> list[str]:
    """The codes of the findings, by place."""
    return [finding.code for finding in findings(*texts, stack=stack, **environment)]
