"""From config.toml and the command line to what a worker is told: which table counts, and what it says. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

import msgspec

from interlock.config.document import OPTIONS, USUAL, Document, Extension
from interlock.config.duration import parse_duration
from interlock.errors import ConfigError
from interlock.model.names import CLUSTER_NAMES, is_cluster_name

TARGET_PORT = 8080
GRACE_PERIOD = 3.0
"""Seconds."""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """The proxy's options by Interlock's names, and where each of them was said, for errors."""

    options: dict[str, object]
    places: dict[str, str]


def told_by(document: Document, cluster: str, extension: str, given: Mapping[str, object]) -> Told:
    """`[Extensions.X.Config]` of the table that counts for this service cluster, under what the command line says.

    Of nginx and HAProxy only the keys that are known, the others have been reported; what another proxy's mean is its
    business. Raises `ConfigError` where the table is for another kind of proxy.
    """
    table = document.extension(cluster)
    _same_kind(document, table, extension)
    nearer = {name.lower() for name in given}
    entries = {
        entry.key: entry
        for name, entry in (table.config if table else {}).items()
        if name not in nearer and (entry.effect is not None or extension not in OPTIONS)
    }
    return Told(
        options={**{name: entry.value for name, entry in entries.items()}, **given},
        places={name: document.place(entry) for name, entry in entries.items()},
    )


def _same_kind(document: Document, table: Extension | None, extension: str) -> None:
    """Half of another proxy's options mean something else, or nothing: none of them would be better than those."""
    if table is None or table.kind == extension:
        return
    said = table.get("Extension")
    if said is not None and said.value:
        raise ConfigError(
            f"{document.place(said)} = {said.value!r}: this worker is told to run {extension!r}; leave --extension "
            f"out, or write Extension = {extension!r} and its options"
        )
    if table.config:
        first = min(table.config.values(), key=lambda entry: entry.line or 0)
        raise ConfigError(
            f"{document.place(first)}: [Extensions.{table.name}] has options of {USUAL}, and this worker is told to "
            f"run {extension!r}; write Extension = {extension!r} in that table with its own options, or leave "
            "--extension out"
        )


def kind_of_proxy(document: Document, clusters: Sequence[str], *, pool: bool) -> str:
    """The kind of proxy by the tables of the service clusters, where the command line names none.

    `clusters`: as they are given. A pool that is given none goes by the tables that name a kind. Raises `ConfigError`
    where those differ.
    """
    if pool and not clusters:
        tables = [table for table in document.extensions if table.get("Extension")]
    else:
        tables = [table for name in clusters or ("",) if (table := document.extension(name))]
    kinds = sorted({table.kind for table in tables}) or [USUAL]
    if len(kinds) > 1:
        raise ConfigError(
            f"--pool: of which kind? {document.where} names {' and '.join(kinds)} for its service clusters; give "
            f"--extension NAME, such as {kinds[0]}"
        )
    return kinds[0]


def passed_over(document: Document, cluster: str) -> str:
    """What to tell where the file has tables of extensions and none for this service cluster; else empty."""
    clusters = {table.service_cluster: table for table in document.extensions}
    if not clusters or cluster in clusters:
        return ""
    folded = {name.lower(): name for name in clusters}
    near = difflib.get_close_matches(cluster.lower(), folded, n=1, cutoff=0.7)
    meant = clusters[folded[near[0]]] if near else None
    tables = f"{document.where}: none of its tables [Extensions.…] is for the service cluster {cluster or '(unnamed)'}"
    hint = f"; [Extensions.{meant.name}] is for {meant.service_cluster or '(unnamed)'}" if meant else ""
    return f"{tables}, so the proxy has its defaults{hint}"


def target_port(table: Extension | None) -> int:
    """The port on which a proxy serves HTTP where the command line names none."""
    entry = table.get("TargetPort") if table else None
    return entry.value if entry and isinstance(entry.value, int) else TARGET_PORT


def grace_period(table: Extension | None) -> float:
    """Seconds that requests in flight have when a proxy is stopped, where the command line does not say."""
    entry = table.get("ProxyStopGracePeriod") if table else None
    return parse_duration(entry.value) if entry and isinstance(entry.value, str) else GRACE_PERIOD


def template_place(document: Document, table: Extension | None) -> dict[str, str]:
    """Where that name was said, by its key; empty where it was not."""
    entry = table.get("Template") if table else None
    return {"Template": document.place(entry)} if entry else {}


def template(table: Extension | None) -> str:
    """The name of a user's own template; empty where none is named."""
    entry = table.get("Template") if table else None
    return entry.value.strip() if entry and isinstance(entry.value, str) else ""


def only_cluster(given: Sequence[str]) -> str:
    """The service cluster of a worker beside its proxy; '' is the unnamed one. Raises `ConfigError` for several."""
    if len(given) > 1:
        raise ConfigError(
            f"--cluster {' '.join(given)!r}: no label can name such a service cluster, and only a pool (--pool) serves "
            "several; write one, such as us-east"
        )
    return given[0] if given else ""


def pool_name(name: str) -> str:
    """The name of a pool, which is part of keys on the bus. Raises `ConfigError`."""
    if not name or not is_cluster_name(name):
        raise ConfigError(f"--proxy-id {name!r}: no pool can be called so; write {CLUSTER_NAMES}, such as f5")
    return name


def pooled_clusters(document: Document, extension: str, given: Sequence[str]) -> frozenset[str]:
    """The service clusters of a pool: those that are given, else those whose table names this extension.

    Raises `ConfigError` where there are none, and where the table of one is for another kind of proxy.
    """
    named = {
        table.service_cluster
        for table in document.extensions
        if table.get("Extension") is not None and table.kind == extension
    }
    for cluster in given:
        _same_kind(document, document.extension(cluster), extension)
    if not given and not named:
        raise ConfigError(
            f"--pool: for which service clusters? Give --cluster NAME, or say Extension = {extension!r} in their "
            f"tables [Extensions.…] of config.toml{f' ({document.where} has none)' if document.where else ''}"
        )
    return frozenset(given or named)
