"""Services and tasks for tests, in as few words as a test should need."""

from __future__ import annotations

from interlock.model.swarm import Network, PublishedPort, Service, ServicePort, Task

NET = Network(id="net1", name="web", vip="10.0.1.2")
LB = "com.docker.lb."


def task(
    task_id: str,
    address: str | None = "10.0.1.10",
    *,
    state: str = "running",
    desired: str = "running",
    draining_since: float | None = None,
    node_down: bool = False,
    network: str = NET.id,
    node: str = "",
    published: int = 0,
) -> Task:
    """A task on one network; no address where `address` is None. `published`: its 8080, on the address `node`."""
    return Task(
        id=task_id,
        state=state,
        desired=desired,
        addresses={network: address} if address else {},
        draining_since=draining_since,
        node_down=node_down,
        node_address=node,
        ports=(PublishedPort(target=8080, published=published),) if published else (),
    )


def service(
    name: str,
    *tasks: Task,
    service_id: str = "",
    created: str = "2024-05-01T10:00:00Z",
    networks: tuple[Network, ...] = (NET,),
    replicas: int | None = None,
    stack: str = "",
    ports: tuple[ServicePort, ...] = (),
    dnsrr: bool = False,
    **labels: str,
) -> Service:
    """A service; labels without their prefix. `port` is 8080 unless given (blank: none)."""
    named = {"port": "8080", **labels}
    if not named["port"]:
        del named["port"]
    texts = {LB + key: value for key, value in named.items()}
    if stack:
        texts["com.docker.stack.namespace"] = stack
    return Service(
        id=service_id or f"id-{name}",
        name=name,
        created=created,
        labels=texts,
        networks=networks,
        tasks=tasks,
        ports=ports,
        dnsrr=dnsrr,
        replicas=len(tasks) if replicas is None else replicas,
    )
