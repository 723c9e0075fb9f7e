"""The worker's own copy of the plan, and what is to be served of it. Pure: no I/O, no clock.

Every change answers which hosts it touches, so that the work that follows costs what changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, TypeVar

import msgspec

from interlock.model.routing import DEFAULT_HOST, Endpoint, PlanDelta, Upstream, VirtualHost, unserved
from interlock_extension.admission import Key, choose, key_of
from interlock_extension.port import HostView

T = TypeVar("T")


class Touched(msgspec.Struct, frozen=True, kw_only=True):
    """What a change concerns: hosts to look at again, endpoints that are new to us, and endpoints that are gone."""

    hosts: frozenset[str] = frozenset()
    fresh: frozenset[Key] = frozenset()
    gone: frozenset[Key] = frozenset()


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """A policy that the proxy refused; it is not tried again until it changes.

    `exact`: whether it is known to be this very policy, and not something that was brought into effect with it.
    """

    policy: VirtualHost
    reason: str
    exact: bool = False


class Desired:
    """Hosts and upstreams of the plan, the endpoints admitted or denied, the policies refused, the views served."""

    def __init__(self) -> None:
        self.hosts: dict[str, VirtualHost] = {}
        self.upstreams: dict[str, Upstream] = {}
        self.accepted: set[Key] = set()
        self.silent: set[Key] = set()
        self.denied: dict[Key, str] = {}
        self.refused: dict[str, Refused] = {}
        self.served: dict[str, HostView] = {}
        self.tried: dict[str, VirtualHost] = {}
        """The policies that were last served whole: only what was tried can be fallen back on"""
        self._users: dict[str, set[str]] = {}
        self._places: dict[Key, set[str]] = {}
        self._waiting: set[Key] = set()

    @property
    def waiting(self) -> int:
        """How many wanted endpoints have not been admitted yet."""
        return len(self._waiting)

    def replace(self, hosts: Mapping[str, VirtualHost], upstreams: Mapping[str, Upstream]) -> Touched:
        """Make this the whole plan."""
        return self.change(
            PlanDelta(hosts=_difference(self.hosts, hosts), upstreams=_difference(self.upstreams, upstreams))
        )

    def change(self, delta: PlanDelta) -> Touched:
        """Apply a delta to the copy."""
        hosts: set[str] = set()
        fresh: set[Key] = set()
        gone: set[Key] = set()
        for host, policy in delta.hosts.items():
            self._put_host(host, policy)
            hosts.add(host)
        for name, upstream in delta.upstreams.items():
            hosts |= self._put_upstream(name, upstream, fresh, gone)
        gone = {key for key in gone if key not in self._places}
        self.accepted -= gone
        self._waiting -= gone
        self.silent -= gone
        for key in gone:
            self.denied.pop(key, None)
        return Touched(
            hosts=frozenset(hosts),
            fresh=frozenset(key for key in fresh if key in self._places and key not in self.accepted),
            gone=frozenset(gone),
        )

    def _put_host(self, host: str, policy: VirtualHost | None) -> None:
        before = self.hosts.pop(host, None)
        for route in before.routes if before else ():
            users = self._users.get(route.upstream, set())
            users.discard(host)
            if not users:
                self._users.pop(route.upstream, None)
        refused = self.refused.get(host)
        if refused is not None and refused.policy != policy:
            del self.refused[host]
        if policy is None:
            return
        self.hosts[host] = policy
        for route in policy.routes:
            self._users.setdefault(route.upstream, set()).add(host)

    def _put_upstream(self, name: str, upstream: Upstream | None, fresh: set[Key], gone: set[Key]) -> set[str]:
        before = self.upstreams.pop(name, None)
        ended: set[Key] = set()
        for endpoint in before.endpoints if before else ():
            key = key_of(endpoint)
            if endpoint.draining:
                ended.add(key)
            places = self._places.get(key, set())
            places.discard(name)
            if not places:
                self._places.pop(key, None)
                gone.add(key)
        if upstream is not None:
            self.upstreams[name] = upstream
            for endpoint in upstream.endpoints:
                if not endpoint.draining and key_of(endpoint) in ended:
                    # A virtual IP behind which all tasks are others by now: who accepted is not who is to.
                    self.accepted.discard(key_of(endpoint))
                    fresh.add(key_of(endpoint))
                self._put_endpoint(name, endpoint, fresh, gone)
        return set(self._users.get(name, ()))

    def _put_endpoint(self, name: str, endpoint: Endpoint, fresh: set[Key], gone: set[Key]) -> None:
        key = key_of(endpoint)
        if key not in self._places and key not in gone:
            fresh.add(key)
        self._places.setdefault(key, set()).add(name)
        if key in self.accepted or endpoint.draining:
            self._waiting.discard(key)
        else:
            self._waiting.add(key)

    def accept(self, key: Key) -> frozenset[str]:
        """An endpoint has accepted a connection; the hosts that this touches."""
        if key not in self._places or key in self.accepted:
            return frozenset()
        self.accepted.add(key)
        self._waiting.discard(key)
        return self._hosts_of(key)

    def deny(self, keys: Mapping[Key, str]) -> dict[Key, frozenset[str]]:
        """These get no request until they are allowed or leave the plan, and why; those that are new, with hosts."""
        new = {key: self._hosts_of(key) for key in keys if key in self._places and key not in self.denied}
        self.denied.update((key, why) for key, why in keys.items() if key in self._places)
        return new

    def allow(self, keys: Iterable[Key]) -> dict[Key, frozenset[str]]:
        """These are themselves again; those that were denied, with hosts."""
        return {key: self._hosts_of(key) for key in keys if self.denied.pop(key, None) is not None}

    def hush(self, key: Key) -> frozenset[str]:
        """It stopped answering: it gets no request while others of its upstream do; the hosts that this touches."""
        if key not in self.accepted or key in self.silent:
            return frozenset()
        self.silent.add(key)
        return self._hosts_of(key)

    def hear(self, key: Key) -> frozenset[str]:
        """It answers again; the hosts that this touches."""
        if key not in self.silent:
            return frozenset()
        self.silent.discard(key)
        return self._hosts_of(key)

    def _hosts_of(self, key: Key) -> frozenset[str]:
        return frozenset(host for name in self._places.get(key, ()) for host in self._users.get(name, ()))

    def unadmitted(self) -> frozenset[Key]:
        """Every endpoint of the plan that has not accepted a connection."""
        return frozenset(self._places.keys() - self.accepted)

    def view(self, host: str) -> HostView | None:
        """The host as it is to be served now, 503 where no endpoint is; None when nobody claims it.

        Where the proxy refused the policy, the last accepted one stays, but its endpoints follow the live tasks; 503
        where it never accepted one.
        """
        policy = self.hosts.get(host)
        if policy is None:
            return None
        if host in self.refused:
            return self._held(host, policy)
        return self._chosen(policy, self.upstreams)

    def wanted(self, host: str) -> HostView | None:
        """The host as the plan has it, whatever was refused."""
        policy = self.hosts.get(host)
        return self._chosen(policy, self.upstreams) if policy else None

    def reduced(self, host: str) -> HostView | None:
        """What is served of the host, less the endpoints that are gone: where the proxy refuses all else."""
        served = self.served.get(host)
        if served is None or host not in self.hosts:
            return None
        live = self._live(self.hosts[host])
        upstreams = {u.name: _only(u, live) for u in served.upstreams}
        return self._chosen(served.host, upstreams)

    def lets_go(self, hosts: Iterable[str]) -> Literal["nothing", "some", "all"]:
        """Whether endpoints leave one of these hosts; `all` where no host that they leave has others."""
        found: Literal["nothing", "some", "all"] = "nothing"
        for host in hosts:
            before, after = _keys(self.served.get(host)), _keys(self.view(host))
            if before - after:
                if after:
                    return "some"
                found = "all"
        return found

    def serve(self, host: str, view: HostView | None) -> None:
        """The proxy serves this of the host; None for nothing."""
        if view is not None:
            self.served[host] = view
            # Not what stands in for it where it was refused.
            if view.whole and view.host == self.hosts.get(host):
                self.tried[host] = view.host
            return
        self.served.pop(host, None)
        if host not in self.hosts:
            self.tried.pop(host, None)

    def _chosen(self, policy: VirtualHost, upstreams: Mapping[str, Upstream]) -> HostView | None:
        found: dict[str, Upstream] = {}
        for route in policy.routes:
            upstream = upstreams.get(route.upstream)
            if upstream is None or upstream.name in found:
                continue
            chosen = choose(upstream, self.accepted, self.denied, self.silent)
            if chosen:
                found[upstream.name] = Upstream(name=upstream.name, endpoints=chosen)
        # A host that is claimed stays its owner's while nobody answers there: a wildcard or the default must not.
        if not found and policy.host == DEFAULT_HOST:
            return None
        return HostView(host=policy, upstreams=tuple(found.values()))

    def _live(self, policy: VirtualHost) -> dict[Key, Endpoint]:
        return {
            key_of(endpoint): endpoint
            for route in policy.routes
            if route.upstream in self.upstreams
            for endpoint in self.upstreams[route.upstream].endpoints
        }

    def _held(self, host: str, wanted: VirtualHost) -> HostView | None:
        served = self.served.get(host)
        if served is None:
            # It stays its owner's: neither a wildcard nor the default answers in its place.
            return self._chosen(unserved(host), {})
        live = self._live(wanted)
        upstreams = {u.name: self.upstreams.get(u.name) or _only(u, live) for u in served.upstreams}
        return self._chosen(served.host, upstreams)

    def refuse(self, host: str, reason: str, guilty: VirtualHost | None = None) -> None:
        """The host's present policy is not tried again. `guilty`: what the proxy refused, None for a guess."""
        policy = self.hosts.get(host)
        if policy is not None:
            before = self.refused.get(host)
            exact = policy == guilty or (before is not None and before.policy == policy and before.exact)
            self.refused[host] = Refused(policy=policy, reason=reason, exact=exact)

    def pardon(self, host: str) -> None:
        """Whom only a guess refused may be tried again."""
        refused = self.refused.get(host)
        if refused is not None and not refused.exact:
            del self.refused[host]

    def lets_down(self, view: HostView) -> bool:
        """Whether it sends to an endpoint that left the plan or is denied: its address may be another's by now."""
        return any(key not in self._places or key in self.denied for key in _keys(view))

    def draining(self, hosts: Iterable[str]) -> Iterator[Endpoint]:
        """The endpoints of these hosts that drain."""
        for host in hosts:
            policy = self.hosts.get(host)
            for route in policy.routes if policy else ():
                upstream = self.upstreams.get(route.upstream)
                yield from (e for e in upstream.endpoints if e.draining) if upstream else ()

    def draining_since(self, key: Key) -> float | None:
        """Since when the endpoint drains, if it is in the plan and does."""
        endpoint = self.endpoint(key)
        return endpoint.draining_since if endpoint else None

    def endpoint(self, key: Key) -> Endpoint | None:
        """The endpoint as the plan has it."""
        for name in self._places.get(key, ()):
            for endpoint in self.upstreams[name].endpoints:
                if key_of(endpoint) == key:
                    return endpoint
        return None

    def endpoints(self) -> dict[Key, Endpoint]:
        """Every endpoint of the plan; it costs the plan's size."""
        return {key_of(e): e for upstream in self.upstreams.values() for e in upstream.endpoints}

    def unheard(self) -> list[Endpoint]:
        """The wanted endpoints that have never accepted a connection."""
        names = {name for key in self._waiting for name in self._places.get(key, ())}
        found = {key_of(e): e for name in names for e in self.upstreams[name].endpoints}
        return [found[key] for key in self._waiting if key in found]


def _only(upstream: Upstream, live: Mapping[Key, Endpoint]) -> Upstream:
    kept = tuple(live[key] for key in map(key_of, upstream.endpoints) if key in live)
    return Upstream(name=upstream.name, endpoints=kept)


def _keys(view: HostView | None) -> set[Key]:
    return {key_of(endpoint) for upstream in view.upstreams for endpoint in upstream.endpoints} if view else set()


def _difference(before: Mapping[str, T], after: Mapping[str, T]) -> dict[str, T | None]:
    changed: dict[str, T | None] = dict.fromkeys(before.keys() - after.keys())
    changed.update((name, value) for name, value in after.items() if before.get(name) != value)
    return changed
