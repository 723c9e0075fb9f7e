"""A worker's /metrics has its proxy's own figures: real proxies, real requests, scraped as Prometheus does."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.extension_lab import WorkerLab
from support.nginx_lab import OLD_NGINX, Backend, Idle, ask, endpoint, status_of, until
from support.ports import free_port

Make = Callable[..., Backend]
A = "a.example"
PREFIX = "interlock_extension_proxy_"


def scraped(port: int) -> dict[str, float]:
    """The proxy's own figures."""
    found = re.findall(rf"^{PREFIX}(\w+) (\S+)$", page(port), re.MULTILINE)
    return {name: float(value) for name, value in found}


def page(port: int) -> str:
    """All of it."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        text: str = answer.read().decode()
    return text


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[WorkerLab]:
    made = WorkerLab(tmp_path)
    yield made
    if made.process:
        made.terminate()
    made.close()


@pytest.mark.parametrize(
    ("told", "names"),
    [
        pytest.param(
            ("--extension", "nginx", "--nginx", OLD_NGINX),
            {
                "connections_active", "connections_reading", "connections_writing", "connections_waiting",
                "connections_accepted_total", "connections_handled_total", "requests_total",
            },
            id="nginx", marks=pytest.mark.old_nginx,
        ),
        pytest.param(
            ("--extension", "haproxy", "--option", "MaxConnections=77"),
            {
                "connections_active", "connections_limit", "connections_accepted_total", "sessions_per_second",
                "requests_total",
            },
            id="haproxy",
        ),
    ],
)  # fmt: skip
def test_what_the_proxy_counts_is_scraped(
    lab: WorkerLab, backend: Make, told: tuple[str, ...], names: set[str]
) -> None:
    port = free_port()
    lab.told = told
    lab.spawn("--metrics", f"127.0.0.1:{port}")
    lab.until_runs(lab.serve({A: (endpoint(backend("one").port, "t1"),)}))
    until(lambda: status_of(lab.port, A) == 200, "the endpoint is admitted")
    until(lambda: names <= scraped(port).keys(), "the proxy's figures are there")
    before = scraped(port)
    links = [Idle(lab.port) for _ in range(20)]
    for link in links:
        for _ in range(5):
            assert link.request(A).startswith("one")
    until(lambda: scraped(port)["requests_total"] >= before["requests_total"] + 100, "the requests are counted")
    now = scraped(port)
    assert now["connections_accepted_total"] >= before["connections_accepted_total"] + 20
    assert now["connections_active"] >= 20
    if "connections_waiting" in names:
        # The one that was asked last may still have been writing when its request was counted.
        until(lambda: scraped(port)["connections_waiting"] >= 20, "all are idle")
    else:
        assert now["connections_limit"] == 77
    for link in links:
        link.close()
    until(lambda: scraped(port)["connections_active"] < 20, "they are gone")
    # What changes with each request stays out of the outcome.
    outcome = lab.outcome()
    assert outcome is not None
    assert "reloads" in outcome.counters
    assert not names & outcome.counters.keys()
    assert ask(lab.port, A).status == 200


def test_an_nginx_without_stub_status_has_none(lab: WorkerLab) -> None:
    """The wheel's."""
    port = free_port()
    lab.spawn("--metrics", f"127.0.0.1:{port}")
    until(lambda: 'proxy{what="reloads"}' in page(port), "it reports")
    assert not [name for name in scraped(port) if name.startswith(("connections", "requests"))]
