"""What is on the bus: is a watcher acting, is something stale, is a service cluster without a proxy? Reads only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from interlock.bus import keys
from interlock.bus.connection import Bus
from interlock.doctor.port import Ask, Check, Finding, error, ok, warning
from interlock.errors import BusError, ConfigError, NotAllowed
from interlock.inspection import view
from interlock.inspection.tables import ago
from interlock.inspection.view import ClusterView, RegionView, StatusView
from interlock.model.names import Cluster
from interlock.model.outcome import Outcome


def run(ask: Ask) -> Iterable[Finding]:
    """Regions and service clusters as the bus has them. Where the bus is not there, the check of the bus says so."""
    try:
        bus = Bus.connect(ask.bus_url, name="interlock-doctor")
    except ConfigError:
        return []
    try:
        status = view.status(bus, ask.region or None)
        for one in status.clusters:
            # The view takes what it may not read for missing.
            for key in (
                keys.plan(Cluster(one.region, one.cluster)).state,
                keys.outcomes(Cluster(one.region, one.cluster)),
            ):
                bus.command("HMGET", key, "@gen")
        return list(judge(status))
    except NotAllowed:
        return [ok("plans", "not checked: our user may not read them all; the operator may")]
    except BusError:
        return []
    finally:
        bus.close()


def judge(status: StatusView) -> Iterator[Finding]:
    """Findings from the state of an installation. Pure."""
    if not status.regions:
        yield warning(
            "watcher", "no watcher has written to this bus", lost="nothing is routed",
            remedy="start `interlock-watcher` on a manager of the Swarm, with this bus",
        )  # fmt: skip
    for region in status.regions:
        yield _watcher(region, status.at)
    for cluster in status.clusters:
        yield from _cluster(cluster)


def _watcher(region: RegionView, now: float) -> Finding:
    subject, watcher = f"watcher of {region.region}", region.watcher
    if watcher is None:
        return error(
            subject, "none has written yet", lost="nothing of this region is routed",
            remedy="start `interlock-watcher` on a manager of the Swarm, with this bus and region",
        )  # fmt: skip
    if region.silent_for is not None:
        return error(
            subject, f"no word from {watcher.owner} for {ago(region.silent_for)}",
            lost="changes in the Swarm are not seen; what was known is still served",
            remedy="start it again; two watchers take over from each other within two seconds",
        )  # fmt: skip
    if watcher.stale_since is not None:
        return error(
            subject, f"cannot read Docker since {ago(now - watcher.stale_since)}: {watcher.reason}",
            lost="changes in the Swarm are not seen; nothing is withdrawn",
            remedy="see to Docker there: `interlock doctor --role watcher` beside the watcher",
        )  # fmt: skip
    if watcher.unreadable:
        return warning(
            subject, f"cannot read {len(watcher.unreadable)} services: {', '.join(sorted(watcher.unreadable))}",
            lost="their last good state stays, their changes are not seen", remedy="see `interlock status`",
        )  # fmt: skip
    return ok(subject, f"{watcher.owner} acts, {watcher.services} services, API {watcher.api_version}")


def _cluster(cluster: ClusterView) -> Iterator[Finding]:
    subject = f"cluster {Cluster(cluster.region, cluster.cluster).title} of {cluster.region}"
    for text in cluster.stale:
        yield warning(subject, text, lost="its proxies may not serve what the Swarm has", remedy="as it says")
    if cluster.problems:
        yield warning(
            subject, f"{len(cluster.problems)} problems with labels, of {_owners(cluster)}",
            lost="these services are not routed as they ask", remedy="see `interlock status`; each names its remedy",
        )  # fmt: skip
    for proxy in cluster.proxies:
        for rejection in proxy.outcome.rejections:
            yield warning(
                subject, f"{proxy.outcome.proxy} refuses {rejection.host}: {rejection.reason}",
                lost="that host keeps its last accepted configuration", remedy="correct the labels of its services",
            )  # fmt: skip
        yield from _passed_over(subject, proxy.outcome)
        if proxy.outcome.drain_misses:
            yield warning(
                subject, f"{proxy.outcome.proxy} let {proxy.outcome.drain_misses} stopping tasks go too late",
                lost="requests may have failed in these moments",
                remedy="see its drain margins in its metrics; a smaller service cluster reloads faster",
            )  # fmt: skip
    if not cluster.stale and cluster.complete:
        yield ok(subject, f"{cluster.hosts} hosts, {cluster.endpoints} endpoints, {len(cluster.proxies)} proxies")


def _passed_over(subject: str, outcome: Outcome) -> Iterator[Finding]:
    """Endpoints of the plan that this proxy sends nothing to, whatever their tasks do."""
    if outcome.unreachable:
        missing = sorted({one.network for one in outcome.unreachable})
        services = ", ".join(sorted({one.service for one in outcome.unreachable}))
        yield warning(
            subject, f"{outcome.proxy} is not on the network {' or '.join(missing)} of {services}",
            lost="it does not reach these services",
            remedy=f"docker service update{''.join(f' --network-add {name}' for name in missing)} <proxy service>, or "
            "point com.docker.lb.network at a network that it has",
        )  # fmt: skip
    if outcome.denied:
        count = max(len(outcome.denied), int(outcome.counters.get("endpoints_denied", 0)))
        first = outcome.denied[0]
        yield warning(
            subject, f"{outcome.proxy} denies {count} endpoints; {first.service}: {first.address}: {first.why}",
            lost="they get no requests there until Docker's DNS confirms them or the plan is up to date",
            remedy="see to the bus, the watcher and Docker, which it is out of touch with; `interlock status` has all",
        )  # fmt: skip


def _owners(cluster: ClusterView) -> str:
    return ", ".join(sorted({problem.service for problem in cluster.problems}))


check = Check(name="plans", roles=("watcher", "planner", "proxy"), run=run)
