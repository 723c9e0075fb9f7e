"""What every extension must keep, as tests that an extension's own package inherits; `docs/extensions.md` shows how.

    class TestMine(ExtensionContract):
        extension = "mine"

Needs pytest: `pip install 'interlock[extension,testing]'`. Nothing of the product imports it.
"""

from __future__ import annotations

import pytest

# Before they are imported, so that a failed assertion of theirs says what was compared.
pytest.register_assert_rewrite(
    *(f"{__name__}.{name}" for name in ("base", "changing", "client", "living", "rendering", "serving"))
)

from interlock_extension.testing.backends import Backend  # noqa: E402
from interlock_extension.testing.contract import ExtensionContract  # noqa: E402
from interlock_extension.testing.rig import Rig  # noqa: E402
from interlock_extension.testing.terms import Feature  # noqa: E402
from interlock_extension.testing.views import joined, redirected, served  # noqa: E402

__all__ = ["Backend", "ExtensionContract", "Feature", "Rig", "joined", "redirected", "served"]
