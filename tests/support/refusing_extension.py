"""An extension for tests: our nginx, but a sticky cookie named `refused` becomes a directive that nginx refuses.

It stands for what labels cannot provoke and users can: a template or raw options of theirs, an nginx that lacks a
directive. It refuses as long as the file that `REFUSING_WHILE` names is there when the worker starts.
"""

from __future__ import annotations

import os
from pathlib import Path

from interlock_extension.nginx import NginxExtension
from interlock_extension.port import Control, HostView, Renderer, Settings

COOKIE = "refused"
WHILE = "REFUSING_WHILE"
_LINE = b"a_directive_that_nginx_does_not_know on;\n"


class RefusingExtension(NginxExtension):
    """Registered by `installed`."""

    name = "refusing"

    def open(self, settings: Settings) -> tuple[Renderer, Control]:
        """As nginx's."""
        renderer, control = super().open(settings)
        render = renderer.host

        def host(view: HostView) -> bytes:
            # As with most of a policy: it is written where somebody is served.
            present = {upstream.name for upstream in view.upstreams}
            wrong = any(route.sticky_cookie == COOKIE and route.upstream in present for route in view.host.routes)
            return render(view) + (_LINE if wrong else b"")

        if Path(os.environ[WHILE]).exists():
            renderer.host = host  # type: ignore[method-assign]  # the renderer is nginx's in all else
        return renderer, control


extension = RefusingExtension()


def installed(folder: Path) -> dict[str, str]:
    """Make it known to programs that are started with the environment that this returns."""
    info = folder / "refusing-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: refusing\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[interlock.extensions]\nrefusing = support.refusing_extension:extension\n")
    (folder / "refusing").touch()
    return {"PYTHONPATH": f"{folder}:{Path(__file__).parents[1]}", WHILE: str(folder / "refusing")}
