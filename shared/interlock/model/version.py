"""Versions of a partition's state, and the token that says who may write it."""

from __future__ import annotations

import msgspec


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """(generation, seq). Only versions of one generation can be ordered; `nonce` names the very write.

    The generation is random and renewed when a writer finds the state missing or its own last write gone. Each log
    entry names its predecessor's nonce, so that a reader sees any other history than its own. `epoch`: that of the
    token it was written with, 0 where that is not known; it orders the terms of owners, across generations too.
    """

    generation: str
    seq: int
    nonce: str
    epoch: int = 0

    def __str__(self) -> str:
        return f"{self.generation[:6]}:{self.seq}"

    def same(self, other: Version | None) -> bool:
        """The very same write, not merely the same number."""
        return other is not None and self.nonce == other.nonce and self.generation == other.generation

    def within(self, other: Version | None) -> bool:
        """Whether the other is this one or a later one; False where they cannot be ordered."""
        return other is not None and self.generation == other.generation and self.seq <= other.seq


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A fencing token. A partition refuses every write with a smaller epoch than it has seen."""

    epoch: int
    nonce: str
