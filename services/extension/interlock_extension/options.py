"""An option of a proxy by the registry of config.toml: what its key takes it for, or what is wrong with it. Pure."""

from __future__ import annotations

from interlock.config.key import Section
from interlock.config.kinds import Unfit
from interlock.errors import ConfigError


def read_option(name: str, value: object, place: str, *, section: Section, known: str) -> object:
    """The value of one option, as the kind of its key reads it. Raises `ConfigError` for a bad name or value.

    `name`: in any case. `place`: where it was said. `known`: what to tell of a name that resembles none in `section`.
    """
    key = section.key(name)
    if key is None:
        near = section.nearest(name)
        hint = f"did you mean {near}?" if near else known
        raise ConfigError(f"{place}: unknown key; {hint}")
    try:
        return key.kind.read(value)
    except Unfit as unfit:
        shown = "…" if key.secret else repr(value)
        raise ConfigError(f"{place} = {shown}: {unfit.said(key.name)}") from unfit
