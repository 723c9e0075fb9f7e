"""Options, answers and batches of HAProxy, and what of a host cannot be written."""

from __future__ import annotations

import re

import pytest

from interlock.config.haproxy import HAPROXY
from interlock.errors import ConfigError, ConfigRejected, ProxyUnavailable
from interlock.model.routing import Route, Upstream, VirtualHost
from interlock_extension.haproxy import reply, routes
from interlock_extension.haproxy.config import HaproxyConfig, read_config
from interlock_extension.haproxy.delta import AddMap, AddServer, Command, DelServer, SetMap, SetState
from interlock_extension.haproxy.escape import LONGEST
from interlock_extension.haproxy.render import MAIN, spares
from interlock_extension.haproxy.routes import Server
from interlock_extension.port import HostView
from interlock_extension.rendering.tokens import Token
from support.haproxy_lab import renderer
from support.nginx_lab import endpoint, upstream, view, virtual_host

ADD = AddServer(backend="b", server=Server(name=Token("s"), address=Token("1.2.3.4:5"), number=7))
SET = SetMap(map="routes.map", key="a/", value="b")
KNOWN = 'type=str, case=sensitive, found=yes, idx=tree, key="version", val="1", type="str"\n\n'


def test_options_in_any_case() -> None:
    assert read_config({"servertimeout": 5, "IPHash": True}) == HaproxyConfig(server_timeout=5, ip_hash=True)
    assert read_config({"AdminPass": "x"}) == HaproxyConfig()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ServerTimeut", 5, "did you mean ServerTimeout"),
        ("Nothing", 5, "HAProxy has MaxConnections, "),
        ("ServerTimeout", "5", "without quotes"),
        ("AccessLogPath", "/var/log/x", "HAProxy writes no files"),
        ("AdminPass", 7, "= …:"),
    ],
)
def test_bad_options_are_told_with_their_remedy(name: str, value: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_config({name: value})
    with pytest.raises(ConfigError, match=r"config\.toml:3"):
        read_config({name: value}, {name: "config.toml:3"})


def test_every_option_that_takes_effect_is_in_the_value() -> None:
    now = {key.name.lower() for key in HAPROXY.keys if key.effect == "now"}
    assert now == {name.replace("_", "") for name in HaproxyConfig.__struct_fields__}


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"MaxConnections": 77}, "    maxconn 77\n"),
        ({"ConnectTimeout": 7}, "    timeout connect 7s\n"),
        ({"ClientTimeout": 8}, "    timeout client 8s\n"),
        ({"ServerTimeout": 9}, "    timeout tunnel 9s\n"),
        ({"KeepaliveTimeout": "1m"}, "    timeout http-keep-alive 1m\n"),
        ({"ClientMaxBodySize": "1k"}, "gt 1024\n"),
        ({"WorkerProcesses": 3}, "    nbthread 3\n"),
        ({"AccessLogPath": "/dev/stderr"}, "    log fd@4 format raw daemon\n"),
        ({"GlobalOptions": ["tune.maxrewrite 2048"]}, "    tune.maxrewrite 2048\n"),
        ({"DefaultOptions": ["option tcp-smart-connect"]}, "    option tcp-smart-connect\n"),
    ],
)
def test_what_options_write(options: dict[str, object], line: str) -> None:
    written = renderer(**options).shared(1, 1, default=False)[MAIN].decode()
    assert line in written
    assert line not in renderer().shared(1, 1, default=False)[MAIN].decode()


def test_ip_hash_for_every_host() -> None:
    assert b"|src\n" in renderer(IPHash=True).host(view("a.example", 1))
    assert b"|src\n" not in renderer().host(view("a.example", 1))


def test_the_main_file_changes_in_coarse_steps() -> None:
    assert [spares(hosts) for hosts in (0, 512, 520, 1040, 10_000, 1_000_000)] == [64, 64, 128, 256, 1024, 1024]
    assert renderer().shared(1, 1, default=False) == renderer().shared(500, 90, default=True)


def test_the_main_file_is_rendered_once_for_each_step() -> None:
    made = renderer()
    assert made.shared(9_000, 1, default=False)[MAIN] is made.shared(9_001, 9, default=True)[MAIN]
    assert made.shared(9_000, 1, default=False) == renderer().shared(9_000, 1, default=False)


@pytest.mark.parametrize(
    ("text", "answers"),
    [
        # HAProxy 2.6, then 2.8: they differ in empty lines.
        (f"No such backend.\n{KNOWN}\n", ["No such backend.", ""]),
        (f"No such backend.\n\n{KNOWN}entry not found.\n\n", ["No such backend.", "entry not found."]),
        (f"New server registered.\n\n{KNOWN}\n", ["New server registered.", ""]),
    ],
)
def test_answers_are_told_apart(text: str, answers: list[str]) -> None:
    assert reply.split(text, (ADD, SET)) == answers


@pytest.mark.parametrize("text", ["", "\n", f"New server registered.\n\n{KNOWN}", f"x\n{KNOWN}\n\n", "x\n\ny\n\n"])
def test_answers_that_do_not_come_out_even_are_an_error(text: str) -> None:
    with pytest.raises(ProxyUnavailable, match="its state is unknown"):
        reply.split(text, (ADD, SET))


@pytest.mark.parametrize(
    ("command", "answer", "what"),
    [
        (ADD, "New server registered.", "done"),
        (ADD, "", "refused"),
        (ADD, "Already exists a server with the same name in backend.", "refused"),
        (SET, "", "done"),
        (SET, "entry not found.", "refused"),
        (SET, "New server registered.", "refused"),
        (SetState(backend="b", server="s", state="maint"), "No such server.", "refused"),
        (DelServer(backend="b", server="s"), "Server deleted.", "done"),
        (DelServer(backend="b", server="s"), "No such server.", "done"),
        (DelServer(backend="b", server="s"), "", "refused"),
        (DelServer(backend="b", server="s"), "Server still has connections attached to it, cannot remove it.", "later"),
    ],
)
def test_what_an_answer_means(command: Command, answer: str, what: str) -> None:
    assert reply.verdict(command, answer).what == what


def test_batches_fit_into_haproxys_buffer() -> None:
    commands = [AddMap(map="routes.map", key=f"{n}/{'x' * 500}", value="b") for n in range(100)]
    made = list(reply.batches([ADD, *commands]))
    assert [command for some in made for command in some] == [ADD, *commands]
    assert all(len(reply.batch(some)) <= reply.MOST + 1 for some in made)
    assert 1 < len(made) < 10
    assert list(reply.batches([])) == []


def test_all_segments_of_a_path_that_can_be_written_are_taken_off() -> None:
    longest = LONGEST - len("a/")
    for count in (1, 31, 32, 256, longest // 2):
        host = VirtualHost(host="a", routes=(Route(path="/a" * count, rewrite=True, upstream="u"),))
        made = HostView(host=host, upstreams=(Upstream(name="u", endpoints=(endpoint(1, "t"),)),))
        flags = re.search(rb"\|([s0-9.]+)\|", renderer().host(made))
        assert flags is not None
        assert sum(int(said) for said in re.findall(rb"s(\d+)\.", flags[1])) == count
    host = VirtualHost(host="a", routes=(Route(path="/a" * (longest // 2 + 1), rewrite=True, upstream="u"),))
    with pytest.raises(ConfigRejected, match="at most 1024"):
        renderer().host(HostView(host=host, upstreams=made.upstreams))


def test_servers_that_share_an_address_are_one() -> None:
    two = (endpoint(80, "t1"), endpoint(80, "t2"), endpoint(81, "vip"))
    served = routes.served(HostView(host=virtual_host("a.example"), upstreams=(upstream("a.example", two),)))
    [backend] = served.backends.values()
    assert [server.address for server in backend.servers.values()] == ["127.0.0.1:80", "127.0.0.1:81"]
    assert [name.rpartition("_")[0] for name in backend.servers] == ["t_t1", "vip_id-svc"]
    assert len({server.number for server in backend.servers.values()}) == 2
