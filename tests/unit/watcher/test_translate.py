"""Docker's objects to a Service."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from interlock.model.swarm import Network, PublishedPort, Service, ServicePort
from interlock_watcher.engine import RawEvent, RawNetwork, RawNode, RawService, RawTask, unix_time
from interlock_watcher.translate import FINISHED, translate

SERVICE: dict[str, Any] = {
    "ID": "s1",
    "Version": {"Index": 7},
    "CreatedAt": "2026-01-02T03:04:05.6Z",
    "Spec": {
        "Name": "shop",
        "Labels": {"com.docker.lb.hosts": "shop.local", "com.docker.stack.namespace": "st", "x": "y"},
        "TaskTemplate": {"Networks": [{"Target": "n1"}], "ContainerSpec": {"Image": "i"}},
        "Mode": {"Replicated": {"Replicas": 2}},
    },
    "Endpoint": {
        "VirtualIPs": [{"NetworkID": "n1", "Addr": "10.0.1.2/24"}, {"NetworkID": "in", "Addr": "10.0.0.5/24"}]
    },
}
TASK: dict[str, Any] = {
    "ID": "t1",
    "ServiceID": "s1",
    "NodeID": "node1",
    "Slot": 1,
    "Status": {"State": "running", "Timestamp": "2026-01-02T03:04:06Z", "PortStatus": {}},
    "DesiredState": "running",
    "NetworksAttachments": [{"Network": {"ID": "n1", "Spec": {"Name": "web"}}, "Addresses": ["10.0.1.3/24"]}],
}
NODE = {"ID": "node1", "Status": {"State": "ready", "Addr": "192.0.2.1"}, "Description": {"Hostname": "a"}}
NETWORKS = [
    {"Id": "n1", "Name": "web", "Driver": "overlay"},
    {"Id": "in", "Name": "ingress", "Driver": "overlay", "Ingress": True},
]


def made(
    service: dict[str, Any] = SERVICE,
    tasks: tuple[dict[str, Any], ...] = (TASK,),
    node: dict[str, Any] = NODE,
    since: dict[str, float] | None = None,
) -> Service:
    return translate(
        msgspec.convert(service, RawService),
        msgspec.convert(tasks, tuple[RawTask, ...]),
        {node["ID"]: msgspec.convert(node, RawNode)},
        {n["Id"]: msgspec.convert(n, RawNetwork) for n in NETWORKS},
        since or {},
    )


def test_a_service_is_self_contained() -> None:
    service = made()
    assert service.labels == {"com.docker.lb.hosts": "shop.local", "com.docker.stack.namespace": "st"}
    assert (service.id, service.name, service.index, service.replicas, service.updating) == ("s1", "shop", 7, 2, False)
    assert service.networks == (
        Network(id="in", name="ingress", ingress=True, vip="10.0.0.5"),
        Network(id="n1", name="web", vip="10.0.1.2"),
    )
    [task] = service.tasks
    assert task.wanted
    assert task.addresses == {"n1": "10.0.1.3"}
    assert (task.slot, task.node_id, task.node_address) == (1, "node1", "192.0.2.1")


@pytest.mark.parametrize("state", sorted(FINISHED))
def test_tasks_that_will_not_run_again_are_left_out(state: str) -> None:
    assert made(tasks=({**TASK, "Status": {"State": state}},)).tasks == ()


@pytest.mark.parametrize("state", ["new", "pending", "assigned", "accepted", "preparing", "ready", "starting"])
def test_tasks_that_are_to_run_are_kept(state: str) -> None:
    [task] = made(tasks=({**TASK, "Status": {"State": state}},)).tasks
    assert not task.wanted


def test_draining_since_belongs_to_draining_tasks_alone() -> None:
    leaving = {**TASK, "ID": "t0", "DesiredState": "shutdown"}
    first, second = made(tasks=(TASK, leaving), since={"t0": 5.0, "t1": 6.0}).tasks
    assert (first.id, first.draining, first.draining_since) == ("t0", True, 5.0)
    assert (second.id, second.draining, second.draining_since) == ("t1", False, None)


@pytest.mark.parametrize(
    ("state", "down"), [("down", True), ("unknown", False), ("disconnected", False), ("ready", False)]
)
def test_only_a_node_that_is_down_disqualifies(state: str, down: bool) -> None:
    [task] = made(node={**NODE, "Status": {"State": state, "Addr": "192.0.2.1"}}).tasks
    assert task.node_down is down


def test_a_manager_that_reports_no_address_of_its_own() -> None:
    node = {**NODE, "Status": {"State": "ready", "Addr": "0.0.0.0"}, "ManagerStatus": {"Addr": "192.0.2.9:2377"}}
    [task] = made(node=node).tasks
    assert task.node_address == "192.0.2.9"


def test_ports_in_host_mode() -> None:
    # Docker tells each twice, once for either family of addresses.
    ports = [{"Protocol": "tcp", "TargetPort": 80, "PublishedPort": 30001, "PublishMode": "host"}] * 2
    [task] = made(tasks=({**TASK, "Status": {"State": "running", "PortStatus": {"Ports": ports}}},)).tasks
    assert task.ports == (PublishedPort(target=80, published=30001),)


def test_what_a_service_asks_for_before_any_task_has_it() -> None:
    asked = [
        {"Protocol": "tcp", "TargetPort": 81, "PublishedPort": 8081, "PublishMode": "ingress"},
        {"Protocol": "tcp", "TargetPort": 80, "PublishMode": "host"},
    ]
    service = made({**SERVICE, "Spec": {**SERVICE["Spec"], "EndpointSpec": {"Mode": "dnsrr", "Ports": asked}}})
    assert service.ports == (ServicePort(target=80, mode="host"), ServicePort(target=81, published=8081))
    assert service.dnsrr
    vip = made({**SERVICE, "Spec": {**SERVICE["Spec"], "EndpointSpec": {"Mode": "vip", "Ports": None}}})
    assert (vip.ports, vip.dnsrr) == (made().ports, made().dnsrr) == ((), False)


def test_nulls_and_what_is_missing() -> None:
    spec = {"Name": "shop", "Labels": None, "TaskTemplate": {"Networks": None}, "Mode": {"Global": {}}}
    task = {"ID": "t1", "ServiceID": "s1", "Status": {"State": "running"}, "DesiredState": "running",
            "NetworksAttachments": None}  # fmt: skip
    service = made({**SERVICE, "Spec": spec, "Endpoint": {}, "UpdateStatus": {"State": "rollback_started"}}, (task,))
    assert service.labels == {}
    assert service.networks == ()
    assert service.replicas is None
    assert service.updating
    assert service.tasks[0].addresses == {}


def test_a_network_that_is_not_listed_yet_keeps_its_id() -> None:
    spec = {**SERVICE["Spec"], "TaskTemplate": {"Networks": [{"Target": "new"}]}}
    assert Network(id="new", name="", driver="") in made({**SERVICE, "Spec": spec}).networks


def test_events_and_times() -> None:
    actor = b'"Actor":{"ID":"s1","Attributes":{"name":"shop"}}'
    raw = b'{"Type":"service","Action":"update",' + actor + b',"timeNano":1700000000500000000,"x":1}'
    event = msgspec.json.decode(raw, type=RawEvent)
    assert event.at == 1700000000.5
    assert event.what == "service update shop"
    assert event.id == "docker-1700000000500000000-service-update-s1"
    assert unix_time("2023-11-14T22:13:20.500000001Z") == 1700000000.5
    assert unix_time("0001-01-01T00:00:00Z") is None
    assert unix_time("soon") is None
