"""What is drafted after something did not go as it should."""

from __future__ import annotations

from interlock.model.routing import Endpoint, Upstream, VirtualHost
from interlock_extension.change import Drafting
from interlock_extension.desired import Desired
from interlock_extension.nginx.config import read_config
from interlock_extension.nginx.render import Facts, NginxRenderer
from support.nginx_lab import endpoint, upstream, virtual_host

FACTS = Facts(listen=("8080",), proxy_id="p", server_info="i", stub_status=True)


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
    made.plan(a=(2,), b=(1,))
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
