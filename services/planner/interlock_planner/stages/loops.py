"""Redirect loops through several services, told to each whose redirect takes part. Pure.

A loop within one service is the labels' matter (`interlock.labels.known.redirects`), and left out there. Here nobody
could say whose redirect is the mistake: all stay in force.
"""

from __future__ import annotations

from collections.abc import Mapping

from interlock.labels.known.redirects import REDIRECTS, loop_text, next_host
from interlock.model.problem import Problem
from interlock.model.routing import VirtualHost

_MOST_STEPS = 20
"""Clients give up after as many redirects; a longer loop is not looked for, so that a host costs no more than this."""


def loop_of(host: str, hosts: Mapping[str, VirtualHost]) -> tuple[str, ...]:
    """The hosts through which a request for this one comes back to it, this one first; empty where it does not."""
    passed: list[str] = []
    at: str | None = host
    while at is not None and len(passed) < _MOST_STEPS:
        found = hosts.get(at)
        if found is None or found.redirect is None:
            return ()
        passed.append(at)
        at = next_host(found.redirect.target)
        if at == host:
            return tuple(passed)
    return ()


def owners_of_loop(host: str, hosts: Mapping[str, VirtualHost]) -> set[str]:
    """Ids of the services that are told of the loop in which this host is."""
    redirects = (hosts[each].redirect for each in loop_of(host, hosts))
    return {redirect.service_id for redirect in redirects if redirect}


def loop_problem(host: str, service_id: str, hosts: Mapping[str, VirtualHost]) -> Problem | None:
    """What its owner is told of this host's redirect; None where it ends somewhere, or is another service's."""
    planned = hosts.get(host)
    redirect = planned.redirect if planned else None
    if redirect is None or redirect.service_id != service_id:
        return None
    along = {each: found for each in loop_of(host, hosts) if (found := hosts[each].redirect)}
    if not along:
        return None
    others = sorted({each.service for each in along.values()} - {redirect.service})
    loop = loop_text(host, {each: found.target for each, found in along.items()})
    return Problem(
        code="redirect-invalid",
        service=redirect.service,
        service_id=service_id,
        key=REDIRECTS.name,
        value=f"http://{host},{redirect.target}"[:200],
        reason=f"is a redirect loop ({loop}){' with ' if others else ''}{', '.join(others)}"[:400],
        remedy="Remove one of these redirects",
        severity="warning",
        concerned=tuple(others),
    )
