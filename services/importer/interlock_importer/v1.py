"""Labels of Interlock v1 (`interlock.*`, on containers) as labels of today (on services). Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from interlock_importer.old import Desk, Mapped, listed, only
from interlock_importer.stack import Service

PREFIX = "interlock."
_NEVER = "com.docker.interlock."
_SAME = ("port", "network", "context_root")
_FLAGS = ("context_root_rewrite", "ip_hash", "ssl_only", "ssl_backend")
"""For v1 these were true by being there, whatever they said."""


class _Without(msgspec.Struct, frozen=True, kw_only=True):
    """A label that nothing today stands for."""

    reason: str
    remedy: str


_WITHOUT = {
    "balance_algorithm": _Without(
        reason="nginx takes the tasks in turn; there is no other algorithm to choose",
        remedy="Remove it, or keep clients at a task with sticky_session_cookie or ip_hash",
    ),
    "backend_option": _Without(
        reason="is a raw line of HAProxy's configuration, and the proxy is nginx",
        remedy="See whether another label says the same; what all services share can go into config.toml",
    ),
    "health_check": _Without(
        reason="the proxy does not ask services for their health: Swarm does, and tells",
        remedy="Give the service a `healthcheck:`; max_fails and fail_timeout leave a failing task out for a while",
    ),
    "health_check_interval": _Without(
        reason="the proxy does not ask services for their health: Swarm does, and tells",
        remedy="Write it as `interval:` of the service's `healthcheck:`",
    ),
}


def claims(key: str) -> bool:
    """Whether a label is one of v1's, or of those that some took for v1's."""
    return key.startswith((PREFIX, _NEVER)) or f"{PREFIX}alias_domain" in key


def translate(service: Service) -> Mapped:
    """What the v1 labels of a service's containers amount to."""
    desk = Desk(service.name)
    for key, value in service.labels.items():
        if claims(key):
            desk.note(
                "unmapped", key, value, "is a label of the service; v1 read those of containers only",
                "Move it to `labels` of the service, where v1 read it, or say it with today's labels",
            )  # fmt: skip
    old = {key: value for key, value in service.container_labels.items() if claims(key)}
    if not old:
        return desk.mapped()
    for step in _STEPS:
        step(desk, old)
    if not old.get(f"{PREFIX}port") and (desk.labels or desk.notes) and not _of_v1_itself(old):
        port = only((*service.ports, *service.exposed))
        if port:
            desk.set("port", port)
            desk.note("mapped", "ports", port, "is the only port of the container, which v1 took, and became port")
    for key, value in old.items():
        if not any(note.key == key for note in desk.notes):
            _leftover(desk, key, value)
    return desk.mapped()


def _leftover(desk: Desk, key: str, value: str) -> None:
    if key.startswith(_NEVER):
        reason = "was never read by any version of Interlock"
    elif key.startswith(f"{PREFIX}context_root."):
        reason = "a service has one context root"
        desk.note("unmapped", key, value, reason, "Deploy it a second time, as a service of its own with that root")
        return
    else:
        reason = "is no label of Interlock v1 that is known"
    desk.note("unmapped", key, value, reason, "Remove it, or say it with one of today's labels")


def _of_v1_itself(old: dict[str, str]) -> bool:
    return all(key in (f"{PREFIX}ext.name", f"{PREFIX}app") for key in old)


def _own(desk: Desk, old: dict[str, str]) -> None:
    for key in (f"{PREFIX}ext.name", f"{PREFIX}app"):
        if key in old:
            desk.note(
                "differs", key, old[key], "marks a part of v1 itself, which is not routed and needs no label",
                "Leave the service out once v1 is gone",
            )  # fmt: skip


def _hosts(desk: Desk, old: dict[str, str]) -> None:
    hosts: list[str] = []
    domain = old.get(f"{PREFIX}domain", "").strip()
    hostname = old.get(f"{PREFIX}hostname", "unknown").strip()
    if domain:
        hosts.append(domain if hostname in ("", domain) else f"{hostname}.{domain}")
        for key in (f"{PREFIX}hostname", f"{PREFIX}domain"):
            if key in old:
                desk.note("mapped", key, old[key], f"became {hosts[0]} in hosts")
        if f"{PREFIX}hostname" not in old:
            reason = f"without interlock.hostname, v1 took the name {hosts[0]}"
            remedy = f"If {domain} is meant, set interlock.hostname to it as well and import again"
            desk.note("differs", f"{PREFIX}domain", domain, reason, remedy)
    elif f"{PREFIX}hostname" in old:
        reason = "v1 made a name of it together with interlock.domain, which is not there"
        desk.note("unmapped", f"{PREFIX}hostname", hostname, reason, "Set com.docker.lb.hosts by hand")
    for family in ("alias_domain", "hosts"):
        for key, value in _family(old, family):
            hosts += (each.strip() for each in value.split(","))
            desk.note("mapped", key, value, "became a part of hosts")
    if listed(hosts):
        desk.set("hosts", listed(hosts))


def _family(old: dict[str, str], name: str) -> Iterator[tuple[str, str]]:
    """A label and its suffixed forms, which v1 found by their text."""
    for key, value in old.items():
        if key == PREFIX + name or f"{PREFIX}{name}." in key or (name == "alias_domain" and PREFIX + name in key):
            yield key, value


def _same(desk: Desk, old: dict[str, str]) -> None:
    for name in _SAME:
        value = old.get(PREFIX + name)
        if value is not None:
            desk.set(name, value)
            desk.note("mapped", PREFIX + name, value, f"became {name}")


def _flags(desk: Desk, old: dict[str, str]) -> None:
    for name in _FLAGS:
        value = old.get(PREFIX + name)
        if value is None:
            continue
        desk.set(name, "true")
        if value.strip().lower() == "true":
            desk.note("mapped", PREFIX + name, value, f"became {name}")
        else:
            reason = f"v1 took any value for true, and so it became {name}=true"
            desk.note(
                "differs", PREFIX + name, value, reason, "If false is meant, remove the old label and the new one"
            )


def _websockets(desk: Desk, old: dict[str, str]) -> None:
    found = list(_family(old, "websocket_endpoint"))
    paths = listed(path.strip() for _, value in found for path in value.split(","))
    if paths:
        desk.set("websocket_endpoints", paths)
    for key, value in found:
        desk.note("mapped", key, value, "became a part of websocket_endpoints")


def _tls(desk: Desk, old: dict[str, str]) -> None:
    for name, today in (("ssl_cert", "ssl_cert"), ("ssl_cert_key", "ssl_key")):
        value = old.get(PREFIX + name)
        if not value:
            continue
        secret = value.strip().rpartition("/")[2]
        desk.set(today, secret)
        reason = f"v1 named a file; {today} names a secret of Swarm's"
        desk.note("differs", PREFIX + name, value, reason, f"docker secret create {secret} FILE")
    if f"{PREFIX}ssl" in old:
        if old.get(f"{PREFIX}ssl_cert"):
            desk.note("mapped", f"{PREFIX}ssl", old[f"{PREFIX}ssl"], "needs no label: a host with ssl_cert has TLS")
        else:
            desk.note(
                "unmapped", f"{PREFIX}ssl", old[f"{PREFIX}ssl"], "v1 took the certificate of its own configuration",
                "docker secret create NAME FILE, for certificate and key, and name them with ssl_cert and ssl_key",
            )  # fmt: skip
    verify = old.get(f"{PREFIX}ssl_backend_tls_verify")
    if verify is not None:
        desk.set("ssl_backend_tls_verify", verify)
        desk.note("mapped", f"{PREFIX}ssl_backend_tls_verify", verify, "became ssl_backend_tls_verify")


def _without(desk: Desk, old: dict[str, str]) -> None:
    for name, without in _WITHOUT.items():
        for key, value in _family(old, name):
            desk.note("unmapped", key, value, without.reason, without.remedy)


_STEPS: tuple[Callable[[Desk, dict[str, str]], None], ...] = (
    _own, _hosts, _same, _flags, _websockets, _tls, _without,
)  # fmt: skip
