"""One proxy under test, and what it was given: files are rendered and brought into effect as a worker does it."""

from __future__ import annotations

from collections.abc import Mapping

from interlock.model.routing import DEFAULT_HOST
from interlock_extension.bring import Applied, bring
from interlock_extension.change import Draft
from interlock_extension.port import Change, Extension, HostView, Proof, Settings, Started
from interlock_extension.rollout import classify
from interlock_extension.testing.client import Address, Answer, ask


class Rig:
    """`views`: what is served, by host; `given`: the files that say so; `where`: how the proxy is reached."""

    def __init__(self, extension: Extension, settings: Settings, where: Address) -> None:
        self.settings = settings
        self.where = where
        self.views: dict[str, HostView] = {}
        self.given: dict[str, bytes] = {}
        self._extension = extension
        self._longest = 0
        self._applied = 0
        self.renderer, self.control = extension.open(settings)

    def reopen(self) -> None:
        """Go on as a worker does that is started after this one has ended; `start` is the next step."""
        self.renderer, self.control = self._extension.open(self.settings)

    def start(self, *views: HostView) -> Started:
        """Start the proxy with these hosts and no others."""
        self.views = {view.host.host: view for view in views}
        self.given = self.files(self.views)
        return self.control.start(self.given)

    def files(self, views: Mapping[str, HostView]) -> dict[str, bytes]:
        """Every file of a proxy that serves these."""
        hosts = {self.renderer.file_of(host): self.renderer.host(view) for host, view in views.items()}
        return {**self._shared(views), **hosts}

    def _shared(self, views: Mapping[str, HostView]) -> dict[str, bytes]:
        self._longest = max(self._longest, *map(len, views), 0)
        return self.renderer.shared(len(views), self._longest, default=DEFAULT_HOST in views)

    def change(self, *views: HostView, gone: tuple[str, ...] = ()) -> Applied:
        """Serve these hosts as they are here from now on, and no more those that are `gone`, by the cheapest action."""
        draft = self.draft(*views, gone=gone)
        self._applied += 1
        applied = bring(self.control, draft, f"change {self._applied}")
        self._accept(draft)
        return applied

    def change_in_place(self, *views: HostView) -> Proof:
        """The same in place or not at all. Raises `NotInPlace`."""
        draft = self.draft(*views)
        proof = self.control.apply_delta(Change(hosts=draft.changes, files=draft.files), "in place")
        self._accept(draft)
        return proof

    def put(self, files: Mapping[str, bytes | None]) -> Proof:
        """Have the proxy read these files as they are, whatever is in them. Raises `ConfigRejected`."""
        proof = self.control.apply_snapshot(files, "as it is")
        self._take(files)
        return proof

    def draft(self, *views: HostView, gone: tuple[str, ...] = ()) -> Draft:
        """What a worker would hand to `bring`."""
        after: dict[str, HostView | None] = {view.host.host: view for view in views}
        after.update(dict.fromkeys(gone))
        changes = {host: (self.views.get(host), view) for host, view in after.items()}
        wanted = self.files({host: view for host, view in {**self.views, **after}.items() if view})
        names = sorted(wanted.keys() | self.given.keys())
        files = {name: wanted.get(name) for name in names if wanted.get(name) != self.given.get(name)}
        structure = not {self.renderer.file_of(host) for host in after}.issuperset(files)
        found = classify(changes, structure=structure, in_place=self.control.in_place)
        return Draft(views=after, changes=changes, files=files, rollout=found)

    def _accept(self, draft: Draft) -> None:
        self._take(draft.files)
        for host, view in draft.views.items():
            if view is None:
                self.views.pop(host, None)
            else:
                self.views[host] = view

    def _take(self, files: Mapping[str, bytes | None]) -> None:
        changed = {**self.given, **files}
        self.given = {name: data for name, data in changed.items() if data is not None}

    def ask(self, host: str, path: str = "/", **more: object) -> Answer:
        """One request on a connection of its own; see `client.ask`."""
        return ask(self.where, host, path, **more)  # type: ignore[arg-type]  # as the caller wrote them

    def answerers(self, host: str, times: int = 12) -> set[str]:
        """Who answers so many requests for this host; an empty name stands for the proxy itself."""
        return {self.ask(host).by for _ in range(times)}
