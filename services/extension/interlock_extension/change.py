"""From touched hosts to changed files: what an apply consists of. Pure.

Rendering costs what was touched; a host whose bytes stay the same is not written.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Mapping
from itertools import islice

import msgspec

from interlock.errors import ConfigRejected
from interlock.model.outcome import MOST_UNTRIED
from interlock.model.routing import DEFAULT_HOST, unserved
from interlock_extension import rollout
from interlock_extension.blame import Blame, Refusals
from interlock_extension.desired import Desired
from interlock_extension.port import HostView, Kind, Renderer
from interlock_extension.rollout import Rollout

_FEW = 3
_DRIFT = "the proxy runs something else than it was given"


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """What would be applied. `changes`: hosts before and after; `files`: only those whose content differs."""

    views: dict[str, HostView | None]
    changes: dict[str, tuple[HostView | None, HostView | None]]
    files: dict[str, bytes | None]
    rollout: Rollout
    rendered: int = 0

    @property
    def bytes_written(self) -> int:
        return sum(len(data) for data in self.files.values() if data is not None)


class Drafting:
    """Knows what the proxy's files hold."""

    def __init__(self, desired: Desired, renderer: Renderer, in_place: Collection[Kind] = ()) -> None:
        self._desired = desired
        self._renderer = renderer
        self._in_place = in_place
        self._distrusted: tuple[str, str] | None = None
        self._content: dict[str, bytes] = {}
        self._host_of: dict[str, str] = {}
        self._longest = self._most = 0
        self._stale: set[str] = set()
        self._doubted: set[str] = set()
        self._unsure: set[str] = set()
        self._refusals = Refusals()
        self._overdue: set[str] = set()
        self._lost: dict[str, HostView] = {}
        self._untried: dict[str, None] = {}
        self.upstreams = 0

    def begin(self, views: Mapping[str, HostView]) -> None:
        """Render what was last good, and serve that. A host that cannot be rendered any more answers 503."""
        for host, view in views.items():
            self._remember(host)
            now: HostView | None = view
            data: bytes | None = None
            try:
                data = self._renderer.host(view)
            except ConfigRejected as error:
                self._desired.refuse(host, str(error), view.host)
                now, data = self._claimed(host)
                self._lost[host] = view
            if data is not None:
                self._content[self._renderer.file_of(host)] = data
            self._serve(host, now)
            self._note_untried(host, now)

    def all_files(self) -> dict[str, bytes]:
        """Every file of the proxy, for its start."""
        return {**self._content, **self._shared({})}

    def installed(self, content: Mapping[str, bytes]) -> set[str]:
        """What the proxy's folder really holds; the hosts of which it holds something else than what was last good."""
        before, self._content = self._content, dict(content)
        self._doubted.clear()
        for host, view in self._lost.items():
            file = self._renderer.file_of(host)
            if file in content and content[file] != before.get(file):
                # An adopted proxy still has it.
                self._serve(host, view)
        self._lost.clear()
        known = self._shared({}).keys()
        self._stale = {file for file in content if file not in self._host_of and file not in known}
        found = {host for file, host in self._host_of.items() if before.get(file) != content.get(file)}
        # What the proxy runs of these is not what we count as served: no change can start from that.
        self._unsure = {self._renderer.file_of(host) for host in found}
        return found

    def drop(self, file: str | None) -> tuple[str, HostView | None] | None:
        """Take a file out of the next start; its host and what was served, None where no host's file is at fault."""
        host = self._host_of.get(file or "")
        if host is None or file not in self._content:
            return None
        del self._content[file]
        view = self._desired.served.get(host)
        self._serve(host, None)
        return host, view

    def draft(self, hosts: Iterable[str]) -> Draft:
        """Render the hosts as they are wanted. One that cannot be rendered is refused and stays as it was."""
        views: dict[str, HostView | None] = {}
        files: dict[str, bytes | None] = {}
        for host in hosts:
            self._remember(host)
            view, data = self._render(host)
            views[host] = view
            file = self._renderer.file_of(host)
            if self._differs(file, data):
                files[file] = data
        served = self._desired.served
        changes = {host: (served.get(host), view) for host, view in views.items()}
        files.update(dict.fromkeys(self._stale - files.keys()))
        shared = self._shared(changes)
        structure = {name: data for name, data in shared.items() if self._differs(name, data)}
        files.update(structure)
        found = rollout.classify(changes, structure=bool(structure), in_place=self._in_place)
        if self._distrusted:
            # Whoever made it run something else may have changed files, too.
            files = {**self._content, **files}
            found = Rollout(action="reload", reason=self._distrusted[0], because=self._distrusted[1])
        elif not files:
            found = Rollout(action="unchanged")
        elif found.action == "unchanged":
            found = Rollout(action="reload", reason="files differ from what was last proven", because="drift")
        elif found.action == "update" and (self._doubted or self._stale or not self._unsure.isdisjoint(files)):
            found = Rollout(action="reload", reason=found.reason, because="drift")
        return Draft(views=views, changes=changes, files=files, rollout=found, rendered=len(views))

    def _differs(self, file: str, data: bytes | None) -> bool:
        return file in self._doubted or data != self._content.get(file)

    def _render(self, host: str) -> tuple[HostView | None, bytes | None]:
        # As wanted, then as held, then only less what is gone: the first that the proxy has not refused yet.
        guessed = False
        for choose in (self._desired.view, self._desired.view, self._desired.reduced):
            view = choose(host)
            if view is None and (host == DEFAULT_HOST or host not in self._desired.hosts):
                return None, None
            if view is None:
                continue
            try:
                data = self._renderer.host(view)
            except ConfigRejected as error:
                self._desired.refuse(host, str(error), view.host)
                continue
            blame = self._refusals.of(host, data)
            if blame is None:
                return view, data
            self._desired.refuse(host, blame.reason, view.host if blame.exact else None)
            guessed |= not blame.exact
        served, present = self._desired.served.get(host), self._content.get(self._renderer.file_of(host))
        # By a guess nobody loses what is served; it is tried again soon.
        if served is not None and present is not None and (guessed or not self._desired.lets_down(served)):
            return served, present
        return self._claimed(host)

    def _claimed(self, host: str) -> tuple[HostView | None, bytes | None]:
        """503, so that neither a wildcard nor the default answers in its place; nothing where even that is refused."""
        with contextlib.suppress(ConfigRejected):
            data = self._renderer.unserved(host) if host != DEFAULT_HOST else None
            if data is not None and self._refusals.of(host, data) is None:
                return HostView(host=unserved(host)), data
        return None, None

    def _serve(self, host: str, view: HostView | None) -> None:
        before = self._desired.served.get(host)
        self.upstreams += len(view.upstreams if view else ()) - len(before.upstreams if before else ())
        self._desired.serve(host, view)

    def _shared(self, changes: Mapping[str, tuple[HostView | None, HostView | None]]) -> dict[str, bytes]:
        count = len(self._desired.served) + sum(
            (now is not None) - (then is not None) for then, now in changes.values()
        )
        # Grows only: where a proxy keeps something ready by their number, one host must not make it reload to and fro.
        self._most = count = max(count, self._most)
        default = DEFAULT_HOST in self._desired.served
        if DEFAULT_HOST in changes:
            default = changes[DEFAULT_HOST][1] is not None
        return self._renderer.shared(count, self._longest, default=default)

    def _remember(self, host: str) -> None:
        # The longest name only ever grows: a hash bucket that is too large costs nothing.
        self._longest = max(self._longest, len(host))
        self._host_of[self._renderer.file_of(host)] = host
        self._stale.discard(self._renderer.file_of(host))

    def distrust(self, reason: str = _DRIFT, because: str = "drift") -> None:
        """The proxy does not run what it was given: the next draft is a reload with every file, whatever differs.

        `because`: one word for the metric.
        """
        self._distrusted = (reason, because)

    def doubt(self, draft: Draft) -> None:
        """The draft was not proven, and may be in effect all the same: its files are written again, whatever is next.

        Its hosts are to be drafted again.
        """
        self._doubted |= draft.files.keys()

    def accept(self, draft: Draft) -> None:
        """The draft has been proven."""
        self._distrusted = None
        self._doubted -= draft.files.keys()
        self._unsure -= draft.files.keys()
        for file, data in draft.files.items():
            if data is None:
                self._content.pop(file, None)
            else:
                self._content[file] = data
        self._stale -= draft.files.keys()
        for host, view in draft.views.items():
            self._serve(host, view)
            self._note_untried(host, view)
            if view is not None and self._desired.lets_down(view):
                self._overdue.add(host)
            else:
                self._overdue.discard(host)
            if host not in self._desired.hosts:
                self._refusals.forget(host)
                if view is None:
                    self._host_of.pop(self._renderer.file_of(host), None)
            elif view is not None and view == self._desired.wanted(host):
                self._desired.refused.pop(host, None)
                self._refusals.acquit(host)

    @property
    def untried(self) -> tuple[str, ...]:
        """Hosts of whose present policy the proxy was not given all; the latest of them, sorted."""
        return tuple(sorted(islice(reversed(self._untried), MOST_UNTRIED)))

    def _note_untried(self, host: str, view: HostView | None) -> None:
        # What changed last is last.
        self._untried.pop(host, None)
        policy = self._desired.hosts.get(host)
        if policy is not None and not (view and view.host == policy and view.whole):
            self._untried[host] = None

    def suspects(self, draft: Draft) -> dict[str, bytes]:
        """The hosts that may be at fault for a refusal of this draft, with what each would have been."""
        return {self._host_of[file]: data for file, data in draft.files.items() if data and file in self._host_of}

    def refuse(self, draft: Draft, host: str, blame: Blame, now: float) -> bool:
        """The proxy refused this host's draft, which is not tried for as long as that is believed; False if known."""
        view = draft.views[host]
        self._desired.refuse(host, blame.reason, view.host if view and blame.exact else None)
        return self._refusals.remember(host, draft.files.get(self._renderer.file_of(host)) or b"", blame, now)

    def acquit(self, now: float) -> set[str]:
        """The hosts that a guess has held back for long enough: they are to be tried again."""
        found = self._refusals.expired(now)
        for host in found:
            self._desired.pardon(host)
        return found

    @property
    def overdue(self) -> tuple[str, ...]:
        """Hosts that the proxy still sends to an endpoint which is to get nothing; some of them, sorted."""
        return tuple(sorted(self._overdue)[:_FEW])
