"""The whole contract in one class, for an extension's tests to inherit. pytest runs what is named `test_…` in it."""

from __future__ import annotations

from interlock_extension.testing.changing import Changing
from interlock_extension.testing.living import Living
from interlock_extension.testing.rendering import Rendering
from interlock_extension.testing.serving import Serving


class ExtensionContract(Rendering, Serving, Changing, Living):
    """What the worker relies on, through `Extension.open` and the port alone, with real requests to real endpoints.

    A subclass sets `extension`, the name of an entry point of `interlock.extensions`, and overrides what its proxy does
    otherwise; `ContractBase` says what that may be. Not in a thread of its own, and each check has a proxy of its own.
    """


CHECKS = frozenset(name for name in dir(ExtensionContract) if name.startswith("test_"))
"""The checks that every extension passes, by name."""
