"""`docs/labels.md` out of the registry: pure. `make docs` writes it, and a test holds it up to date."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from interlock.labels import known
from interlock.labels.label import PREFIX, Label
from interlock.labels.registry import FAMILIES, LABELS
from interlock.model.problem import CODES

_HEAD = f"""\
# Labels

Labels of the service itself (`deploy.labels` in a stack file, `--label` of `docker service create`), not of its
containers. All values are text. Words such as `true`, `false`, `task` and `vip` may be written in any case (`TRUE`,
`VIP`). An empty value, or one of blanks only, is as if the label were absent. A label that cannot be used is a
*problem*: `interlock status` tells it with the remedy, everything else of the service goes live, and no other service
notices. `interlock lint` finds it before you deploy.

This page is made from the code that reads the labels: `make docs`.

| Label (`{PREFIX}…`) | Value | Default | Proxies |
|---|---|---|---|
"""
_CODES = """\
## Problems

Each problem has a severity (`error`: the service, or the part of it that the label controls, is not routed;
`warning`: it is), the service, the label, the value, why, a remedy, who else is concerned, and one of these codes.

| Code | What it stands for |
|---|---|
"""


def text() -> str:
    """The whole page."""
    rows = "".join(
        f"| [`{_short(label)}`](#{_short(label)}) | {label.syntax} | {_default(label)} | {_proxies(label)} |\n"
        for label in LABELS.values()
    )
    families = "\n".join("\n".join(_family(name)) for name in FAMILIES)
    codes = "".join(f"| `{code}` | {meaning} |\n" for code, meaning in sorted(CODES.items()))
    return f"{_HEAD}{rows}\n{families}\n{_CODES}{codes}"


def _family(name: str) -> Iterator[str]:
    module = sys.modules[f"{known.__name__}.{name}"]
    title, _, told = str(module.__doc__).strip().partition("\n")[0].removeprefix("The family of ").partition(": ")
    yield f"## {title[0].upper()}{title[1:].rstrip('.')}\n"
    if told:
        yield f"{told[0].upper()}{told[1:]}\n"
    for label in FAMILIES[name]:
        yield f"### {_short(label)}\n"
        yield f"{label.doc}\n"
        if not label.field:
            asked = "Any value but the default is told as a problem."
            yield f"**Without effect in this version**: {label.without}. {asked}\n"
        yield f"- Value: {label.syntax}"
        yield f"- Default: {_default(label)}"
        yield f"- Proxies: {_proxies(label)}"
        yield from (f"- Not alike: {proxy} {how}" for proxy, how in label.differs.items())
        yield ""
        yield f'```yaml\ndeploy:\n  labels:\n    {label.name}: "{label.example}"\n```\n'


def _short(label: Label[Any]) -> str:
    return label.name.removeprefix(PREFIX)


def _default(label: Label[Any]) -> str:
    if label.default_words:
        return label.default_words
    if isinstance(label.default, bool):
        return f"`{str(label.default).lower()}`"
    return f"`{label.default}`" if label.default else "none"


def _proxies(label: Label[Any]) -> str:
    if not label.field:
        return "later"
    return ", ".join(f"{proxy} (not alike)" if proxy in label.differs else proxy for proxy in label.proxies)


if __name__ == "__main__":
    sys.stdout.write(text())
