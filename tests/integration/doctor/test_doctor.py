"""`interlock doctor` before a real bus, a simulated Swarm and real nginx: what is well, and what is not."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from interlock.bus import acl
from interlock.bus.connection import Bus
from interlock.cli import main
from interlock.model.names import Cluster
from interlock_simulator.client import SimulatorClient
from support.bus_servers import Server, redis7_binary, valkey_binary
from support.nginx_lab import OLD_NGINX
from support.simulator import running_simulator
from support.watcher_lab import BusView, running_watcher

Found = dict[str, dict[str, str]]


def doctor(*arguments: str, status: int | None = None) -> Found:
    """Findings by subject, the worst of each."""
    done = CliRunner(env={"INTERLOCK_RUN_DIR": "/nowhere"}).invoke(main, ["doctor", "--json", *arguments])
    assert done.exit_code in (0, 1), done.output
    answer = json.loads(done.stdout)
    worst = sorted(answer["findings"], key=lambda f: ("ok", "warning", "error").index(f["severity"]))
    assert done.exit_code == int(any(f["severity"] == "error" for f in worst)) == int(not answer["ok"])
    assert all(f["lost"] and f["remedy"] for f in worst if f["severity"] != "ok")
    if status is not None:
        assert done.exit_code == status, worst
    return {f["subject"]: f for f in worst}


def test_all_is_well(server: Server, sim: SimulatorClient, tmp_path: Path) -> None:
    sim.fault("error", path="/secrets|/containers/json", status=403)
    with running_watcher(sim.docker_url, server.url):
        seen = BusView(server.url)
        sim.create_service(
            "shop", networks=["web"], labels={"com.docker.lb.hosts": "a.test", "com.docker.lb.port": "1"}
        )
        seen.await_serving("shop", 1)
        seen.close()
        found = doctor("--bus", server.url, "--docker", sim.docker_url, "--state-dir", str(tmp_path), status=0)
    assert {f["severity"] for s, f in found.items() if s.startswith(("bus", "docker"))} == {"ok"}
    assert {found[s]["severity"] for s in ("bus", "bus version", "bus memory", "bus persistence")} == {"ok"}
    assert {found[s]["severity"] for s in ("docker", "docker version", "docker reads", "docker access")} == {"ok"}
    assert found["watcher of default"]["severity"] == "ok"
    # No planner runs here, and no proxy.
    assert found["cluster (unnamed) of default"]["severity"] == "warning"


def test_files_of_tls_that_cannot_be_used_are_told_with_their_place(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('DockerURL = "tcp://docker:2376"\nTLSKey = "/none.pem"\n')
    found = doctor("--role", "watcher", "-c", str(file), status=1)["docker"]
    assert found["found"].startswith(f"{file}:2: TLSKey = '/none.pem': a client certificate needs both")


def test_a_docker_that_is_not_narrowed_is_a_warning(sim: SimulatorClient) -> None:
    found = doctor("--role", "watcher", "--docker", sim.docker_url, status=1)
    access = found["docker access"]
    assert access["severity"] == "warning"
    assert "/secrets and /containers/json are answered" in access["found"]
    assert "GET of /version, /services, /tasks" in access["remedy"]
    assert found["bus"]["found"] == "no bus is named"


def test_a_docker_that_cannot_be_read(sim: SimulatorClient, server: Server, tmp_path: Path) -> None:
    bus = ("--role", "watcher", "--bus", server.url)
    gone = doctor(*bus, "--docker", f"unix://{tmp_path}/none.sock", status=1)
    assert gone["docker"]["severity"] == "error"
    sim.fault("error", path="/events", status=403)
    assert "403 to /events" in doctor(*bus, "--docker", sim.docker_url, status=1)["docker reads"]["found"]
    sim.clear()
    sim.fault("error", path="/nodes", status=403)
    assert "403 to /nodes" in doctor(*bus, "--docker", sim.docker_url, status=1)["docker"]["found"]
    assert doctor(*bus, "--docker", "ftp://x", status=1)["docker"]["severity"] == "error"


def test_a_docker_of_another_age(tmp_path: Path, server: Server) -> None:
    with running_simulator(tmp_path, api_version="1.40", min_api_version="1.12") as old:
        found = doctor("--role", "watcher", "--bus", server.url, "--docker", old.docker_url, status=1)
    assert "use Docker 20.10 or newer" in found["docker"]["found"]


def test_a_bus_that_evicts_and_forgets(server: Server) -> None:
    bus = Bus.connect(server.url)
    bus.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    bus.command("CONFIG", "SET", "appendonly", "no")
    bus.close()
    found = doctor("--role", "planner", "--bus", server.url, status=1)
    assert found["bus memory"]["severity"] == "error"
    assert found["bus persistence"]["severity"] == "warning"
    assert found["bus user"]["severity"] == "ok"
    assert found["watcher"]["severity"] == "warning"


def test_a_bus_that_is_away(tmp_path: Path) -> None:
    found = doctor("--role", "planner", "--bus", f"unix://x:hunter2@{tmp_path}/none.sock", status=1)
    assert found["bus"]["severity"] == "error"
    assert "hunter2" not in json.dumps(found)
    assert doctor("--role", "planner", "--bus", "http://x", status=1)["bus"]["severity"] == "error"


@pytest.mark.parametrize("kind", ["valkey9", pytest.param("redis7", marks=pytest.mark.redis7)])
def test_each_role_with_its_own_user_and_with_anothers(tmp_path: Path, kind: str) -> None:
    binary = valkey_binary() if kind == "valkey9" else redis7_binary()
    assert binary
    folder = Path(tempfile.mkdtemp(prefix="bus"))
    users = acl.users("default", ["", "east"])
    text = acl.acl_file(users, {user.name: "secret" for user in users})
    (folder / "users.acl").write_text(text)
    server = Server(binary, folder, "--aclfile", str(folder / "users.acl"), login="operator:secret@").start()
    try:

        def ask(user: str, *more: str, status: int) -> Found:
            url = server.url.replace("://", f"://{user}:secret@")
            return doctor("--bus", url, "--nginx", "", "--state-dir", str(tmp_path), *more, status=status)

        assert ask("proxy", "--role", "proxy", status=0)["bus user"]["severity"] == "ok"
        assert ask("proxy-east", "--role", "proxy", "--cluster", "east", status=0)["bus user"]["severity"] == "ok"
        assert ask("planner", "--role", "planner", status=0)["bus user"]["severity"] == "ok"
        other = ask("proxy", "--role", "proxy", "--cluster", "east", status=1)["bus user"]
        assert "read the plan" in other["found"]
        assert "interlock acl" in other["remedy"]
        mine = ask("watcher", "--role", "planner", status=1)["bus user"]["found"]
        assert "write plans" in mine
        assert "read services" not in mine
        assert "write services" in ask("operator", "--role", "watcher", "--docker", "unix:///none", status=1)[
            "bus user"]["found"]  # fmt: skip
        # The operator sees everything that is to be seen.
        seen = ask("operator", "--role", "planner", status=1)
        assert {seen[s]["severity"] for s in ("bus version", "bus memory", "bus persistence")} == {"ok"}
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def test_a_watchers_user_is_not_told_that_plans_are_missing(tmp_path: Path) -> None:
    """What it may not read is not checked, and not taken for missing."""
    folder = Path(tempfile.mkdtemp(prefix="bus"))
    users = acl.users("default", [""])
    admin = "user admin on nopass ~* &* +@all\n"
    (folder / "users.acl").write_text(acl.acl_file(users, {user.name: "secret" for user in users}) + admin)
    server = Server(valkey_binary(), folder, "--aclfile", str(folder / "users.acl"), login="admin:x@").start()
    try:
        bus = Bus.connect(server.url.replace("://", "://admin:x@"))
        bus.command("HSET", "il:clusters", str(Cluster("default", "")), "x")
        bus.close()
        url = server.url.replace("://", "://watcher:secret@")
        found = doctor("--role", "watcher", "--bus", url, "--docker", "unix:///none")
        assert found["bus user"]["severity"] == "ok"
        assert "not checked" in found["plans"]["found"]
        assert not any(subject.startswith("cluster") for subject in found)
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def test_the_newest_nginx(server: Server, tmp_path: Path) -> None:
    found = doctor("--role", "proxy", "--bus", server.url, "--state-dir", str(tmp_path))
    assert found["nginx"]["severity"] == "ok"
    # The wheel's lacks it.
    assert found["nginx modules"]["severity"] in ("ok", "warning")
    assert found["open files"]["severity"] in ("ok", "warning")


@pytest.mark.old_nginx
def test_an_old_nginx_and_what_it_costs(server: Server, tmp_path: Path) -> None:
    found = doctor("--role", "proxy", "--bus", server.url, "--state-dir", str(tmp_path), "--nginx", OLD_NGINX)
    assert found["nginx"]["severity"] == "warning"
    assert "meets a reset" in found["nginx"]["lost"]
    assert found["nginx modules"]["severity"] == "ok"


def test_no_nginx_and_more_connections_than_files(server: Server, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[Extensions.a.Config]\nMaxConnections = 500\nRLimitNoFile = 400\n")
    found = doctor(
        "--role", "proxy", "--bus", server.url, "--nginx", str(tmp_path / "none"), "-c", str(config), status=1
    )
    assert found["nginx"]["severity"] == "error"
    assert found["open files"]["severity"] == "warning"
    assert "400 at most" in found["open files"]["found"]


def test_where_the_table_is_of_another_proxy_nginx_is_not_missed(server: Server, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[Extensions.a]\nExtension = "haproxy"\n[Extensions.a.Config]\nServerTimeout = 5\n')
    found = doctor(
        "--role", "proxy", "--bus", server.url, "--state-dir", str(tmp_path), "--nginx", "none", "-c", str(config)
    )
    assert {"haproxy", "memory", "open files"} <= set(found)
    assert not {"nginx", "nginx modules"} & set(found)


def test_a_config_that_cannot_be_used_ends_it_as_it_ends_a_service(server: Server, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[Extensions.a.Config]\nMaxConnections = "many"\n')
    done = CliRunner().invoke(main, ["doctor", "--role", "proxy", "--bus", server.url, "-c", str(config)])
    assert done.exit_code == 2
    assert f"{config}:2: Extensions.a.Config.MaxConnections = 'many': a number belongs here" in done.stderr


def test_what_people_read(server: Server) -> None:
    done = CliRunner().invoke(main, ["doctor", "--role", "planner", "--bus", server.url])
    assert done.exit_code == 0
    assert "0 errors" in done.stdout
    assert "bus version" in done.stdout
