"""Fragments to one tenant of an AS3 declaration, and back. Pure.

    <tenant>                       class Tenant; `constants` say under which fence and for which version it was written
      ingress                      Application: `web` (Service_HTTP), `routes` (Endpoint_Policy, the first match counts)
      h_<host>_<digest>            Application of a host: its pools; `constants` hold the host's name

What is read back gives the same fragments, byte for byte: a worker that takes a tenant over knows what is there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from hashlib import blake2s
from typing import Any

import msgspec

from interlock.model.routing import DEFAULT_HOST
from interlock.model.version import Token
from interlock_f5.render import SERVICE, application, canonical

SCHEMA = "3.47.0"
"""The first version of the schema that has all that we write (`httpHost`)."""

_INGRESS = "ingress"
_EPOCH, _NONCE, _NOTE = "interlockEpoch", "interlockNonce", "interlockVersion"
_GREATEST_EPOCH = 10**15
"""Epochs begin at milliseconds of Unix time: a greater one is nobody's of ours, and no fence."""
_PLAIN = re.compile(r"[^A-Za-z0-9]+")
_OTHERWISE = {"name": "otherwise", "conditions": [], "actions": [{"type": "drop", "event": "request"}]}


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant as the device has it. `files`: its fragments; `epoch`, `nonce`: of the fence it was written under."""

    files: dict[str, bytes] = {}
    epoch: int = 0
    nonce: str = ""


def tenant_name(cluster: str) -> str:
    """The tenant of a service cluster (`region/cluster`): readable, unique, a letter first."""
    digest = blake2s(cluster.encode(), digest_size=4).hexdigest()
    return f"interlock_{_PLAIN.sub('_', cluster).strip('_')[:100]}_{digest}"


def compose(files: Mapping[str, bytes], token: Token, note: str) -> dict[str, Any]:
    """The tenant of these fragments, written under this token. `note`: the plan's version."""
    fragments = [json.loads(data) for name, data in files.items() if name != SERVICE]
    fragments.sort(key=lambda fragment: _rank(fragment["host"]))
    tenant: dict[str, Any] = {
        "class": "Tenant",
        "constants": {"class": "Constants", _EPOCH: token.epoch, _NONCE: token.nonce, _NOTE: note},
        _INGRESS: {
            "class": "Application",
            "template": "generic",
            "routes": {
                "class": "Endpoint_Policy",
                "strategy": "first-match",
                "rules": [*(rule for fragment in fragments for rule in fragment["rules"]), _OTHERWISE],
            },
        },
    }
    if SERVICE in files:
        virtual = json.loads(files[SERVICE])
        tenant[_INGRESS]["web"] = {
            "class": "Service_HTTP",
            "virtualAddresses": virtual["addresses"],
            "virtualPort": virtual["port"],
            "policyEndpoint": "routes",
        }
    for fragment in fragments:
        tenant[application(fragment["host"])] = {
            "class": "Application",
            "template": "generic",
            "constants": {"class": "Constants", "host": fragment["host"], "ignored": fragment["ignored"]},
            **fragment["pools"],
        }
    return tenant


def declare(name: str, tenant: Mapping[str, Any], *, lock: str = "", dry_run: bool = False) -> dict[str, Any]:
    """A declaration of one tenant, which leaves others alone. `lock`: the device refuses it for another state of it."""
    found: dict[str, Any] = {"class": "ADC", "schemaVersion": SCHEMA, "id": name, "updateMode": "selective"}
    if dry_run:
        found["controls"] = {"class": "Controls", "dryRun": True}
    return {**found, name: {**tenant, **({"optimisticLockKey": lock} if lock else {})}}


def read(tenant: object) -> Found:
    """What a tenant of the device holds of ours. What is not ours is left out: it is replaced by the next write."""
    if not isinstance(tenant, dict):
        return Found()
    constants = _dict(tenant.get("constants"))
    epoch, nonce = constants.get(_EPOCH), constants.get(_NONCE)
    if not isinstance(epoch, int) or isinstance(epoch, bool) or not 0 <= epoch <= _GREATEST_EPOCH:
        epoch = 0
    files: dict[str, bytes] = {}
    rules = _dict(_dict(tenant.get(_INGRESS)).get("routes")).get("rules")
    web = _dict(tenant.get(_INGRESS)).get("web")
    if isinstance(web, dict):
        files[SERVICE] = canonical({"addresses": web.get("virtualAddresses"), "port": web.get("virtualPort")})
    by_app: dict[str, list[Any]] = {}
    for rule in rules if isinstance(rules, list) else ():
        by_app.setdefault(str(_dict(rule).get("name")).rpartition(".")[0], []).append(rule)
    for app, content in tenant.items():
        about = _dict(_dict(content).get("constants"))
        host = about.get("host")
        if not isinstance(host, str) or app != application(host):
            continue
        pools = {name: pool for name, pool in content.items() if _dict(pool).get("class") == "Pool"}
        ignored = about.get("ignored")
        told = [what for what in ignored if isinstance(what, str)] if isinstance(ignored, list) else []
        fragment = {"host": host, "pools": pools, "rules": by_app.get(app, []), "ignored": told}
        files[f"hosts/{app}.json"] = canonical(fragment)
    return Found(files=files, epoch=epoch, nonce=nonce if isinstance(nonce, str) else "")


def _rank(host: str) -> tuple[int, int, str]:
    """Hosts before wildcards, the longest wildcard first, last what nobody claims."""
    return (2 if host == DEFAULT_HOST else 1 if host.startswith("*.") else 0, -len(host), host)


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
