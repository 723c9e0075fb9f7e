"""Text that may be written, and the environment of templates that writes nothing else. Pure."""

from __future__ import annotations

import jinja2

from interlock.errors import ConfigRejected


class Token(str):
    """Text that is safe to stand, as it is, where the function that gave it says."""

    __slots__ = ()


def only_tokens(value: object) -> object:
    """For templates' `finalize`: tokens and numbers pass; anything else raises `ConfigRejected`."""
    if isinstance(value, Token | int) or value == "":
        return value
    raise ConfigRejected(f"{value!r} was about to be written without being escaped")


def strict_environment(loader: jinja2.BaseLoader) -> jinja2.Environment:
    """Where templates of ours are rendered: a name that they are not given ends the rendering, as does a bare value."""
    return jinja2.Environment(
        loader=loader,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  # HTML's escaping is no proxy's: `only_tokens` stands guard instead
        finalize=only_tokens,
    )
