"""The whole pipeline with a user of the bus for each role, as `interlock acl` makes them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest

from interlock.bus import acl
from interlock_demo.installation import REGION
from support.pipeline import Pipeline

CLUSTERS = ("", "east")
PASSWORD = "p:a/s@s?w#o%r"  # what a URL has to encode


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """Two watchers and two planners, so that leases are contended for; each worker is its own cluster's user."""
    made = Pipeline(tmp_path_factory.mktemp("users"), watchers=2, planners=2, clusters=CLUSTERS)
    installation = made.installation
    server = installation.bus_url

    def as_user(name: str) -> tuple[str, str]:
        # The last of two options counts; the first one names nobody.
        return ("--bus", acl.user_url(server, name, PASSWORD))

    installation.shape = msgspec.structs.replace(
        installation.shape, watcher=as_user("watcher"), planner=as_user("planner"), extension=as_user("proxy")
    )
    installation.start_bus()
    for user in acl.users(REGION, CLUSTERS):
        made.bus.command("ACL", "SETUSER", user.name, "on", f">{PASSWORD}", "resetkeys", "resetchannels", *user.rules)
    # One installation, two users of proxies: the second worker is another's.
    services = installation._services

    def with_own_proxies(bus: str) -> list:
        own = {installation.workers[1]: acl.user_url(server, "proxy-east", PASSWORD)}
        return [
            msgspec.structs.replace(spec, argv=(*spec.argv, "--bus", own[spec.name])) if spec.name in own else spec
            for spec in services(bus)
        ]

    installation._services = with_own_proxies
    with made:
        yield made


def test_a_change_goes_through_with_a_user_for_each_role(pipeline: Pipeline) -> None:
    pipeline.service("shop", replicas=2)
    pipeline.service("desk", labels={"service_cluster": "east"})
    pipeline.wait_routed("shop.test")
    pipeline.wait_routed("desk.test", worker=1)
    pipeline.sim.scale("shop", 4)
    pipeline.wait_effective("shop", "desk")
    users = {line.split("user=")[1].split()[0] for line in pipeline.bus.command("CLIENT", "LIST").decode().splitlines()}
    assert users == {"default", "watcher", "planner", "proxy", "proxy-east"}


def test_leases_change_hands_and_a_flushed_bus_heals(pipeline: Pipeline) -> None:
    pipeline.service("blog")
    pipeline.wait_routed("blog.test")
    for name in ("watcher", "planner"):
        pipeline.kill(name)
    pipeline.sim.scale("blog", 3)
    pipeline.wait_effective("blog")
    pipeline.bus.command("FLUSHDB")
    pipeline.sim.scale("blog", 2)
    pipeline.wait_effective("blog")
    pipeline.start("watcher")
    pipeline.start("planner")


def test_a_large_state_is_staged(pipeline: Pipeline) -> None:
    # More fields than one script carries are written aside and renamed: services by the watcher, plans by the planner.
    pipeline.service("many", labels={"hosts": ",".join(f"h{n}.many.test" for n in range(1_200))})
    pipeline.wait_routed("h1199.many.test", timeout=30)
    pipeline.sim.remove("many")


def test_the_operator_sees_the_state(pipeline: Pipeline) -> None:
    url = acl.user_url(pipeline.installation.bus_url, "operator", PASSWORD)
    file = pipeline.folder / "operator.url"
    file.write_text(url + "\n")
    env = {key: value for key, value in os.environ.items() if not key.startswith("INTERLOCK_")}
    for command in ("status", "routes"):
        done = subprocess.run(
            [str(Path(sys.executable).parent / "interlock"), command, "--json", "--bus-file", str(file)],
            env=env, capture_output=True, text=True, check=False, timeout=30,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "blog" in done.stdout or "endpoints" in done.stdout
        assert PASSWORD not in done.stdout + done.stderr
        assert str(urlsplit(url).password) not in done.stdout + done.stderr


def test_no_proxy_is_stale_in_quiet_times(pipeline: Pipeline) -> None:
    """It may see that a watcher acts, and its plan is not doubted for what it may not read."""
    pipeline.service("calm")
    pipeline.wait_effective("calm")
    seen = set()
    until = time.monotonic() + 4
    while time.monotonic() < until:
        for cluster in pipeline.status().clusters:
            seen |= {(p.outcome.proxy, p.outcome.stale_since, p.outcome.stale_reason) for p in cluster.proxies}
        time.sleep(0.1)
    assert len(seen) == 2
    assert {(since, why) for _, since, why in seen} == {(None, "")}


def test_no_log_holds_a_password_or_a_refusal(pipeline: Pipeline) -> None:
    secret = str(urlsplit(acl.user_url("redis://bus", "a", PASSWORD)).password)
    for path in (pipeline.folder / "logs").glob("*.log"):
        log = path.read_text(errors="replace")
        assert PASSWORD not in log and secret not in log, path.name  # noqa: PT018  # one matter
        assert "does not allow" not in log, path.name
