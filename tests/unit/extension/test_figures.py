"""What proxies say of themselves, as metrics: read by name, and one that is not understood is none."""

from __future__ import annotations

import pytest
from prometheus_client import generate_latest

from interlock.runtime.metrics import Metrics
from interlock_extension.desired import Desired
from interlock_extension.haproxy import reply
from interlock_extension.intake import Intake
from interlock_extension.meters import PROXYS_OWN, Meters
from interlock_extension.nginx.status import read_figures

STUB_STATUS = """Active connections: 291
server accepts handled requests
 16630948 16630947 31070465
Reading: 6 Writing: 179 Waiting: 106
"""
INFO = "Name: HAProxy\nVersion: 2.6.12\nMaxconn: 141\nCurrConns: 3\nCumConns: 40\nCumReq: 51\nSessRate: 5\nnode: x\n"


def test_nginxs_figures() -> None:
    assert read_figures(STUB_STATUS) == {
        "connections_active": 291,
        "connections_accepted_total": 16630948,
        "connections_handled_total": 16630947,
        "requests_total": 31070465,
        "connections_reading": 6,
        "connections_writing": 179,
        "connections_waiting": 106,
    }
    assert read_figures("This nginx was built without its stub_status module.") == read_figures("") == {}


def test_haproxys_figures() -> None:
    found = reply.figures(reply.info(INFO), 77)
    assert found == {
        "connections_active": 3,
        "connections_limit": 77,
        "connections_accepted_total": 40,
        "requests_total": 51,
        "sessions_per_second": 5,
    }
    assert reply.figures(reply.info(INFO), 200)["connections_limit"] == 141
    assert reply.figures({}, 77) == {}
    assert reply.figures({"CurrConns": "many", "CumReq": "7"}, 77) == {"requests_total": 7}


@pytest.mark.parametrize("found", [read_figures(STUB_STATUS), reply.figures(reply.info(INFO), 77)])
def test_each_is_a_metric_of_its_own_and_the_controls_are_one(found: dict[str, float]) -> None:
    assert set(found) <= set(PROXYS_OWN)
    metrics = Metrics("extension")
    meters, desired = Meters(metrics), Desired()
    for more in (0, 1):
        meters.state(desired, Intake(desired), 0, {**found, "reloads": 4.0, "requests_total": 9.0 - more})
    text = generate_latest(metrics.registry).decode()
    for name in found:
        kind = "counter" if name.endswith("_total") else "gauge"
        assert f"# TYPE interlock_extension_proxy_{name} {kind}\n" in text
    assert "\ninterlock_extension_proxy_requests_total 8.0\n" in text
    assert f"\ninterlock_extension_proxy_connections_active {float(found['connections_active'])}\n" in text
    assert '\ninterlock_extension_proxy{what="reloads"} 4.0\n' in text
    missing = set(PROXYS_OWN) - set(found)
    assert missing
    assert not [name for name in missing if f"proxy_{name}" in text]
