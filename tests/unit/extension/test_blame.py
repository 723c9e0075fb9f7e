"""Who is at fault for a refusal: exact where the proxy named the host's file, else a guess."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from interlock.errors import ConfigRejected
from interlock_extension.change import Drafting
from interlock_extension.desired import Desired
from interlock_extension.nginx.config import read_config
from interlock_extension.nginx.render import Facts, NginxRenderer
from interlock_extension.port import Control
from support.nginx_lab import virtual_host

FACTS = Facts(listen=("8080",), proxy_id="p", server_info="i", stub_status=True)
MAIN = ConfigRejected("nginx refused: x in nginx.conf:1", culprit="nginx.conf")


class Aside:
    """Refuses these files when they are checked alone; says that this or that file is to blame."""

    def __init__(self, *refused: str, culprit: str | None = None) -> None:
        self.refused, self.culprit = refused, culprit

    def check(self, hosts: Mapping[str, bytes]) -> None:
        for name in map(file, hosts):
            if name in self.refused:
                raise ConfigRejected(f"{name} refused", culprit=self.culprit or name)


def blamed(hosts: tuple[str, ...], error: ConfigRejected, aside: Aside) -> dict[str, bool]:
    """Who is blamed for the refusal of a draft of these hosts, and whether exactly."""
    desired = Desired()
    desired.replace({host: virtual_host(host) for host in hosts}, {})
    drafting = Drafting(desired, NginxRenderer(read_config({}), FACTS))
    draft = drafting.draft(hosts)
    found = drafting.culprits(draft, error, cast("Control", aside))
    assert all(drafting.refuse(draft, host, blame) for host, blame in found.items())
    assert {host: refused.exact for host, refused in desired.refused.items()} == {h: b.exact for h, b in found.items()}
    # Drafted again, it is told from memory, and as exactly as before.
    drafting.draft(hosts)
    return {host: desired.refused[host].exact for host in found}


def file(host: str) -> str:
    return NginxRenderer(read_config({}), FACTS).file_of(host)


def test_who_is_named_is_blamed_exactly() -> None:
    named = ConfigRejected("no", culprit=file("a"))
    assert blamed(("a", "b"), named, Aside()) == {"a": True}
    assert blamed(("a", "b"), MAIN, Aside(file("b"))) == {"b": True}
    assert blamed(("a",), MAIN, Aside(file("a"))) == {"a": True}


def test_who_is_not_named_is_blamed_by_a_guess() -> None:
    assert blamed(("a",), MAIN, Aside()) == {"a": False}
    assert blamed(("a", "b"), MAIN, Aside()) == {"a": False, "b": False}
    assert blamed(("a", "b"), MAIN, Aside(file("a"), file("b"), culprit="nginx.conf")) == {"a": False, "b": False}


def test_what_was_refused_is_another_policy_than_the_one_that_is_wanted() -> None:
    desired = Desired()
    desired.replace({"a": virtual_host("a", "/new")}, {})
    desired.refuse("a", "held one", virtual_host("a", "/old"))
    assert not desired.refused["a"].exact
    desired.refuse("a", "this one", virtual_host("a", "/new"))
    desired.refuse("a", "held one", virtual_host("a", "/old"))
    assert desired.refused["a"].exact
