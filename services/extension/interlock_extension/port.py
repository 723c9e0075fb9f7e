"""The contract of an extension: what any kind of proxy must offer, and the values that cross the line.

`Renderer` is pure: values in, bytes out. `Control` is the shell around one proxy. The worker knows only these; a
third party registers its own `Extension` under the entry point group `interlock.extensions`; `docs/extensions.md` shows
how, and `interlock_extension.testing` holds this contract as tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from interlock.model.routing import Upstream, VirtualHost
from interlock.model.version import Token

Started = Literal["started", "adopted"]

Kind = Literal["endpoints", "routes", "certificates", "structure"]
"""What a change may be of: who serves, which host and path leads where, TLS material, and all that is no host's own."""


class HostView(msgspec.Struct, frozen=True, kw_only=True):
    """One virtual host as it is to be served: its policy, and its upstreams with only the endpoints to use.

    `upstreams` is in the order of the routes; an upstream without a usable endpoint is left out.
    """

    host: VirtualHost
    upstreams: tuple[Upstream, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether any path of it can be served."""
        return bool(self.upstreams)

    @property
    def whole(self) -> bool:
        """Whether every path of it can be served: only then all of its policy is in the file."""
        present = {upstream.name for upstream in self.upstreams}
        return all(route.upstream in present for route in self.host.routes)


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be brought into effect. `hosts`: those that differ, each before and after; None where there is none.

    `files`: those whose content differs, None for one that goes.
    """

    hosts: dict[str, tuple[HostView | None, HostView | None]] = {}
    files: dict[str, bytes | None] = {}


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What a proven apply took. Unix seconds.

    `effective_at`: new connections and requests meet only the new configuration. `let_go_at`: nothing that the new
    configuration leaves out can be sent a request any more, on connections that were idle before either.
    """

    applying_at: float
    effective_at: float
    let_go_at: float
    detail: str = ""


class Fence(Protocol):
    """The right to write to a proxy elsewhere, which others may be given: asked anew right before each write.

    It is no proof against a process that is held up between asking and writing. So a control also leaves the token's
    epoch with the proxy, and writes nothing where it finds a greater one.
    """

    def token(self, margin: float) -> Token | None:
        """The token, None where the right is not certain to last `margin` seconds: longer than the write may take."""

    def outbid(self, seen: int) -> None:
        """The proxy has a greater epoch: should we hold the right after all, then with one that is greater yet."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What an extension is told. `folder` is its own. `options`: the extension's, by Interlock's names.

    `places`: where each of them was said, such as `config.toml:7: Extensions.default.Config.User`. `template`: the
    name of a user's own template, empty where none was named. `cluster`: the service cluster, as `region/cluster`.
    `fence`: of a worker of a pool, the right to write; None where the proxy is this worker's alone.
    """

    folder: Path
    listen: tuple[str, ...] = ("8080",)
    binary: str = ""
    proxy_id: str = ""
    server_info: str = ""
    options: dict[str, object] = {}
    places: dict[str, str] = {}
    template: str = ""
    cluster: str = ""
    fence: Fence | None = None


class Renderer(Protocol):
    """Values to files; pure. File names are relative to the proxy's folder."""

    def file_of(self, host: str) -> str:
        """The file that holds a virtual host, and no other's."""

    def host(self, view: HostView) -> bytes:
        """That file's content, whatever other hosts there are.

        A feature that the proxy lacks is left out. Raises `ConfigRejected` for a value that cannot be written safely.
        """

    def unserved(self, host: str) -> bytes:
        """The file of a host that answers 503, written by nothing of a user's, so that nothing of theirs can break it.

        Raises `ConfigRejected` for a name that cannot be written safely.
        """

    def shared(self, hosts: int, longest: int, *, default: bool) -> dict[str, bytes]:
        """The files that belong to no single host.

        `hosts`: how many there are; `longest`: the longest name's characters; `default`: whether the virtual host
        `DEFAULT_HOST` is among them.
        """


class Control(Protocol):
    """One proxy, owned or adopted. Not for several threads."""

    def start(self, files: Mapping[str, bytes]) -> Started:
        """Adopt the running proxy, whatever it serves, or start it with exactly `files`; it serves when this returns.

        Raises `ConfigRejected`, with the file as culprit, and `ProxyUnavailable`; no proxy runs then.
        """

    def installed(self) -> dict[str, bytes]:
        """The files that the running proxy was given.

        Where it is not known whether an adopted one runs what lies there: their names with other content, so that the
        worker brings all of them anew.
        """

    @property
    def in_place(self) -> frozenset[Kind]:
        """What this proxy can change while it runs. A single change may still be refused: `NotInPlace`."""

    def apply_delta(self, change: Change, note: str) -> Proof:
        """Change the running proxy in place, write the files too, so that its next start gives the same, and prove it.

        Asked only for what `in_place` names. Raises `NotInPlace` (nothing was changed), `ConfigRejected` and
        `ProxyUnavailable` as `apply_snapshot`.
        """

    def apply_snapshot(self, files: Mapping[str, bytes | None], note: str) -> Proof:
        """Have the proxy read all of its files anew, these being changed (None: gone), and prove it.

        Raises `ConfigRejected` (nothing of it runs; the files are those that were proven last) and `ProxyUnavailable`
        (not proven; the files stay, for the next start).
        """

    def probe(self) -> bool | None:
        """Whether the proxy says that it runs what was applied last; None where it does not answer.

        False is the work of somebody else, such as a reload by hand; the worker then applies a snapshot. Raises
        `NotInPlace` where a snapshot is needed for another reason, such as a control socket that is gone.
        """

    def check(self, hosts: Mapping[str, bytes]) -> None:
        """Have the proxy read the files of these hosts aside, by the hosts' names, to find which is at fault.

        No host: only what is nobody's own. Raises `ConfigRejected`, with the file as culprit where the proxy names it,
        and `ProxyUnavailable` where it cannot be asked.
        """

    def alive(self) -> bool:
        """Whether the proxy runs."""

    def witness(self) -> tuple[str, tuple[str, ...]] | None:
        """For the health check, from any thread: a private socket and how the proxy's answer there may begin.

        More than one only while a change is being brought into effect; None while the proxy does not run. See
        `interlock.runtime.health`.
        """

    def tend(self) -> dict[str, float]:
        """Bound what old generations hold; called about once a second. Gauges and totals to report.

        Each goes into the outcome and the metric `interlock_extension_proxy{what}`; those that `meters.PROXYS_OWN`
        lists are metrics of their own, with one meaning for every kind of proxy.
        """

    def stop(self, timeout: float) -> None:
        """End the proxy, if it runs; requests in flight may finish within `timeout` seconds. Nobody listens then."""

    def leave(self) -> None:
        """Let go of the proxy; it goes on serving."""


class Extension(Protocol):
    """What an entry point of `interlock.extensions` names.

    One whose proxies are elsewhere has an attribute `pooled = True`, and is opened with `Settings.fence`: see
    `registry.pooled`.
    """

    @property
    def name(self) -> str:
        """As on the command line."""

    def open(self, settings: Settings) -> tuple[Renderer, Control]:
        """Raises `ConfigError` and `PartMissing`."""
