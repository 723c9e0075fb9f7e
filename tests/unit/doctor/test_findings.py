"""The doctor's judgement of what it sees, without anything to look at."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from interlock.doctor import bus, plans
from interlock.doctor.port import Ask, Check, Finding, error, examine, ok, warning
from interlock.doctor.report import report, summary
from interlock.errors import ConfigError
from interlock.inspection.view import ClusterView, ProxyView, RegionView, StatusView
from interlock.model.outcome import Denied, HostRejection, Outcome, Unreachable
from interlock.model.problem import Problem
from interlock.model.region import WatcherStatus
from interlock.runtime.parts import Part
from interlock_extension import checks
from interlock_extension.haproxy import checks as haproxy_checks
from interlock_extension.nginx import checks as nginx_checks

INFO = {
    "redis_version": "7.0.15", "role": "master", "maxmemory": 0, "used_memory": 2**20,
    "maxmemory_policy": "noeviction", "aof_enabled": 1,
}  # fmt: skip


def seen(findings: object) -> dict[str, str]:
    return {f.subject: f.severity for f in findings}  # type: ignore[attr-defined]  # findings


@pytest.mark.parametrize(
    ("info", "save", "subject", "severity", "said"),
    [
        ({}, None, "bus version", "ok", "Redis 7.0.15"),
        ({"valkey_version": "9.1.0", "redis_version": "7.2.4"}, None, "bus version", "ok", "Valkey 9.1.0"),
        ({"redis_version": "6.2.7"}, None, "bus version", "error", "older than 7.0"),
        ({"role": "slave"}, None, "bus role", "error", "replica"),
        ({"maxmemory_policy": "allkeys-lru"}, None, "bus memory", "error", "allkeys-lru"),
        ({"maxmemory": 2**20 * 10, "used_memory": 2**20 * 9}, None, "bus memory", "warning", "90% of maxmemory"),
        ({"maxmemory": 2**30}, None, "bus memory", "ok", "1024 MB"),
        ({}, "", "bus persistence", "ok", "AOF"),
        ({"aof_enabled": 0}, "3600 1", "bus persistence", "ok", "save 3600 1"),
        ({"aof_enabled": 0, "rdb_saves": 2}, None, "bus persistence", "ok", "snapshots"),
        ({"aof_enabled": 0}, "", "bus persistence", "warning", "neither AOF nor RDB"),
        ({"aof_enabled": 0}, None, "bus persistence", "warning", "no snapshot so far"),
    ],
)
def test_the_server(info: dict[str, object], save: str | None, subject: str, severity: str, said: str) -> None:
    [found] = [f for f in bus.server({**INFO, **info}, save) if f.subject == subject]
    assert found.severity == severity
    assert said in found.found
    assert (severity == "ok") == (not found.lost and not found.remedy)


def test_the_clock() -> None:
    assert bus.clock(0.02).severity == "ok"
    assert bus.clock(-3.0).severity == "warning"


NOW = 1_000.0
WATCHER = WatcherStatus(owner="w1", at=NOW, docker_reachable=True, api_version="1.47", services=3)
CLUSTER = ClusterView(
    region="eu", cluster="", version=None, complete=True, services=1, hosts=1, upstreams=1, endpoints=2, draining=0,
    proxies=(), problems=(), stale=(),
)  # fmt: skip


def judged(watcher: WatcherStatus | None = WATCHER, silent: float | None = None, **cluster: object) -> dict[str, str]:
    region = RegionView(region="eu", watcher=watcher, silent_for=silent)
    one = msgspec.structs.replace(CLUSTER, **cluster)
    return seen(plans.judge(StatusView(at=NOW, bus="redis://bus", regions=(region,), clusters=(one,))))


def test_watchers_and_plans() -> None:
    subject = "cluster (unnamed) of eu"
    assert judged() == {"watcher of eu": "ok", subject: "ok"}
    assert judged(None)["watcher of eu"] == "error"
    assert judged(silent=60.0)["watcher of eu"] == "error"
    assert judged(msgspec.structs.replace(WATCHER, stale_since=1.0, reason="no"))["watcher of eu"] == "error"
    assert judged(msgspec.structs.replace(WATCHER, unreadable={"s1": "no"}))["watcher of eu"] == "warning"
    assert judged(stale=("no proxy of this service cluster reports",))[subject] == "warning"
    outcome = Outcome(proxy="p1", extension="nginx", rejections=(HostRejection(host="a", reason="no"),))
    assert "warning" in judged(proxies=(ProxyView(outcome=outcome, behind=False),), complete=False)[subject]
    late = Outcome(proxy="p1", extension="nginx", drain_misses=2)
    assert judged(proxies=(ProxyView(outcome=late, behind=False),), complete=False)[subject] == "warning"
    problem = Problem(
        service_id="s", service="shop", key="port", value="x", reason="no number", remedy="write one", severity="error"
    )
    assert judged(problems=(problem,), complete=False)[subject] == "warning"
    empty = plans.judge(StatusView(at=NOW, bus="redis://bus", regions=(), clusters=()))
    assert seen(empty) == {"watcher": "warning"}


def test_a_proxy_that_passes_endpoints_over() -> None:
    outside = tuple(Unreachable(service=name, address=f"10.0.{n}.2", network=net)
                    for n, (name, net) in enumerate([("cart", "db"), ("shop", "web")]))  # fmt: skip
    away = Outcome(
        proxy="p1", extension="nginx", unreachable=outside,
        denied=(Denied(service="cart", address="10.0.0.3:80", why="it is of another"),),
        counters={"endpoints_denied": 7.0},
    )  # fmt: skip
    region = RegionView(region="eu", watcher=WATCHER, silent_for=None)
    one = msgspec.structs.replace(CLUSTER, proxies=(ProxyView(outcome=away, behind=False),))
    found = list(plans.judge(StatusView(at=NOW, bus="redis://bus", regions=(region,), clusters=(one,))))
    unreachable, denied = (f for f in found if f.severity == "warning")
    assert "p1 is not on the network db or web of cart, shop" in unreachable.found
    assert "--network-add db --network-add web" in unreachable.remedy
    assert "p1 denies 7 endpoints; cart: 10.0.0.3:80: it is of another" in denied.found


def test_a_check_that_fails_is_a_finding_and_keeps_none_from_looking() -> None:
    def fails(_ask: Ask) -> list[Finding]:
        raise ConfigError("no such thing; make one")

    def breaks(_ask: Ask) -> list[Finding]:
        raise KeyError("x")

    def fine(_ask: Ask) -> list[Finding]:
        return [ok("c", "well")]

    checks = [
        Check(name="a", roles=("proxy",), run=fails),
        Check(name="b", roles=("proxy",), run=breaks),
        Check(name="c", roles=("proxy",), run=fine),
        Check(name="d", roles=("watcher",), run=fine, here=lambda _ask: False),
    ]
    found = examine(Ask(role="proxy"), checks)
    assert [(f.subject, f.severity) for f in found] == [("a", "error"), ("b", "error"), ("c", "ok")]
    assert "no such thing; make one" in found[0].found
    assert "KeyError" in found[1].found
    assert "not checked" in examine(Ask(), checks)[-1].found


def test_no_password_in_what_a_traceback_shows() -> None:
    assert "hunter2" not in repr(Ask(bus_url="redis://:hunter2@bus"))


def test_what_people_read() -> None:
    findings = [
        ok("bus", "there"),
        warning("clock", "off", lost="times", remedy="chrony"),
        error("nginx", "none", lost="all", remedy="install"),
        error("x", "y", lost="z", remedy="w"),
    ]
    console = Console(width=100)
    with console.capture() as shown:
        console.print(report(findings))
    assert "lost: times" in shown.get()
    assert "do: chrony" in shown.get()
    assert summary(findings) == "2 errors, 1 warning, 1 ok"


MOUNTS = """\
22 1 0:20 / / rw - overlay overlay rw
30 22 0:30 / /var/lib/interlock rw - ext4 /dev/sda1 rw
31 22 0:31 / /run rw,nosuid - tmpfs tmpfs rw
32 22 0:32 / /with\\040space rw shared:1 - xfs /dev/sdb rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/interlock/x", "ext4"),
        ("/var/lib", "overlay"),
        ("/run/a", "tmpfs"),
        ("/runaway", "overlay"),
        ("/with space/a", "xfs"),
    ],
)
def test_the_filesystem_of_a_folder(path: str, kind: str) -> None:
    for mounts in (MOUNTS, "\n".join(reversed(MOUNTS.splitlines()))):
        assert checks.filesystem(Path(path), mounts) == kind


def test_the_state_folder(tmp_path: Path) -> None:
    line = f"1 1 0:1 / {tmp_path} rw - {{}} x rw\n"
    for kind, severity in (("ext4", "ok"), ("tmpfs", "warning"), ("overlay", "warning")):
        [found] = checks.state_folder(tmp_path / "not" / "yet", line.format(kind))
        assert found.severity == severity
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    [found] = checks.state_folder(tmp_path / "file" / "state", "")
    assert (found.severity, "Not a directory" in found.found) == ("error", True)


def test_names_and_open_files(tmp_path: Path) -> None:
    resolv = tmp_path / "resolv.conf"
    resolv.write_text("nameserver 127.0.0.11\nnameserver 10.0.0.1\n")
    assert checks.names(resolv, inside=True).severity == "ok"
    # The worker asks the first alone, and so do most programs.
    resolv.write_text("nameserver 10.0.0.1\nnameserver 127.0.0.11\n")
    assert checks.names(resolv, inside=True).severity == "warning"
    assert checks.names(resolv, inside=False).severity == "ok"
    assert nginx_checks.open_files(1024, 1024).severity == "ok"
    assert nginx_checks.open_files(1023, 1024).severity == "warning"


def test_memory() -> None:
    assert checks.memory(192 * 2**20, 192).severity == "ok"
    found = checks.memory(191 * 2**20, 192)
    assert (found.severity, found.remedy) == ("warning", "give the container 192 MB or more")
    assert found.found.startswith("191 MB;")


def test_open_files_of_haproxy() -> None:
    assert haproxy_checks.files(2144, 2144, 1024).severity == "ok"
    assert haproxy_checks.files(2143, 2144, 1024).severity == "error"


@pytest.mark.parametrize("kind", ["nginx", "haproxy"])
def test_a_proxy_is_asked_about_its_own_kind(kind: str) -> None:
    found = {
        finding.subject
        for check in (nginx_checks.check, haproxy_checks.check)
        for finding in check.run(Ask(role="proxy", extension=kind))
    }
    assert kind in found
    assert not found & ({"nginx", "haproxy"} - {kind})


def test_modules_of_nginx() -> None:
    def found(detail: str) -> dict[str, str]:
        return seen(nginx_checks.modules(Part(path=Path("/n"), version=(1, 31), origin="given", detail=detail)))

    full = "--with-http_realip_module --with-http_stub_status_module"
    assert found(full) == {"nginx modules": "ok"}
    assert found("--with-http_realip_module") == {"nginx modules": "warning"}
    assert found("--with-http_stub_status_module") == {"nginx modules": "error"}
    assert found(full + " --without-http_map_module") == {"nginx modules": "error"}
