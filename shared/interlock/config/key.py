"""What the registry of config.toml is made of: keys and the tables that hold them. Pure."""

from __future__ import annotations

import difflib
from typing import Literal

import msgspec

from interlock.config.kinds import Kind

Effect = Literal["now", "later", "none"]
"""Whether a key takes effect in this version, in a later one, or has no known effect (it is taken all the same)."""


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """One key in the spelling of Interlock's documents. `default`: TOML text, or words in brackets.

    `secret`: its value is in no message. `ours`: Interlock does not have it.
    """

    name: str
    kind: Kind
    default: str
    doc: str
    effect: Effect = "now"
    secret: bool = False
    ours: bool = False


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """The keys of one table. `title`: its place in the file, as people write it."""

    title: str
    about: str
    keys: tuple[Key, ...]

    def key(self, name: str) -> Key | None:
        """A key by its name in any case."""
        return next((key for key in self.keys if key.name.lower() == name.lower()), None)

    def nearest(self, name: str) -> str | None:
        """The spelling of the key that was probably meant."""
        known = {key.name.lower(): key.name for key in self.keys}
        near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.7)
        return known[near[0]] if near else None
