"""A user's own template: told apart from Interlock's Go ones, compiled in a sandbox. Pure; see `mounted`.

docs/templates.md is what users read; `MODEL` is the version of the values that templates are given.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jinja2
import jinja2.exceptions
import jinja2.nodes
import jinja2.runtime
import jinja2.sandbox
import msgspec

from interlock.errors import ConfigError, ConfigRejected
from interlock_extension.nginx import escape
from interlock_extension.rendering.tokens import Token

MODEL = 1

MOUNTED = "/etc/docker/extension-template.conf"
"""Where Interlock has users mount their template; it is used without being named."""

_GO = re.compile(r"\{\{-?\s*(?:\.|\$|(?:range|end|if|else|with|template|define|block|len|index|printf)\b)")
_COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)
_WRITTEN_FOR = re.compile(r"\{#-?\s*interlock-template:\s*(\d+)")
_LARGEST = 10_000
_PAGE = "docs/templates.md"


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """A template's text, and where it is from."""

    path: str
    text: str


def check(template: Template) -> None:
    """Raises `ConfigError` for a Go template, and for one that was written for other values than ours."""
    # A comment may show what a Go template had there; its lines stay, so that those after it keep their numbers.
    text = _COMMENT.sub(lambda comment: "\n" * comment[0].count("\n"), template.text)
    go = _GO.search(text)
    if go:
        line = text.count("\n", 0, go.start()) + 1
        raise ConfigError(
            f"{template.path}:{line}: {go[0]}… is of a Go template, as Interlock had them; ours are Jinja templates. "
            f"{_PAGE} shows how to port it: most need a few blocks of it only"
        )
    written = _WRITTEN_FOR.search(template.text)
    if written and int(written[1]) != MODEL:
        line = template.text.count("\n", 0, written.start(1)) + 1
        raise ConfigError(
            f"{template.path}:{line}: it is written for version {written[1]} of the values that templates are given, "
            f"and this Interlock has {MODEL}; see {_PAGE} for what differs"
        )


class _Sandbox(jinja2.sandbox.ImmutableSandboxedEnvironment):
    """What is put together from pieces that `finalize` has let through may be written again; nothing else may.

    So blocks, macros and `{% set %}…{% endset %}` give `Token`s. Of a text's methods, none does.
    """

    intercepted_binops = frozenset({"*", "**"})

    def call_binop(self, context: jinja2.runtime.Context, operator: str, left: Any, right: Any) -> Any:
        """Numbers only: of a text or a list, either operator makes one of any length."""
        if not all(isinstance(side, int | float) and abs(side) < _LARGEST for side in (left, right)):
            raise jinja2.exceptions.SecurityError(f"{operator} is for numbers below {_LARGEST}")
        return super().call_binop(context, operator, left, right)

    @staticmethod
    def concat(pieces: Iterable[str]) -> Token:
        """Called by compiled templates for the pieces of a block or a macro, each of which was written before."""
        return Token("".join(pieces))

    def getattr(self, obj: object, attribute: str) -> object:
        """A `Token`'s `format` would give another `Token` of what was not escaped, so it is a plain text's."""
        return super().getattr(_plain(obj), attribute)

    def getitem(self, obj: object, argument: object) -> object:
        """As `getattr`, for `text["format"]`."""
        return super().getitem(_plain(obj), argument)

    def call(__self, __context: jinja2.runtime.Context, __obj: object, *args: object, **kwargs: object) -> object:  # noqa: N805
        """`{% call %}` writes what is returned without `finalize`; of all that can be called, macros are safe then."""
        if "caller" in kwargs and not isinstance(__obj, jinja2.runtime.Macro):
            raise jinja2.exceptions.SecurityError("{% call %} is for macros only")
        return super().call(__context, __obj, *args, **kwargs)


class _Range:
    """`range` with a bound on all steps of one rendering: nothing can stop a loop once it runs."""

    def __init__(self) -> None:
        self._left = jinja2.sandbox.MAX_RANGE

    def __call__(self, *bounds: int) -> range:
        found = range(*bounds)
        self._left -= len(found)
        if self._left < 0:
            raise OverflowError(f"more than {jinja2.sandbox.MAX_RANGE} steps of loops in one rendering")
        return found


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Token) else value


def sandbox(loader: jinja2.BaseLoader, finalize: Callable[[object], object]) -> jinja2.Environment:
    """Where a user's template runs: it reads what it is given, and nothing else.

    Values are written only where they have been through `quote` or `interpolate`, or are ours: see `finalize`.
    """
    environment = _Sandbox(
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


def _quote(value: object) -> Token:
    return escape.quoted(str(value))


def _interpolate(value: object) -> Token:
    return escape.interpolated(str(value))


def compiled(environment: jinja2.Environment, template: Template, bases: Sequence[str]) -> jinja2.Template:
    """The template, ready to be rendered; `bases`: ours. Raises `ConfigError` with file and line."""
    check(template)
    try:
        tree = environment.parse(template.text)
        _refuse_unguarded(template, tree)
        known = [name for base in bases for name in environment.get_template(base).blocks]
        _refuse_unknown_blocks(template, tree, known)
        _end_lines(environment, tree, known)
        return environment.from_string(tree)
    except jinja2.TemplateSyntaxError as error:
        raise ConfigError(f"{template.path}:{error.lineno}: {error.message}; correct the template ({_PAGE})") from error
    except ConfigError:
        raise
    except Exception as error:  # what Jinja takes and Python does not: too deep, too many digits
        raise ConfigError(
            f"{template.path}: {type(error).__name__}: {error}; simplify the template ({_PAGE})"
        ) from error


def _refuse_unguarded(template: Template, tree: jinja2.nodes.Template) -> None:
    """Refuse the two statements whose output does not come through `finalize`."""
    unguarded: dict[type[jinja2.nodes.Node], str] = {
        jinja2.nodes.FilterBlock: "{% filter … %} is not taken; write {% set x %}…{% endset %}{{ x | … }}",
        jinja2.nodes.EvalContextModifier: "{% autoescape … %} is not taken; write | quote or | interpolate",
    }
    for kind, why in unguarded.items():
        for node in tree.find_all(kind):
            raise ConfigError(f"{template.path}:{node.lineno}: {why} ({_PAGE})")


def _refuse_unknown_blocks(template: Template, tree: jinja2.nodes.Template, known: Sequence[str]) -> None:
    """Refuse a block that nothing would ever write: ours has no place for it, nor has the template itself."""
    if not any(isinstance(node, jinja2.nodes.Extends) for node in tree.body):
        return
    called = {
        node.attr
        for node in tree.find_all(jinja2.nodes.Getattr)
        if isinstance(node.node, jinja2.nodes.Name) and node.node.name == "self"
    }
    for block in _outermost_blocks(tree):
        if block.name in known or block.name in called:
            continue
        near = difflib.get_close_matches(block.name.lower(), known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
        raise ConfigError(
            f"{template.path}:{block.lineno}: {{% block {block.name} %}}: no template of ours has that block; "
            f"{hint} ({_PAGE})"
        )


def _outermost_blocks(node: jinja2.nodes.Node) -> Iterator[jinja2.nodes.Block]:
    """What is within another block is written with that."""
    for child in node.iter_child_nodes():
        if isinstance(child, jinja2.nodes.Block):
            yield child
        else:
            yield from _outermost_blocks(child)


def _end_lines(environment: jinja2.Environment, tree: jinja2.nodes.Template, ours: Sequence[str]) -> None:
    """Have each block that stands in the place of one of ours end its line: a comment there hides nothing after it."""
    if next(tree.find_all(jinja2.nodes.Extends), None) is None:
        return
    for block in tree.find_all(jinja2.nodes.Block):
        if block.name in ours and block.body and not _ends_line(block.body[-1]):
            end = jinja2.nodes.Output([jinja2.nodes.TemplateData("\n")])
            block.body.append(end.set_lineno(block.lineno).set_environment(environment))


def _ends_line(node: jinja2.nodes.Node) -> bool:
    if not isinstance(node, jinja2.nodes.Output):
        return False
    last = node.nodes[-1]
    return isinstance(last, jinja2.nodes.TemplateData) and last.data.endswith("\n")


def rendered(template: Template, using: jinja2.Template, values: dict[str, object]) -> str:
    """What the template makes of the values. Raises `ConfigRejected` with file, line and reason."""
    try:
        return using.render({**values, "range": _Range()})
    except ConfigRejected as error:
        raise ConfigRejected(
            f"template {template.path}{_line(error)}: {error}; use | quote or | interpolate"
        ) from error
    except Exception as error:  # whatever a template does with one host is that host's problem
        raise ConfigRejected(f"template {template.path}{_line(error)}: {type(error).__name__}: {error}") from error


def _line(error: BaseException) -> str:
    """`:7` for the line of the user's template in which it happened; empty where it cannot be told."""
    trace, found = error.__traceback__, ""
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            found = f":{trace.tb_lineno}"
        trace = trace.tb_next
    return found
