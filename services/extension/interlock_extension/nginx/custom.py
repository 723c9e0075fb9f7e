"""A user's own template: told apart from Interlock's Go ones, compiled in a sandbox. Pure; see `mounted`.

docs/templates.md is what users read; `MODEL` is the version of the values that templates are given.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import jinja2
import jinja2.sandbox
import msgspec

from interlock.errors import ConfigError, ConfigRejected
from interlock_extension.nginx import escape

MODEL = 1

MOUNTED = "/etc/docker/extension-template.conf"
"""Where Interlock has users mount their template; it is used without being named."""

_GO = re.compile(r"\{\{-?\s*(?:\.|\$|(?:range|end|if|else|with|template|define|block|len|index|printf)\b)")
_WRITTEN_FOR = re.compile(r"\{#-?\s*interlock-template:\s*(\d+)")
_PAGE = "docs/templates.md"


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """A template's text, and where it is from."""

    path: str
    text: str


def check(template: Template) -> None:
    """Raises `ConfigError` for a Go template, and for one that was written for other values than ours."""
    go = _GO.search(template.text)
    if go:
        line = template.text.count("\n", 0, go.start()) + 1
        raise ConfigError(
            f"{template.path}:{line}: {go[0]}… is of a Go template, as Interlock had them; ours are Jinja templates. "
            f"{_PAGE} shows how to port it: most need a few blocks of it only"
        )
    written = _WRITTEN_FOR.search(template.text)
    if written and int(written[1]) != MODEL:
        raise ConfigError(
            f"{template.path}: it is written for version {written[1]} of the values that templates are given, and this "
            f"Interlock has {MODEL}; see {_PAGE} for what differs"
        )


def sandbox(loader: jinja2.BaseLoader, finalize: Callable[[object], object]) -> jinja2.Environment:
    """Where a user's template runs: it reads what it is given, and nothing else.

    Values are written only where they have been through `quote` or `interpolate`, or are ours: see `finalize`.
    """
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
        loader=loader,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # HTML's escaping is not nginx's: `finalize` stands guard instead
        finalize=finalize,
    )
    environment.filters["quote"] = _quote
    environment.filters["interpolate"] = _interpolate
    return environment


def _quote(value: object) -> escape.Token:
    return escape.quoted(str(value))


def _interpolate(value: object) -> escape.Token:
    return escape.interpolated(str(value))


def compiled(environment: jinja2.Environment, template: Template) -> jinja2.Template:
    """The template, ready to be rendered. Raises `ConfigError` with file and line."""
    check(template)
    try:
        return environment.from_string(template.text)
    except jinja2.TemplateSyntaxError as error:
        raise ConfigError(f"{template.path}:{error.lineno}: {error.message}; correct the template ({_PAGE})") from error


def rendered(template: Template, using: jinja2.Template, values: dict[str, object]) -> str:
    """What the template makes of the values. Raises `ConfigRejected` with file, line and reason."""
    try:
        return using.render(values)
    except ConfigRejected as error:
        raise ConfigRejected(
            f"template {template.path}{_line(error)}: {error}; use | quote or | interpolate"
        ) from error
    except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError, LookupError, OverflowError) as error:
        raise ConfigRejected(f"template {template.path}{_line(error)}: {type(error).__name__}: {error}") from error


def _line(error: BaseException) -> str:
    """`:7` for the line of the user's template in which it happened; empty where it cannot be told."""
    trace, found = error.__traceback__, ""
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            found = f":{trace.tb_lineno}"
        trace = trace.tb_next
    return found
