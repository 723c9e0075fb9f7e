"""What a client of the API can change: services, networks, nodes, secrets and configs. Pure; called by `api`.

Each function checks as Docker does, raises `Refused` with Docker's status and wording, and leaves the rest
to `machine`.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from interlock_simulator import lookup, rolling, workload
from interlock_simulator.addresses import Subnet
from interlock_simulator.refusal import Refused, conflict
from interlock_simulator.swarm import Swarm
from interlock_simulator.values import Attachment, Json, Material, Network, Node, Service, VipDown, VipUp

_NAME = re.compile(r"[a-zA-Z0-9]+(?:[a-zA-Z0-9_.-]*[a-zA-Z0-9])?")


def _checked(swarm: Swarm, posted: Json) -> Json:
    spec: Json = msgspec.json.decode(msgspec.json.encode(posted))
    name = spec.get("Name") or ""
    if not _NAME.fullmatch(name) or len(name) > 63:
        raise Refused(400, "rpc error: code = InvalidArgument desc = name must be valid as a DNS name component")
    template = spec.setdefault("TaskTemplate", {})
    if not (template.get("ContainerSpec") or {}).get("Image"):
        raise Refused(400, "rpc error: code = InvalidArgument desc = ContainerSpec: image reference must be provided")
    spec.setdefault("Labels", {})
    spec["Labels"] = spec["Labels"] or {}
    spec["Mode"] = _mode(spec.get("Mode") or {"Replicated": {}})
    spec["EndpointSpec"] = {"Mode": "vip", **(spec.get("EndpointSpec") or {})}
    template.setdefault("ForceUpdate", 0)
    template.setdefault("Runtime", "container")
    networks = template.get("Networks") or spec.pop("Networks", None) or []
    places = [{**entry, "Target": _network(swarm, entry["Target"]).id} for entry in networks]
    # Docker leaves out what is empty.
    template.pop("Networks", None)
    template |= {"Networks": places} if places else {}
    for place in places:
        if place["Target"] not in swarm.subnets:
            raise Refused(
                403, f"network {place['Target']} cannot be used with services: only networks scoped to the swarm can"
            )
    workload.of(template)
    return spec


def _network(swarm: Swarm, ref: str) -> Network:
    try:
        return lookup.network(swarm, ref)
    except Refused as error:
        # Of a network to be used, other than of one to be shown, Docker says so as an error of its own.
        raise Refused(500, str(error)) from error


def _mode(posted: Json) -> Json:
    """Go reads keys in any case, and docker-py relies on it."""
    mode = {key.capitalize(): value or {} for key, value in posted.items()}
    if "Replicated" in mode:
        return {"Replicated": {"Replicas": 1, **mode["Replicated"]}}
    if "Global" in mode:
        return {"Global": {}}
    raise Refused(400, f"the simulator has no service mode {', '.join(posted)}: use replicated or global")


def create_service(swarm: Swarm, posted: Json, now: float) -> Service:
    """A new service; its tasks come with the next `advance`."""
    spec = _checked(swarm, posted)
    name = spec["Name"]
    if name in swarm.names:
        raise conflict("service", name)
    service = Service(id=swarm.new_id(), name=name, spec=spec, created=now, updated=now)
    _check_ports(swarm, service)
    stored = swarm.put_service(service, now)
    swarm.event("service", "create", stored.id, name, now)
    swarm.at(now + swarm.profile.allocated, "allocate", stored.id)
    return stored


def allocate(swarm: Swarm, service_id: str, now: float) -> None:
    """Some time after its creation a service gets its VIPs and ports, and an event of its own tells of it."""
    service = swarm.services.get(service_id)
    if service is None:
        return
    allocated = _endpoint(swarm, service)
    if (allocated.vips, allocated.ports) == (service.vips, service.ports):
        return
    stored = swarm.put_service(allocated, now)
    swarm.event("service", "update", stored.id, stored.name, now)
    if workload.of(stored.template).listens:
        swarm.effects.append(VipUp(stored.id))


def network_allocated(swarm: Swarm, network_id: str, now: float) -> None:
    """The same of a network."""
    network = swarm.networks.get(network_id)
    if network is not None:
        swarm.event("network", "update", network.id, network.name, now)


def _check_ports(swarm: Swarm, service: Service) -> None:
    asked = {port.get("PublishedPort"): port for port in service.spec["EndpointSpec"].get("Ports") or []}
    asked.pop(None, None)
    others = [other for other in swarm.services.values() if other.id != service.id] if asked else []
    for other in others:
        for port in (*other.ports, *(other.spec["EndpointSpec"].get("Ports") or [])):
            if port.get("PublishedPort") in asked:
                mode = port.get("PublishMode", "ingress")
                why = f"port '{port['PublishedPort']}' is already in use by service '{other.name}' ({other.id})"
                kind = "an ingress port" if mode == "ingress" else "a host-published port"
                raise Refused(400, f"rpc error: code = InvalidArgument desc = {why} as {kind}")


def _endpoint(swarm: Swarm, service: Service) -> Service:
    """VIPs for the networks the service has now, keeping those it had; published ports filled in."""
    ports = []
    asked = service.spec["EndpointSpec"].get("Ports") or []
    others = [other for other in swarm.services.values() if other.id != service.id] if asked else []
    taken = {port["PublishedPort"] for other in others for port in other.ports}
    for port in asked:
        published = port.get("PublishedPort") or next(number for number in range(30000, 32768) if number not in taken)
        taken.add(published)
        ports.append({"Protocol": "tcp", "PublishMode": "ingress", **port, "PublishedPort": published})
    wanted = [entry["Target"] for entry in service.template.get("Networks") or []]
    if any(port["PublishMode"] == "ingress" for port in ports):
        wanted = [network.id for network in swarm.networks.values() if network.ingress] + wanted
    if service.spec["EndpointSpec"]["Mode"] == "dnsrr":
        wanted = []
    had = {vip.network_id: vip for vip in service.vips}
    vips: list[Attachment] = []
    for network_id in wanted:
        vip = had.pop(network_id, None) or swarm.take(network_id)
        if vip is not None:
            vips.append(vip)
    for vip in had.values():
        swarm.subnets[vip.network_id].give_back(vip.address)
    return msgspec.structs.replace(service, vips=tuple(vips), ports=tuple(ports))


def update_service(swarm: Swarm, ref: str, version: int, posted: Json, now: float, *, back: bool = False) -> Service:
    """A new spec (or, with `back`, the previous one); `version` is the Version.Index that the client read."""
    service = lookup.service(swarm, ref)
    if version != service.index:
        raise Refused(500, "rpc error: code = Unknown desc = update out of sequence")
    status: Json | None = None
    if back:
        if service.previous is None:
            raise Refused(400, "rpc error: code = FailedPrecondition desc = service does not have a previous spec")
        spec = service.previous
        status = {"State": "rollback_started", "StartedAt": now, "Message": "manually requested rollback"}
    else:
        spec = _checked(swarm, posted)
        if spec["Name"] != service.name:
            raise Refused(501, "rpc error: code = Unimplemented desc = renaming services is not supported")
        if ("Replicated" in spec["Mode"]) is (service.replicas is None):
            raise Refused(501, "rpc error: code = Unimplemented desc = service mode change is not allowed")
    more = _differences(service, spec)
    if back:
        more["updatestate_new"] = "rollback_started"
    changed = msgspec.structs.replace(service, spec=spec, previous=service.spec, update_status=status)
    _check_ports(swarm, changed)
    stored = swarm.put_service(_endpoint(swarm, changed), now)
    swarm.event("service", "update", stored.id, stored.name, now, **more)
    if (stored.vips, stored.ports) != (service.vips, service.ports):
        swarm.effects += [VipDown(stored.id), VipUp(stored.id)]
    for key in [key for key in swarm.restarts if key[0] == stored.id]:
        del swarm.restarts[key]
    rolling.begin(swarm, stored, now)
    return swarm.services[stored.id]


def _differences(service: Service, spec: Json) -> dict[str, str]:
    more: dict[str, str] = {}
    old_image, new_image = (s["TaskTemplate"]["ContainerSpec"]["Image"] for s in (service.spec, spec))
    if old_image != new_image:
        more |= {"image_old": old_image, "image_new": new_image}
    if service.replicas is not None and service.replicas != spec["Mode"]["Replicated"]["Replicas"]:
        more |= {"replicas_old": str(service.replicas), "replicas_new": str(spec["Mode"]["Replicated"]["Replicas"])}
    return more


def remove_service(swarm: Swarm, ref: str, now: float) -> None:
    """The service is gone from the API at once; its tasks are wanted removed."""
    service = lookup.service(swarm, ref)
    del swarm.services[service.id]
    del swarm.names[service.name]
    swarm.rollouts.pop(service.id, None)
    for vip in service.vips:
        swarm.subnets[vip.network_id].give_back(vip.address)
    swarm.dirty[service.id] = None
    swarm.effects.append(VipDown(service.id))
    swarm.event("service", "remove", service.id, service.name, now)


def create_network(swarm: Swarm, posted: Json, now: float) -> Network:
    """A new overlay network, with the subnet asked for or the next of the pool."""
    name = posted.get("Name") or ""
    if not name:
        raise Refused(400, "network name cannot be empty")
    if any(network.name == name for network in swarm.networks.values()):
        raise Refused(409, f"network with name {name} already exists")
    driver = posted.get("Driver") or "bridge"
    if driver != "overlay":
        raise Refused(403, f"the simulator only makes overlay networks, not {driver!r}: add --driver overlay")
    configs = (posted.get("IPAM") or {}).get("Config") or []
    taken = {subnet.cidr for subnet in swarm.subnets.values()}
    cidr = configs[0].get("Subnet") if configs else swarm.pool.take(taken)
    if not cidr:
        raise Refused(
            500, "rpc error: code = Unknown desc = could not find an available, non-overlapping IPv4 address pool"
        )
    network = Network(
        id=swarm.new_id(),
        name=name,
        subnet=cidr,
        labels=posted.get("Labels") or {},
        options=posted.get("Options") or {},
        attachable=bool(posted.get("Attachable")),
        internal=bool(posted.get("Internal")),
        ingress=bool(posted.get("Ingress")),
        index=swarm.bump(),
        created=now,
    )
    swarm.subnets[network.id] = Subnet(cidr, serial=swarm.serial)
    swarm.networks[network.id] = network
    swarm.event("network", "create", network.id, name, now)
    swarm.at(now + swarm.profile.allocated, "network_allocated", network.id)
    return network


def remove_network(swarm: Swarm, ref: str, now: float) -> None:
    """Removes a network that no service uses."""
    network = lookup.network(swarm, ref)
    for service in swarm.services.values():
        if any(entry["Target"] == network.id for entry in service.template.get("Networks") or []):
            why = f"network {network.id} is in use by service {service.id}"
            raise Refused(400, f"rpc error: code = FailedPrecondition desc = {why}")
    if network.id not in swarm.subnets:
        raise Refused(403, f"{network.name} is a pre-defined network and cannot be removed")
    del swarm.networks[network.id], swarm.subnets[network.id]
    swarm.event("network", "remove", network.id, network.name, now)


def add_node(swarm: Swarm, hostname: str, role: str, now: float) -> Node:
    """A node joins, ready; the first manager leads."""
    spec: Json = {"Labels": {}, "Role": role, "Availability": "active"}
    address = swarm.pool.nodes[len(swarm.nodes)]
    leader = role == "manager" and not any(node.leader for node in swarm.nodes.values())
    node = Node(
        id=swarm.new_id(), hostname=hostname, address=address, spec=spec, leader=leader, created=now, updated=now
    )
    stored = swarm.put_node(node, now)
    swarm.event("node", "create", stored.id, hostname, now)
    swarm.dirty.update(dict.fromkeys(swarm.services))
    return stored


def update_node(swarm: Swarm, ref: str, version: int, spec: Json, now: float) -> Node:
    """Availability, role, labels. Drain takes the node's tasks away, its event says so."""
    node = lookup.node(swarm, ref)
    if version != node.index:
        raise Refused(500, "rpc error: code = Unknown desc = update out of sequence")
    wanted: Json = {"Labels": {}, "Role": "worker", "Availability": "active", **spec}
    if wanted["Availability"] not in {"active", "pause", "drain"}:
        raise Refused(400, f"invalid Availability: {wanted['Availability']!r}")
    wanted["Labels"] = wanted["Labels"] or {}
    stored = swarm.put_node(msgspec.structs.replace(node, spec=wanted), now)
    more: dict[str, str] = {}
    if stored.availability != node.availability:
        more = {"availability_old": node.availability, "availability_new": stored.availability}
    swarm.event("node", "update", node.id, node.hostname, now, **more)
    if stored.availability == "drain":
        swarm.at(now, "drain", node.id)
    swarm.dirty.update(dict.fromkeys(swarm.services))
    return stored


def create_material(swarm: Swarm, kind: str, posted: Json, now: float) -> Material:
    """A new secret or config."""
    name = posted.get("Name") or ""
    if not name:
        raise Refused(400, f"rpc error: code = InvalidArgument desc = {kind} name must be provided")
    if any(thing.kind == kind and thing.name == name for thing in swarm.materials.values()):
        raise conflict(kind, name)
    spec: dict[str, Any] = {"Name": name, "Labels": posted.get("Labels") or {}}
    if kind == "config":
        spec["Data"] = posted.get("Data") or ""
    thing = Material(id=swarm.new_id(), kind=kind, name=name, spec=spec, index=swarm.bump(), created=now, updated=now)
    swarm.materials[thing.id] = thing
    swarm.event(kind, "create", thing.id, name, now)
    return thing


def remove_material(swarm: Swarm, kind: str, ref: str, now: float) -> None:
    """Removes a secret or config."""
    thing = lookup.material(swarm, kind, ref)
    del swarm.materials[thing.id]
    swarm.event(kind, "remove", thing.id, thing.name, now)
