"""Values → Docker's JSON, as bytes, kept per object until it changes: a listing of 20,000 tasks joins what is there.

Pure but for the cache; called by `api`. Times are RFC 3339 with nanoseconds, in UTC.
"""

from __future__ import annotations

import time

import msgspec

from interlock_simulator.addresses import Subnet
from interlock_simulator.swarm import Swarm
from interlock_simulator.values import Attachment, Json, Material, Network, Node, Service, Task

NS = 1_000_000_000


def stamp(seconds: float) -> str:
    """`2026-11-22T22:11:52.123456789Z`."""
    nano = int(seconds * NS)
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(nano // NS))
    return f"{whole}.{nano % NS:09d}Z"


def network_inline(network: Network) -> Json:
    """The network as it stands inside a task's attachment."""
    ipam: Json = {"Driver": {"Name": "default"}}
    configs = [{"Subnet": network.subnet, "Gateway": Subnet(network.subnet).gateway}]
    spec: Json = {"Name": network.name, "Labels": network.labels, "DriverConfiguration": {"Name": network.driver}}
    spec |= {"IPAMOptions": ipam, "Scope": "swarm"}
    spec |= {"Ingress": True} if network.ingress else {}
    spec |= {"Attachable": True} if network.attachable else {}
    return {
        "ID": network.id,
        "Version": {"Index": network.index},
        "CreatedAt": stamp(network.created),
        "UpdatedAt": stamp(network.created),
        "Spec": spec,
        "DriverState": {
            "Name": network.driver,
            "Options": {"com.docker.network.driver.overlay.vxlanid_list": str(4096 + network.index)},
        },
        "IPAMOptions": {**ipam, "Configs": configs},
    }


def network(one: Network, containers: Json | None = None) -> Json:
    """The network as `/networks` shows it."""
    configs = [{"Subnet": one.subnet, "Gateway": Subnet(one.subnet).gateway}] if one.subnet else []
    return {
        "Name": one.name,
        "Id": one.id,
        "Created": stamp(one.created),
        "Scope": one.scope,
        "Driver": one.driver,
        "EnableIPv4": True,
        "EnableIPv6": False,
        "IPAM": {"Driver": "default", "Options": None, "Config": configs},
        "Internal": one.internal,
        "Attachable": one.attachable,
        "Ingress": one.ingress,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": containers,
        "Options": one.options,
        "Labels": one.labels,
    }


def node(one: Node) -> Json:
    """A node; managers have their ManagerStatus."""
    body: Json = {
        "ID": one.id,
        "Version": {"Index": one.index},
        "CreatedAt": stamp(one.created),
        "UpdatedAt": stamp(one.updated),
        "Spec": one.spec,
        "Description": {
            "Hostname": one.hostname,
            "Platform": {"Architecture": "x86_64", "OS": "linux"},
            "Resources": {"NanoCPUs": 2 * NS, "MemoryBytes": 4 << 30},
            "Engine": {"EngineVersion": "27.5.1", "Plugins": [{"Type": "Network", "Name": "overlay"}]},
            "TLSInfo": {},
        },
        "Status": {"State": one.state, "Addr": one.address},
    }
    if one.spec["Role"] == "manager":
        body["ManagerStatus"] = {"Reachability": "reachable", "Addr": f"{one.address}:2377"}
        body["ManagerStatus"] |= {"Leader": True} if one.leader else {}
    return body


def material(one: Material) -> Json:
    """A secret (without content) or a config."""
    times = {"CreatedAt": stamp(one.created), "UpdatedAt": stamp(one.updated)}
    return {"ID": one.id, "Version": {"Index": one.index}, **times, "Spec": one.spec}


def service(one: Service) -> Json:
    """A service, without ServiceStatus."""
    body: Json = {
        "ID": one.id,
        "Version": {"Index": one.index},
        "CreatedAt": stamp(one.created),
        "UpdatedAt": stamp(one.updated),
        "Spec": one.spec,
    }
    if one.previous is not None:
        body["PreviousSpec"] = one.previous
    endpoint: Json = {"Spec": one.spec["EndpointSpec"]}
    if one.ports:
        endpoint["Ports"] = one.ports
    if one.vips:
        endpoint["VirtualIPs"] = [{"NetworkID": vip.network_id, "Addr": _cidr(vip)} for vip in one.vips]
    body["Endpoint"] = endpoint
    if one.update_status is not None:
        times = {key: stamp(value) for key, value in one.update_status.items() if key.endswith("At")}
        body["UpdateStatus"] = {**one.update_status, **times}
    return body


def _cidr(place: Attachment) -> str:
    return f"{place.address}/{place.prefix}"


def task(one: Task, networks: dict[str, msgspec.Raw]) -> Json:
    """A task; `networks` holds the encoded inline form of each network."""
    status: Json = {"Timestamp": stamp(one.state_at), "State": one.state, "Message": one.message}
    if one.err:
        status["Err"] = one.err
    if one.container_id:
        status["ContainerStatus"] = {"ContainerID": one.container_id, "PID": one.pid, "ExitCode": one.exit_code}
    status["PortStatus"] = {"Ports": ports} if (ports := _host_ports(one)) else {}
    body: Json = {
        "ID": one.id,
        "Version": {"Index": one.index},
        "CreatedAt": stamp(one.created),
        "UpdatedAt": stamp(one.updated),
        "Labels": {},
        "Spec": one.template,
        "ServiceID": one.service_id,
        "Status": status,
        "DesiredState": one.desired,
    }
    if one.slot:
        body["Slot"] = one.slot
    if one.node_id:
        body["NodeID"] = one.node_id
    places = [place for place in one.attachments if place.network_id in networks]
    if places:
        body["NetworksAttachments"] = [{"Network": networks[p.network_id], "Addresses": [_cidr(p)]} for p in places]
    return body


def _host_ports(one: Task) -> list[Json]:
    """Ports of the node: Docker names each twice, for both families of addresses; none once the task is to stop."""
    found = [port for port in one.endpoint.get("Ports") or [] if port.get("PublishMode") == "host"]
    asked = [{"Protocol": port.get("Protocol", "tcp"), **port} for port in found]
    return [port for port in asked for _ in range(2)] if one.state == one.desired == "running" else []


class Encoded:
    """The encoded form of every service and task, renewed when the object is another one."""

    def __init__(self, swarm: Swarm) -> None:
        self._swarm = swarm
        self._services: dict[str, tuple[Service, bytes]] = {}
        self._tasks: dict[str, tuple[Task, bytes]] = {}
        self._networks: dict[str, msgspec.Raw] = {}

    def services(self, wanted: list[Service], *, status: bool) -> bytes:
        """A JSON list; with `status` each has its ServiceStatus."""
        return b"[" + b",".join([self.service(one, status=status) for one in wanted]) + b"]"

    def service(self, one: Service, *, status: bool = False) -> bytes:
        """One service."""
        kept = self._services.get(one.id)
        if kept is None or kept[0] is not one:
            kept = self._services[one.id] = (one, msgspec.json.encode(service(one)))
        if not status:
            return kept[1]
        tasks = self._swarm.tasks_of(one.id)
        count = {
            "RunningTasks": sum(task.state == "running" for task in tasks),
            "DesiredTasks": sum(task.active for task in tasks) if one.replicas is None else one.replicas,
            "CompletedTasks": sum(task.state == "complete" for task in tasks),
        }
        return kept[1][:-1] + b',"ServiceStatus":' + msgspec.json.encode(count) + b"}"

    def tasks(self, wanted: list[Task]) -> bytes:
        """A JSON list."""
        return b"[" + b",".join([self.task(one) for one in wanted]) + b"]"

    def task(self, one: Task) -> bytes:
        """One task."""
        kept = self._tasks.get(one.id)
        if kept is None or kept[0] is not one:
            for place in one.attachments:
                if place.network_id not in self._networks and place.network_id in self._swarm.networks:
                    inline = network_inline(self._swarm.networks[place.network_id])
                    self._networks[place.network_id] = msgspec.Raw(msgspec.json.encode(inline))
            kept = self._tasks[one.id] = (one, msgspec.json.encode(task(one, self._networks)))
        return kept[1]

    def forget(self) -> None:
        """Drops what is encoded of objects that are gone."""
        for task_id in self._tasks.keys() - self._swarm.tasks.keys():
            del self._tasks[task_id]
        for service_id in self._services.keys() - self._swarm.services.keys():
            del self._services[service_id]
