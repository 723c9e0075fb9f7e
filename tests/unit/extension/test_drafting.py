"""What is drafted after something did not go as it should."""

from __future__ import annotations

from interlock.model.routing import Endpoint, Upstream, VirtualHost, unserved
from interlock_extension.blame import Blame
from interlock_extension.change import Drafting
from interlock_extension.desired import Desired
from interlock_extension.nginx.config import read_config
from interlock_extension.nginx.custom import Template
from interlock_extension.nginx.render import Facts, NginxRenderer
from interlock_extension.port import HostView
from support.nginx_lab import endpoint, upstream, virtual_host

FACTS = Facts(listen=("8080",), proxy_id="p", server_info="i", stub_status=True)

BROKEN = Template(
    path="/t.conf", text='{% extends base %}{% block server %}{% if host == "a" %}{{ host }}{% endif %}{% endblock %}'
)
"""It cannot be rendered for the host `a`, whatever is served there."""


class Made:
    """A drafting whose plan is given host by host: each has endpoints at these ports, all of them accepted."""

    def __init__(self, **hosts: tuple[int, ...]) -> None:
        self.desired = Desired()
        self.renderer = NginxRenderer(read_config({}), FACTS)
        self.drafting = Drafting(self.desired, self.renderer)
        self.plan(**hosts)
        self.drafting.accept(self.drafting.draft(hosts))

    def plan(self, **hosts: tuple[int, ...]) -> None:
        upstreams: dict[str, Upstream] = {}
        policies: dict[str, VirtualHost] = {}
        for host, ports in hosts.items():
            endpoints: tuple[Endpoint, ...] = tuple(endpoint(port, f"t{port}") for port in ports)
            made = upstream(host, endpoints)
            upstreams[made.name], policies[host] = made, virtual_host(host)
        for key in self.desired.replace(policies, upstreams).fresh:
            self.desired.accept(key)

    def file(self, host: str) -> str:
        return self.renderer.file_of(host)


def test_what_was_not_proven_is_written_again_though_the_plan_goes_back() -> None:
    made = Made(a=(1,))
    made.plan(a=(2,), b=(3,))
    draft = made.drafting.draft(("a", "b"))
    made.drafting.doubt(draft)
    made.plan(a=(1,))
    again = made.drafting.draft(("a", "b"))
    # The proxy may run either.
    assert again.rollout.action == "reload"
    assert set(again.files) == {made.file("a"), made.file("b")}
    assert again.files[made.file("b")] is None
    made.drafting.accept(again)
    assert made.drafting.draft(("a", "b")).rollout.action == "unchanged"


def adopting(before: Made, runs: Made, **hosts: tuple[int, ...]) -> Made:
    """A worker that can change its proxy while it runs; it begins with what was last good, and finds what runs."""
    made = Made()
    made.drafting = Drafting(made.desired, made.renderer, {"endpoints", "routes"})
    made.plan(**hosts)
    made.drafting.begin(before.desired.served)
    made.drafting.installed(runs.drafting.all_files())
    return made


def test_no_change_begins_at_last_good_where_the_proxy_runs_something_else() -> None:
    made = adopting(Made(a=(1,), b=(9,)), Made(a=(1, 2), b=(9,)), a=(1, 3), b=(8,))
    assert made.drafting.draft(("b",)).rollout.action == "update"
    draft = made.drafting.draft(("a",))
    assert (draft.rollout.action, draft.rollout.because) == ("reload", "drift")
    made.drafting.accept(draft)
    made.plan(a=(1,), b=(9,))
    assert made.drafting.draft(("a",)).rollout.action == "update"


def test_what_runs_is_left_as_it_is_where_it_is_what_the_plan_wants() -> None:
    made = adopting(Made(a=(1,)), Made(a=(1, 2)), a=(1, 2))
    assert made.drafting.draft(("a",)).rollout.action == "unchanged"


def test_a_control_may_ask_for_everything_anew_for_a_reason_of_its_own() -> None:
    made = adopting(Made(a=(1,), b=(9,)), Made(a=(1,), b=(9,)), a=(1,), b=(9,))
    for told, expected in (((), "drift"), (("a socket is gone", "sockets"), "sockets")):
        made.drafting.distrust(*told)
        draft = made.drafting.draft(())
        assert (draft.rollout.action, draft.rollout.because) == ("reload", expected)
        assert draft.files.keys() == made.drafting.all_files().keys()
        assert not told or draft.rollout.reason == told[0]
        made.drafting.accept(draft)
        assert made.drafting.draft(()).rollout.action == "unchanged"


def test_files_of_hosts_that_nobody_knows_go_by_a_reload() -> None:
    made = adopting(Made(a=(1,)), Made(a=(1,), z=(9,)), a=(2,))
    draft = made.drafting.draft(("a",))
    assert (draft.rollout.action, draft.files[made.file("z")]) == ("reload", None)


def restarted(before: Made, **hosts: tuple[int, ...]) -> Made:
    """A worker that begins with what was last good before, and with a template that is broken for `a`."""
    made = Made()
    made.renderer = NginxRenderer(read_config({}), FACTS, BROKEN)
    made.drafting = Drafting(made.desired, made.renderer)
    made.plan(**hosts)
    made.drafting.begin(before.desired.served)
    return made


def test_a_host_that_cannot_be_rendered_any_more_answers_503_from_the_start() -> None:
    before = Made(a=(1,), b=(1,))
    made = restarted(before, a=(1,), b=(1,))
    start = made.drafting.all_files()
    assert start[made.file("a")] == made.renderer.unserved("a")
    assert b"return 503" in start[made.file("a")]
    assert made.drafting.upstreams == 1
    assert made.desired.served["a"].host == unserved("a")
    assert made.drafting.installed(start) == set()
    # Nor does what comes later take it for served, or lose it.
    draft = made.drafting.draft(("a", "b"))
    assert draft.rollout.action == "unchanged"
    assert draft.views["a"] == HostView(host=unserved("a"))
    assert "a" in made.desired.refused


def test_what_an_adopted_proxy_has_of_it_stays_until_an_endpoint_leaves() -> None:
    before = Made(a=(1, 2), b=(3,))
    made = restarted(before, a=(1, 2), b=(3,))
    running = before.drafting.all_files()
    # The template adds to every host, if only a line break.
    assert made.drafting.installed(running) == {"a", "b"}
    assert made.desired.served["a"] == before.desired.served["a"]
    assert made.file("a") not in made.drafting.draft(("a",)).files
    made.plan(a=(2,), b=(3,))
    draft = made.drafting.draft(("a",))
    assert draft.files[made.file("a")] == made.renderer.unserved("a")
    made.drafting.accept(draft)
    assert made.drafting.overdue == ()


def test_a_new_host_that_cannot_be_rendered_at_all_answers_503() -> None:
    made = restarted(Made(b=(1,)), a=(1,), b=(1,))
    draft = made.drafting.draft(("a",))
    assert draft.files[made.file("a")] == made.renderer.unserved("a")


def test_a_host_that_is_gone_leaves_nothing_behind() -> None:
    made = Made(a=(1,))
    size = len(made.drafting._host_of)
    for n in range(50):
        name = f"h{n}"
        made.plan(a=(1,), **{name: (1,)})
        draft = made.drafting.draft((name,))
        made.drafting.refuse(draft, name, Blame(reason="?", exact=False), 0.0)
        made.drafting.accept(made.drafting.draft((name,)))
        made.plan(a=(1,))
        made.drafting.accept(made.drafting.draft((name,)))
    assert len(made.drafting._host_of) == size
    assert made.drafting.acquit(1e9) == set()
    # A file of such a host, should there be one, is nobody's.
    made.drafting.installed({**made.drafting.all_files(), made.file("h1"): b"left"})
    assert made.drafting.draft(()).files == {made.file("h1"): None}


def test_the_policy_that_was_last_served_whole_is_remembered() -> None:
    """What one of its paths needs was not in the proxy's files yet, and may be refused as soon as it is."""
    made = Made(a=(1,))
    before, joined = virtual_host("a"), virtual_host("a", "/", "/new")
    made.desired.replace({"a": joined}, made.desired.upstreams)
    made.drafting.accept(made.drafting.draft(("a",)))
    assert made.desired.served["a"].host == joined
    assert made.desired.tried == {"a": before}
    newcomer = upstream("a", (endpoint(2, "new"),), "/new")
    for key in made.desired.replace({"a": joined}, {**made.desired.upstreams, newcomer.name: newcomer}).fresh:
        made.desired.accept(key)
    made.drafting.accept(made.drafting.draft(("a",)))
    assert made.desired.tried == {"a": joined}
    made.plan()
    made.drafting.accept(made.drafting.draft(("a",)))
    assert made.desired.tried == {}
