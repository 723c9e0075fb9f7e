"""Which services this proxy cannot reach, from the kernel's own table of routes."""

from __future__ import annotations

import sys

import pytest

from interlock.model.outcome import Unreachable
from interlock.model.routing import Endpoint
from interlock_extension.reach import unreachable

HEAD = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"


def hexed(address: str) -> str:
    return f"{int.from_bytes(bytes(map(int, address.split('.'))), sys.byteorder):08X}"


def route(target: str, mask: str, gateway: str = "0.0.0.0", flags: str = "0001") -> str:
    return f"eth0\t{hexed(target)}\t{hexed(gateway)}\t{flags}\t0\t0\t0\t{hexed(mask)}\t0\t0\t0\n"


TABLE = HEAD + route("0.0.0.0", "0.0.0.0", "172.18.0.1", "0003") + route("172.18.0.0", "255.255.0.0")


def endpoint(address: str, service: str = "shop", network: str = "web") -> Endpoint:
    return Endpoint(address=address, port=80, task="t", service_id="s", service=service, network=network)


def test_an_address_of_no_network_of_ours() -> None:
    [found] = unreachable([endpoint("10.0.5.7"), endpoint("10.0.5.6")], TABLE)
    assert found == Unreachable(service="shop", service_id="s", address="10.0.5.6", network="web")
    assert str(found) == (
        "service shop: 10.0.5.6 is on the network 'web', to which this proxy is not attached. Attach it: "
        "docker service update --network-add web <proxy service> (or run the worker in a container on it), "
        "or point com.docker.lb.network at a network that it has"
    )


@pytest.mark.parametrize(
    ("one", "table"),
    [
        (endpoint("10.0.5.7"), TABLE + route("10.0.5.0", "255.255.255.0")),
        (endpoint("172.18.3.4"), TABLE),
        (endpoint("127.7.0.1"), TABLE),
        (endpoint("10.0.5.7", network=""), TABLE),
        (endpoint("fd00::1"), TABLE),
        (endpoint("no address"), TABLE),
        (endpoint("10.0.5.7"), None),
    ],
)
def test_what_can_be_reached_or_is_unknown_is_not_told(one: Endpoint, table: str | None) -> None:
    assert unreachable([one], table) == ()


@pytest.mark.parametrize(
    "line",
    [
        route("10.0.0.0", "255.0.0.0", "172.18.0.1", "0003"),
        route("0.0.0.0", "0.0.0.0"),
        route("10.0.5.0", "255.255.255.0", flags="0000"),
        "eth0\tnonsense\n",
    ],
)
def test_a_way_over_a_gateway_is_no_part_in_a_network(line: str) -> None:
    assert len(unreachable([endpoint("10.0.5.7")], TABLE + line)) == 1
