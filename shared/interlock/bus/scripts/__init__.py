"""The Lua scripts, loaded once; each step that touches several keys of a partition is one of them.

Every script exists in two forms: the plain one, which a full server refuses before it starts, and one that may run on a
full server (`roomy`), used only after the logs were trimmed.
"""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import NamedTuple


class Script(NamedTuple):
    """A script's text and the SHA-1 under which a server keeps it."""

    text: str
    sha: str

    @classmethod
    def of(cls, text: str) -> Script:
        return cls(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


def load(name: str, *, roomy: bool = False) -> Script:
    """The script `<name>.lua`, with the helpers of `prelude.lua` in front of it."""
    folder = resources.files(__name__)
    flags = " flags=allow-oom" if roomy else ""
    prelude = (folder / "prelude.lua").read_text()
    return Script.of(f"#!lua{flags}\n{prelude}\n{(folder / f'{name}.lua').read_text()}")
