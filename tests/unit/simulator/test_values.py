"""The small pure parts of the simulator: events, faults, filters, addresses, workload, versions."""

from __future__ import annotations

import msgspec
import pytest
from msgspec import structs

from interlock_simulator import changes, filters, shapes, workload
from interlock_simulator.addresses import Subnet
from interlock_simulator.api import versions
from interlock_simulator.events import Ring, instant, wanted
from interlock_simulator.faults import Fault, FaultBook
from interlock_simulator.refusal import Refused
from support.clocked_swarm import Clocked


def test_the_ring_forgets_all_but_256_and_does_not_say_so() -> None:
    ring = Ring()
    for number in range(800):
        ring.append("service", "update", f"s{number}", {"name": "x"}, 1000.0)
    assert [event.object_id for event in ring.since(0)] == [f"s{number}" for number in range(544, 800)]
    times = [event.nano for event in ring.since(0)]
    assert times == sorted(set(times))


def test_since_keeps_every_nanosecond() -> None:
    assert instant("1795387176.000000001") == 1795387176000000001
    assert instant("7") == 7_000_000_000
    with pytest.raises(ValueError, match="invalid literal"):
        instant("yesterday")


def test_event_filters() -> None:
    event = Ring().append("service", "update", "abcdef", {"name": "shop"}, 1.0)
    assert wanted(event, {"type": ["service", "node"], "event": ["update"], "scope": ["swarm"]})
    assert wanted(event, {"service": ["abc"]})
    assert wanted(event, {"service": ["shop"]})
    assert not wanted(event, {"type": ["container"]})
    assert not wanted(event, {"service": ["other"]})


def test_faults_are_bounded_by_count_time_and_path() -> None:
    book = FaultBook()
    book.add(Fault(kind="error", path="/tasks.*", count=2), 0.0)
    book.add(Fault(kind="slow", seconds=5.0), 0.0)
    assert not book.strike(("error",), "/services", 0.0)
    assert [len(book.strike(("error",), "/tasks", 0.0)) for _ in range(3)] == [1, 1, 0]
    assert book.strike(("slow",), "/x", 4.9)
    assert not book.strike(("slow",), "/x", 5.0)
    with pytest.raises(ValueError, match="unknown"):
        book.add(Fault(kind="flood"), 0.0)


def test_both_forms_of_filters_and_only_known_keys() -> None:
    assert filters.parse('{"name":["a"]}', ["name"]) == filters.parse('{"name":{"a":true,"b":false}}', ["name"])
    with pytest.raises(Refused, match="invalid filter 'colour'"):
        filters.parse('{"colour":["red"]}', ["name"])


def test_task_filters_as_docker_s() -> None:
    lab = Clocked()
    shop = lab.service("shop", 2)
    lab.service("cart", 1)
    lab.go(2)
    swarm = lab.swarm
    assert len(filters.tasks(swarm, {"service": ["shop"]})) == 2
    assert len(filters.tasks(swarm, {"service": [shop, "cart"], "desired-state": ["running"]})) == 3
    assert filters.tasks(swarm, {"desired-state": ["shutdown"]}) == []
    with pytest.raises(Refused, match="service nope not found") as caught:
        filters.tasks(swarm, {"service": ["nope"]})
    assert caught.value.status == 404


def test_subnets_stay_on_loopback() -> None:
    with pytest.raises(Refused, match="outside 127"):
        Subnet("10.0.0.0/24")
    subnet = Subnet("127.20.1.0/29")
    assert [subnet.take() for _ in range(6)] == [f"127.20.1.{n}" for n in (2, 3, 4, 5, 6)] + [None]
    subnet.give_back("127.20.1.4")
    subnet.give_back("127.20.1.4")
    assert (subnet.take(), subnet.take()) == ("127.20.1.4", None)


def test_the_environment_says_what_a_task_does() -> None:
    container = {"Image": "a", "Env": ["PORT=9000", "APP_VERSION=7", "SIM_LISTEN=no"], "StopGracePeriod": 2_000_000_000}
    load = workload.of({"ContainerSpec": container})
    assert (load.port, load.version, load.listens, load.grace, load.health_delay) == (9000, "7", False, 2.0, None)
    with pytest.raises(Refused, match="SIM_START_DELAY='soon' is not a number"):
        workload.of({"ContainerSpec": {"Image": "a", "Env": ["SIM_START_DELAY=soon"]}})


@pytest.mark.parametrize(("version", "words"), [("1.99", "too new"), ("1.23", "too old")])
def test_versions_outside_are_refused_in_docker_s_words(version: str, words: str) -> None:
    versions.check("1.41", "1.24", "1.47")
    with pytest.raises(Refused, match=words):
        versions.check(version, "1.24", "1.47")


def test_a_dead_task_still_shows_the_address_that_was_given_to_another() -> None:
    lab = Clocked(nodes=1)
    shop = lab.service(replicas=1, UpdateConfig={"Order": "stop-first"}, EndpointSpec={"Mode": "dnsrr"})
    lab.go(2)
    old = lab.running(shop)[0]
    lab.update(shop)
    lab.go(3.5)
    later = lab.service("later", replicas=1, EndpointSpec={"Mode": "dnsrr"})
    lab.go(2)
    assert lab.swarm.tasks[old.id].state == "shutdown"
    assert lab.running(later)[0].attachments == lab.swarm.tasks[old.id].attachments


def test_the_task_s_json_has_docker_s_fields() -> None:
    lab = Clocked()
    shop = lab.service(replicas=1)
    lab.go(2)
    body = msgspec.json.decode(shapes.Encoded(lab.swarm).tasks(lab.tasks(shop)))[0]
    assert body["Status"]["ContainerStatus"].keys() == {"ContainerID", "PID", "ExitCode"}
    assert body["NetworksAttachments"][0]["Network"]["Spec"]["Name"] == "web"
    assert body["NetworksAttachments"][0]["Addresses"] == ["127.20.0.3/24"]
    assert (body["DesiredState"], body["Slot"], len(body["ID"])) == ("running", 1, 25)
    assert body["UpdatedAt"].startswith("1970-01-01T00:16:4")
    assert body["UpdatedAt"].endswith("Z")


def test_ports_of_the_node_are_told_by_the_running_task_for_each_family() -> None:
    lab = Clocked()
    port = {"Protocol": "tcp", "TargetPort": 80, "PublishedPort": 8088, "PublishMode": "host"}
    shop = lab.service(replicas=1, EndpointSpec={"Ports": [port]}, overlay=False)
    [task] = lab.tasks(shop)
    assert shapes.task(task, {})["Status"]["PortStatus"] == {}
    lab.go(2)
    [task] = lab.running(shop)
    assert shapes.task(task, {})["Status"]["PortStatus"] == {"Ports": [port, port]}
    assert "Networks" not in lab.swarm.services[shop].template
    leaving = structs.replace(task, desired="shutdown")
    assert shapes.task(leaving, {})["Status"]["PortStatus"] == {}


def test_a_taken_port_names_who_has_it() -> None:
    lab = Clocked()
    shop = lab.service(EndpointSpec={"Ports": [{"TargetPort": 80, "PublishedPort": 30080}]})
    words = (
        rf"port '30080' is already in use by service '{lab.swarm.services[shop].name}' \({shop}\) as an ingress port"
    )
    # At once: before the service has been given its port.
    with pytest.raises(Refused, match=words):
        lab.service(name="other", EndpointSpec={"Ports": [{"TargetPort": 81, "PublishedPort": 30080}]})


def test_a_listing_encodes_only_what_changed() -> None:
    lab = Clocked()
    shop = lab.service(replicas=2)
    lab.go(2)
    encoded = shapes.Encoded(lab.swarm)
    first = [encoded.task(task) for task in lab.tasks(shop)]
    again = [encoded.task(task) for task in lab.tasks(shop)]
    assert all(one is other for one, other in zip(first, again, strict=True))
    changes.remove_service(lab.swarm, shop, lab.now)
    lab.go(0)
    assert all(b'"DesiredState":"remove"' in encoded.task(task) for task in lab.tasks(shop))
