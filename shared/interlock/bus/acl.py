"""The bus' users, for Redis 7 and Valkey: each role may do what its work takes, on its own keys, no more. Pure.

    watcher            writes the services of its region, its facts and its lease; adds to the registry of clusters
    planner            reads services and outcomes, writes plans, held policies and its leases
    proxy, proxy-<c>   reads the plan of one service cluster, writes that cluster's outcomes
    pool-<p>           the workers of a pool: read the plans of their region, write outcomes and the pool's leases
    operator           reads (`interlock status`, `routes`, `doctor`), writes nothing

The rules follow `keys` and `scripts/`: who gives a script a key or a command more, gives it here too, and
`tests/contract/test_bus_acl.py` notices what was forgotten.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from urllib.parse import quote, unquote, urlsplit

import msgspec

from interlock.bus import keys
from interlock.errors import ConfigError
from interlock.model.names import Cluster

_CONNECT = "auth hello ping select time client|setname acl|whoami"
"""Without `client|setinfo`, which Redis 7.0 does not know; it refuses a file that names it, and clients do without."""

_SCRIPTS = "eval evalsha"
_LEASE = "type del hmget hget hset pexpire"
_APPEND = "xadd xrange xrevrange xlen xtrim"
_STATE = f"type del hgetall hmget hget hset hdel hlen pexpire persist rename {_APPEND}"
_FOLLOW = "hgetall hmget xread xrevrange"
_LOOK = "hkeys hgetall hmget hget hlen xrange xrevrange xlen type info"


class User(msgspec.Struct, frozen=True, kw_only=True):
    """One user of the bus. `rules`: as `ACL SETUSER` takes them, without the password."""

    name: str
    rules: tuple[str, ...]


def users(region: str, clusters: Iterable[str], pools: Iterable[str] = ()) -> tuple[User, ...]:
    """The users of a region, one for the proxies of each of these service clusters; '' is the unnamed one.

    `pools`: and one for the workers of each of these pools.
    """
    each = [_proxy(Cluster(region, name)) for name in dict.fromkeys(clusters)]
    pooled = [_pool(region, name) for name in dict.fromkeys(pools)]
    return (_watcher(region), _planner(region), *each, *pooled, _operator(region))


def proxy_name(cluster: Cluster) -> str:
    """The user of a service cluster's proxies: `proxy-<cluster>`, `proxy` for the unnamed one."""
    return f"proxy-{str(cluster).partition('/')[2]}" if cluster.name else "proxy"


def acl_file(users: Iterable[User], passwords: Mapping[str, str]) -> str:
    """The text of an `aclfile`. Passwords are in it as hashes only; nobody is let in without a user."""
    lines = ["user default off resetpass resetkeys resetchannels -@all"]
    for user in users:
        digest = hashlib.sha256(passwords[user.name].encode()).hexdigest()
        lines.append(" ".join(("user", user.name, "on", f"#{digest}", "resetkeys", "resetchannels", *user.rules)))
    return "\n".join(lines) + "\n"


def user_url(server: str, user: str, password: str) -> str:
    """The bus' URL with a user in it. Raises `ConfigError` for a server's URL that has one already."""
    parts = urlsplit(server)
    if parts.scheme not in {"redis", "rediss", "unix"} or "@" in parts.netloc:
        raise ConfigError(
            "--server: give the bus' URL without a user, such as redis://bus:6379/0, rediss://… or unix:///path.sock"
        )
    return parts._replace(netloc=f"{quote(user, safe='')}:{quote(password, safe='')}@{parts.netloc}").geturl()


def password_of(url: str) -> str:
    """The password in a URL that `user_url` made; empty where there is none."""
    return unquote(urlsplit(url).password or "")


def _allow(*commands: str) -> tuple[str, ...]:
    return ("-@all", *(f"+{name}" for name in sorted({*" ".join(commands).split()})))


class _AnyCluster(Cluster):
    """In keys, every service cluster of a region. A real one's name is encoded, and never a pattern."""

    def __str__(self) -> str:
        return f"{super().__str__().partition('/')[0]}/*"


def _any(region: str) -> Cluster:
    return _AnyCluster(region, "")


def _read(*names: str) -> tuple[str, ...]:
    return tuple(f"%R~{name}" for name in names)


def _write(*names: str) -> tuple[str, ...]:
    return tuple(f"%RW~{name}" for name in names)


def _written(partition: keys.Partition) -> tuple[str, ...]:
    return _write(partition.state, partition.log, partition.fence, f"{partition.staging('')}*")


def _followed(partition: keys.Partition) -> tuple[str, ...]:
    return _read(partition.state, partition.log)


def _watcher(region: str) -> User:
    facts = keys.env(region)
    own = _write(facts, f"{facts}:fence", keys.region_lease(region, "watcher"))
    # In a selector, so that the commands that its scripts need elsewhere do not remove a cluster from the registry.
    registry = f"(%RW~{keys.CLUSTERS} +hkeys +hsetnx)"
    return User(
        name="watcher",
        rules=(*_written(keys.services(_any(region))), *own, *_allow(_CONNECT, _SCRIPTS, _LEASE, _STATE), registry),
    )


def _planner(region: str) -> User:
    cluster = _any(region)
    said = keys.outcomes(cluster)
    return User(
        name="planner",
        rules=(
            *_read(keys.CLUSTERS, said, f"{said}:log"),
            *_followed(keys.services(cluster)),
            *_written(keys.plan(cluster)),
            *_write(keys.cluster_lease(cluster), keys.held(cluster)),
            *_allow(_CONNECT, _SCRIPTS, _LEASE, _STATE, _FOLLOW, "hkeys"),
        ),
    )


def _proxy(cluster: Cluster) -> User:
    said = keys.outcomes(cluster)
    return User(
        name=proxy_name(cluster),
        rules=(
            *_followed(keys.plan(cluster)),
            # Whether a watcher acts: without one the plan's addresses are in doubt.
            *_read(keys.env(cluster.region)),
            *_write(said, f"{said}:log"),
            *_allow(_CONNECT, _SCRIPTS, _FOLLOW, _APPEND, "hget hset hdel"),
        ),
    )


def _pool(region: str, pool: str) -> User:
    cluster = _any(region)
    said = keys.outcomes(cluster)
    return User(
        name=f"pool-{quote(pool, safe='')}",
        rules=(
            *_read(keys.CLUSTERS, keys.env(region)),
            *_followed(keys.plan(cluster)),
            *_write(keys.pool_lease(cluster, pool), keys.pool_members(region, pool), said, f"{said}:log"),
            *_allow(_CONNECT, _SCRIPTS, _FOLLOW, _APPEND, _LEASE, "hdel hkeys"),
        ),
    )


def _operator(region: str) -> User:
    cluster = _any(region)
    said = keys.outcomes(cluster)
    return User(
        name="operator",
        rules=(
            *_read(keys.CLUSTERS, keys.env(region), keys.region_lease(region, "*")),
            *_followed(keys.services(cluster)),
            *_followed(keys.plan(cluster)),
            *_read(keys.cluster_lease(cluster), said, f"{said}:log"),
            *_allow(_CONNECT, _LOOK),
        ),
    )
