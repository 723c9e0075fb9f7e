"""The contract of a renderer: pure, one host a file, and nothing of a user's reaches a neighbour."""

from __future__ import annotations

from contextlib import suppress
from pathlib import PurePosixPath

from interlock.errors import ConfigRejected
from interlock.model.routing import DEFAULT_HOST
from interlock_extension import registry
from interlock_extension.port import HostView
from interlock_extension.testing.backends import Backend
from interlock_extension.testing.base import A, B, ContractBase, Make
from interlock_extension.testing.rig import Rig
from interlock_extension.testing.views import joined, redirected, served

_LONG = ".".join(["y" * 49] * 5)
_HOSTS = (A, B, "a-example", f"*.{A}", DEFAULT_HOST, _LONG, f"{_LONG[:-1]}z", f"z{_LONG[1:]}")
_HOSTILE = 'x"; } \\\n{ return 200 "$host";\r\n#'


def _views(one: Backend) -> list[HostView]:
    """A host of every kind."""
    return [
        joined(served(A, one), served(A, one, path="/app", rewrite=True, sticky_cookie="id", websockets=("/app/ws",))),
        served(f"*.{A}", one, ip_hash=True),
        served(DEFAULT_HOST, one),
        redirected("old.example", "https://new.example"),
        served("nobody.example"),
    ]


class Rendering(ContractBase):
    """Values to files."""

    def test_the_same_values_give_the_same_bytes(self, rig: Rig, backend: Make) -> None:
        """Also from another renderer: what a worker's successor renders is what runs."""
        views = {view.host.host: view for view in _views(backend("one"))}
        first = rig.files(views)
        assert rig.files(views) == first
        rig.reopen()
        assert rig.files(dict(reversed(views.items()))) == first

    def test_a_hosts_file_depends_on_no_other_host(self, rig: Rig, backend: Make) -> None:
        """So that a change costs what it touches."""
        views = _views(backend("one"))
        together = {view.host.host: rig.renderer.host(view) for view in views}
        for view in views:
            alone = registry.load(self.extension).open(rig.settings)[0]
            assert alone.host(view) == together[view.host.host]

    def test_each_host_has_a_file_of_its_own_inside_the_folder(self, rig: Rig) -> None:
        files = [PurePosixPath(rig.renderer.file_of(host)) for host in _HOSTS]
        shared = {PurePosixPath(name) for name in rig.renderer.shared(1, 1, default=False)}
        assert len({*files, *shared}) == len(files) + len(shared)
        assert [file for file in files if file.is_absolute() or ".." in file.parts or len(file.name) > 255] == []

    def test_nothing_of_a_users_breaks_a_neighbour(self, rig: Rig, backend: Make) -> None:
        """What was read from labels is clean; a renderer does not rely on that: it refuses, or it writes safely."""
        one = backend("one")
        rig.start(served(B, one))
        for view in (
            served(A, one, path=f"/{_HOSTILE}"),
            served(A, one, sticky_cookie=_HOSTILE),
            served(A, one, websockets=(f"/{_HOSTILE}",)),
            redirected(A, f"https://{_HOSTILE}"),
            served(f"{_HOSTILE}.example", one),
        ):
            with suppress(ConfigRejected):
                rig.change(view)
            assert rig.ask(B).by == "one"
            assert rig.ask("unknown.example").status == 503
