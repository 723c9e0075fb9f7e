"""Docker's objects to one self-contained `Service`. Pure; called by `view` whenever something of a service changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from interlock.labels.relevance import relevant
from interlock.model.swarm import Network, PublishedPort, Service, ServicePort, Task
from interlock_watcher.engine import Attachment, RawNetwork, RawNode, RawService, RawTask

FINISHED = frozenset({"complete", "shutdown", "failed", "rejected", "remove", "orphaned"})
"""States of a task that will not run any more."""


def translate(
    service: RawService,
    tasks: Iterable[RawTask],
    nodes: Mapping[str, RawNode],
    networks: Mapping[str, RawNetwork],
    draining_since: Mapping[str, float],
) -> Service:
    """The service as it travels on the bus. `draining_since`: Unix seconds of the first sight, by task id."""
    kept = (task for task in tasks if task.status.state not in FINISHED)
    return Service(
        id=service.id,
        name=service.spec.name,
        created=service.created_at,
        index=service.version.index,
        labels=relevant(service.labels),
        networks=_networks(service, networks),
        tasks=tuple(
            _task(task, nodes.get(task.node_id), draining_since.get(task.id)) for task in sorted(kept, key=_task_id)
        ),
        ports=_asked(service),
        dnsrr=service.dnsrr,
        replicas=service.replicas,
        updating=service.updating,
    )


def draining(task: RawTask) -> bool:
    """Still running, but Swarm has shown that it will stop it."""
    return task.status.state == "running" and task.desired_state != "running"


def _task_id(task: RawTask) -> str:
    return task.id


def _task(task: RawTask, node: RawNode | None, since: float | None) -> Task:
    return Task(
        id=task.id,
        slot=task.slot,
        node_id=task.node_id,
        node_address=node.address if node else "",
        node_down=node.down if node else False,
        state=task.status.state,
        desired=task.desired_state,
        addresses={a.network.id: _plain(a) for a in task.networks_attachments or () if a.addresses},
        ports=_ports(task),
        draining_since=since if draining(task) else None,
    )


def _plain(attachment: Attachment) -> str:
    return (attachment.addresses or ("",))[0].partition("/")[0]


def _asked(service: RawService) -> tuple[ServicePort, ...]:
    return tuple(
        sorted(
            ServicePort(
                target=port.target_port,
                published=port.published_port,
                protocol=port.protocol,
                mode=port.publish_mode or "ingress",
            )
            for port in service.ports
        )
    )


def _ports(task: RawTask) -> tuple[PublishedPort, ...]:
    found = {
        PublishedPort(target=port.target_port, published=port.published_port, protocol=port.protocol)
        for port in task.ports
        if port.published_port
    }
    return tuple(sorted(found))


def _networks(service: RawService, networks: Mapping[str, RawNetwork]) -> tuple[Network, ...]:
    vips = {vip.network_id: vip.addr.partition("/")[0] for vip in service.endpoint.virtual_ips or ()}
    # A service is on its ingress network by its virtual IP alone; its spec does not say so.
    ids = dict.fromkeys((*service.network_ids, *vips))
    return tuple(sorted(_network(id_, networks.get(id_), vips.get(id_) or None) for id_ in ids))


def _network(id_: str, known: RawNetwork | None, vip: str | None) -> Network:
    if known is None:
        # Created a moment ago, or not listed to us: by its id it still routes, by name it cannot be chosen.
        return Network(id=id_, name="", driver="", vip=vip)
    return Network(id=id_, name=known.name, driver=known.driver, ingress=known.ingress, vip=vip)
