"""Which hosts of a cluster are held on an older policy, which are on trial, and what proxies say of either. Pure.

A host whose policy changes is *on trial* until every live proxy runs it and one has tried it: serves it with endpoints.
The policy that was accepted before is kept that long. The first refusal of exactly the policy that is wanted ends the
trial: the host is *held*, for all proxies of the cluster, until its services want another policy, or until every worker
that refused it has been started anew. A refusal of what all had accepted (by a proxy that joined later, say) is told,
and holds nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from interlock.model.held import Held
from interlock.model.outcome import HostRejection, Outcome
from interlock.model.routing import VirtualHost
from interlock.model.version import Version
from interlock.wire.fields import policy_digest
from interlock_planner.stages.holding import turned

GONE_AFTER = 30.0
"""Seconds after which a proxy that refused a policy, and is no longer heard of, is taken for replaced."""

LOOK_AGAIN = 2.0
"""Seconds after which proxies are heard again while one refuses: a proxy that goes has no news of that."""


Said = tuple[Outcome, HostRejection]
"""Who refused something, and what."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the services of a host want at present."""

    policy: VirtualHost
    services: tuple[str, ...]


class Holds:
    """The records of one cluster, by host. Times are Unix seconds, given by the caller."""

    def __init__(self) -> None:
        self._records: dict[str, Held] = {}
        self._changed: set[str] = set()
        self._unpublished: set[str] = set()
        self._tried: dict[str, Version] = {}
        self._missing: dict[str, float] = {}
        self._heard_at = float("-inf")

    @property
    def records(self) -> dict[str, Held]:
        """All of them, as a copy: whoever takes over must know them."""
        return dict(self._records)

    @property
    def changed(self) -> dict[str, Held | None]:
        """Of these, what differs since `stored`; None where there is none any more."""
        return {host: self._records.get(host) for host in sorted(self._changed)}

    def stored(self) -> None:
        """What has changed is safe now."""
        self._changed.clear()

    def published(self, version: Version, *, whole: bool) -> None:
        """What is on trial is in this version, or an earlier one. `whole`: earlier ones may not be comparable."""
        if whole:
            self._unpublished |= {host for host, record in self._records.items() if not record.refused}
        self._tried.update(dict.fromkeys(self._unpublished, version))
        self._unpublished.clear()

    def begin(self, records: Mapping[str, Held]) -> None:
        """Take over what was stored."""
        self._records.update(records)
        self._unpublished |= {host for host, record in records.items() if not record.refused}

    def settle(self, host: str, wanted: VirtualHost | None, before: VirtualHost | None) -> Held | None:
        """The host's services want `wanted` (None: there are none), `before` is published; its record if it is held."""
        record = turned(self._records.get(host), wanted, before) if wanted else None
        self._put(host, record)
        if record is None:
            return None
        if record.refused:
            return record
        if wanted != before:
            self._unpublished.add(host)
            self._tried.pop(host, None)
        return None

    def due(self, now: float) -> bool:
        """Whether proxies are to be heard although none has news."""
        return now - self._heard_at >= LOOK_AGAIN and any(record.refused for record in self._records.values())

    def judge(self, outcomes: Sequence[Outcome], asked: Callable[[str], Asked | None], now: float) -> set[str]:
        """Hear all live proxies; returns the hosts that are to be planned anew. `asked`: without any hold."""
        self._heard_at = now
        said = _rejections(outcomes)
        self._look_for_missing(outcomes, now)
        touched = {host for host in sorted(said) if self._refused(host, said[host], asked(host), now)}
        everywhere, untried = _everywhere(outcomes), _untried(outcomes)
        for host, record in list(self._records.items()):
            if host in touched:
                continue
            if not record.refused:
                if host not in said and host not in untried and _includes(everywhere, self._tried.get(host)):
                    self._put(host, None)
            elif self._mended(record, outcomes, now):
                touched.add(host)
                self._put(host, Held(policy=record.policy))
            elif self._recanted(record, said.get(host, {})):
                touched.add(host)
                self._put(host, None)
        return touched

    def _refused(self, host: str, said: Mapping[str, Sequence[Said]], asked: Asked | None, now: float) -> bool:
        if asked is None:
            return False
        digest = policy_digest(asked.policy)
        record = self._records.get(host)
        if digest not in said or (record and record.refused == digest):
            return False
        who = said[digest]
        self._put(
            host,
            Held(
                policy=_accepted(record, [rejection.kept for _, rejection in who]) if record else asked.policy,
                refused=digest,
                reason=who[0][1].reason,
                proxies=tuple(outcome.proxy for outcome, _ in who),
                runs=tuple(outcome.run for outcome, _ in who),
                since=now,
                services=asked.services,
            ),
        )
        return True

    def _mended(self, record: Held, outcomes: Sequence[Outcome], now: float) -> bool:
        """Whether none of the workers that refused it is left, and others are."""
        runs = {outcome.proxy: outcome.run for outcome in outcomes}
        for proxy, run in zip(record.proxies, record.runs, strict=False):
            if proxy in runs and runs[proxy] == run:
                return False
            if proxy not in runs and now - self._missing.get(proxy, now) < GONE_AFTER:
                return False
        return bool(runs)

    def _recanted(self, record: Held, said: Mapping[str, object]) -> bool:
        """Whether nobody refuses any more what the others had accepted all along."""
        return (
            record.policy is not None and policy_digest(record.policy) == record.refused and record.refused not in said
        )

    def _look_for_missing(self, outcomes: Iterable[Outcome], now: float) -> None:
        live = {outcome.proxy for outcome in outcomes}
        refusing = {proxy for record in self._records.values() for proxy in record.proxies}
        self._missing = {proxy: self._missing.get(proxy, now) for proxy in refusing - live}

    def _put(self, host: str, record: Held | None) -> None:
        before = self._records.get(host)
        if record is None:
            self._records.pop(host, None)
            self._tried.pop(host, None)
            self._unpublished.discard(host)
        else:
            self._records[host] = record
        if record != before:
            self._changed.add(host)


def _accepted(record: Held, kept: Iterable[str]) -> VirtualHost | None:
    """The last accepted policy: the one between that a proxy says it serves, else the one before them."""
    between = {policy_digest(policy): policy for policy in record.between}
    return next((between[digest] for digest in kept if digest in between), record.policy)


def _everywhere(outcomes: Sequence[Outcome]) -> Version | None:
    """The version that all live proxies run, or a newer one; None where there is none, or nobody is there."""
    versions = [outcome.version for outcome in outcomes if outcome.version is not None]
    if not versions or len(versions) < len(outcomes) or len({version.generation for version in versions}) > 1:
        return None
    return min(versions, key=lambda version: version.seq)


def _untried(outcomes: Iterable[Outcome]) -> set[str]:
    """Hosts that no live proxy has served with endpoints yet: proxies were not given what their policy says."""
    each = [set(outcome.untried) for outcome in outcomes]
    return set.intersection(*each) if each else set()


def _includes(running: Version | None, tried: Version | None) -> bool:
    return tried is not None and tried.within(running)


def _rejections(outcomes: Iterable[Outcome]) -> dict[str, dict[str, list[Said]]]:
    """Host to digest to who refused that and why, by proxy."""
    found: dict[str, dict[str, list[Said]]] = {}
    for outcome in sorted(outcomes, key=lambda o: o.proxy):
        for rejection in outcome.rejections:
            found.setdefault(rejection.host, {}).setdefault(rejection.refused, []).append((outcome, rejection))
    return found
