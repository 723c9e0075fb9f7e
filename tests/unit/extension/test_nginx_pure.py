"""The pure parts of the nginx extension: generations, refusals, options, names and sizes."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock.config.kinds import seconds
from interlock.errors import ConfigError, ConfigRejected
from interlock.model.routing import DEFAULT_HOST
from interlock_extension.machine.generations import Bounds, OldWorker, overdue
from interlock_extension.nginx import extension, render
from interlock_extension.nginx.config import NginxConfig, read_config
from interlock_extension.nginx.refusal import read_refusal
from interlock_extension.nginx.render import Facts, NginxRenderer
from interlock_extension.port import Settings
from support.nginx_lab import view

FACTS = Facts(listen=("8080",), proxy_id="p", server_info="i", stub_status=True)


def renderer(**options: object) -> NginxRenderer:
    return NginxRenderer(read_config(options), FACTS)


def old(pid: int, memory: int = 1, *, generation: int | None = None, age: float = 60.0) -> OldWorker:
    return OldWorker(pid=pid, generation=pid if generation is None else generation, age=age, memory=memory)


def ended(workers: list[OldWorker], bounds: Bounds) -> list[int]:
    return [worker.pid for worker in overdue(workers, bounds)]


def test_old_generations_are_bounded_by_number() -> None:
    assert ended([old(pid) for pid in (100, 101, 102, 103)], Bounds(generations=2)) == [100, 101]


def test_a_storm_of_changes_ends_no_young_generation_for_its_number() -> None:
    """Clients of theirs are still sending: bodies take seconds to arrive."""
    storm = [old(1, age=31.0), *(old(pid, age=9.0 - pid) for pid in range(2, 9))]
    assert ended(storm, Bounds(generations=2)) == [1]
    assert ended(storm, Bounds(generations=2, memory=4)) == [1, 2, 3, 4]


def test_old_generations_are_bounded_by_time() -> None:
    """Every worker of it must be as old: it is ended as a whole."""
    assert ended([old(1, age=86_400.0), old(2, age=86_399.0)], Bounds()) == [1]
    assert ended([old(1, age=61.0), old(2, age=60.0), old(3, age=59.0)], Bounds(age=60.0)) == [1, 2]


def test_old_generations_are_bounded_by_memory() -> None:
    assert ended([old(pid, 50, age=0.1) for pid in (100, 101, 102)], Bounds(memory=100)) == [100]


def test_workers_of_one_generation_go_together() -> None:
    twins = [old(pid, generation=pid // 10) for pid in (10, 11, 20, 21)]
    assert ended(twins, Bounds(generations=1)) == [10, 11]
    assert ended(twins, Bounds(generations=2)) == []


def test_a_refusal_names_the_file() -> None:
    log = (
        "2026/01/01 00:00:00 [warn] 1#1: could be better\n"
        '2026/01/01 00:00:00 [emerg] 1#1: unknown directive "x y" in /run/hosts/a.example.conf:12\n'
        "nginx: configuration file /run/nginx.conf test failed\n"
    )
    found = read_refusal(log)
    assert found is not None
    assert found.file == "/run/hosts/a.example.conf"
    assert found.said.startswith('unknown directive "x y"')
    assert read_refusal("2026/01/01 00:00:00 [warn] 1#1: nothing bad\n") is None


def test_a_refusal_without_a_file() -> None:
    found = read_refusal("nginx: [emerg] bind() to 0.0.0.0:80 failed (13: Permission denied)")
    assert found is not None
    assert found.file is None


def test_a_zone_that_is_full_is_a_refusal_of_its_upstream_where_nginx_was_asked_aside() -> None:
    said = 'nginx: [crit] ngx_slab_alloc() failed: no memory in upstream zone "u_a_backend"\nnginx: test failed\n'
    found = read_refusal(said, ("emerg", "crit", "alert"))
    assert found is not None
    assert (found.zone, found.file) == ("u_a_backend", None)
    # A running nginx says so about single requests, too.
    assert read_refusal(said) is None


def test_the_gravest_complaint_is_the_refusal() -> None:
    said = "nginx: [alert] could not open error log file\nnginx: [emerg] no such directive in /x/nginx.conf:1\n"
    found = read_refusal(said, ("emerg", "crit", "alert"))
    assert found is not None
    assert found.file == "/x/nginx.conf"


@pytest.mark.parametrize(
    ("said", "machine"),
    [
        ("mmap(MAP_ANON|MAP_SHARED, 65536) failed (12: Cannot allocate memory)", True),
        ("bind() to 0.0.0.0:80 failed (98: Address already in use)", True),
        ('unknown directive "x"', False),
    ],
)
def test_what_the_machine_lacks_is_no_hosts_fault(said: str, machine: bool) -> None:
    found = read_refusal(f"nginx: [emerg] {said}")
    assert found is not None
    assert bool(found.machine) is machine


@pytest.mark.parametrize("servers", [1, 15, 47, 56, 57, 112, 128, 280, 281, 600, 1184, 2392, 5000])
def test_a_zone_holds_its_servers(servers: int) -> None:
    """What nginx 1.31.3 took, measured with IPv6 addresses."""
    fits = {32: 15, 64: 56, 128: 127, 256: 280, 512: 584, 1024: 1184, 2048: 2392}
    size = render.zone_size(servers, 64)
    assert size >= 64
    assert size & (size - 1) == 0
    assert servers <= fits.get(size, servers)
    assert size <= max(64, 4 * servers)
    assert render.zone_size(servers, 100_000) == 100_000


def test_options_by_interlocks_names_in_any_case() -> None:
    config = read_config({"ReadTimeout": 7, "clientmaxbodysize": "1m", "SSLProtocols": "TLSv1.2"})
    assert (config.read_timeout, config.client_max_body_size, config.connect_timeout) == (7, "1m", "300ms")


@pytest.mark.parametrize("options", [{"ReadTimeout": "7"}, {"Nonsense": 1}, {"LogFormat": "x"}, {"WorkerProcesses": 0}])
def test_bad_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="nginx option"):
        read_config(options)


@pytest.mark.parametrize(("time", "found"), [("1s", 1.0), ("600ms", 0.6), ("2", 2.0), ("1m", 60.0), ("1h", 3600.0)])
def test_times_in_seconds(time: str, found: float) -> None:
    assert seconds(time) == pytest.approx(found)


def test_an_option_cannot_add_a_directive() -> None:
    """Neither by its key's kind nor, had that let it through, by what writes it."""
    bad = "75s; include /etc/passwd"
    with pytest.raises(ConfigError, match="not a time"):
        renderer(KeepaliveTimeout=bad)
    made = NginxRenderer(NginxConfig(keepalive_timeout=bad), FACTS)
    with pytest.raises(ConfigRejected, match="not a time"):
        made.shared(1, 1, default=False)


def test_idle_connections_outlive_their_worker_by_five_seconds() -> None:
    assert b"keepalive_min_timeout 5s;" in renderer().shared(1, 1, default=False)["nginx.conf"]


def test_each_host_has_a_file_of_its_own() -> None:
    made = renderer()
    files = [made.file_of(name) for name in ("a.example", "*.a.example", DEFAULT_HOST)]
    assert files == ["hosts/a.example.conf", "hosts/_wild.a.example.conf", "hosts/_default.conf"]


def test_the_main_file_stays_as_it_is_while_hosts_come() -> None:
    made = renderer()
    assert made.shared(600, 20, default=False) == made.shared(1000, 40, default=False)
    assert made.shared(600, 20, default=False) != made.shared(1100, 20, default=False)


@pytest.mark.parametrize("longest", [1, 60, 102, 103, 253])
def test_a_hash_bucket_holds_the_longest_name(longest: int) -> None:
    size = render.bucket_size(longest)
    assert size >= longest + 24
    assert size & (size - 1) == 0


def test_info_headers_can_be_hidden() -> None:
    assert b"add_header x-upstream-addr" in renderer().shared(1, 1, default=False)["nginx.conf"]
    hidden = renderer(HideInfoHeaders=True).shared(1, 1, default=False)["nginx.conf"]
    assert b"x-upstream-addr" not in hidden
    assert b"proxy_set_header x-request-id" in hidden


def test_a_value_that_was_not_escaped_ends_the_rendering() -> None:
    made = renderer()
    with pytest.raises(ConfigRejected, match="without being escaped"):
        made._host.render(made._fixed, **{**made._host_values(view("a", 1)), "server_name": "a; include x"})


@pytest.mark.parametrize(
    ("listen", "options"),
    [("80; include x", {}), ("0", {}), ("host:80", {}), ("8080", {"ClientMaxBodySize": "1m; x"})],
)
def test_settings_that_nginx_cannot_be_told_are_refused_at_once(
    tmp_path: Path, listen: str, options: dict[str, object]
) -> None:
    with pytest.raises(ConfigError):
        extension.open(Settings(folder=tmp_path, listen=(listen,), options=options))
