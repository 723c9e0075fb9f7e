"""A table of questions that both proxies, or one before and after its death, must answer alike."""

from __future__ import annotations

import msgspec

from support.changes import LABELLED, Changes
from support.pipeline import Pipeline

COOKIE = {"Cookie": "session=abc; connect.sid=xyz"}
_TIMES = 3


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer means. `path`: as the service saw it."""

    status: int
    service: str
    path: str
    location: str


def asked_of(pipeline: Pipeline, worker: int, changes: Changes) -> dict[str, Said]:
    """What a proxy says of every host that is or was there."""
    hosts = [f"{name}.test" for name in (*changes.services, *changes.gone)]
    hosts += [f"{more}.{name}.test" for name in changes.services for more in ("www", "other.one")]
    hosts += [f"old-{name}.test" for name in LABELLED] + ["nobody.test"]
    found = {}
    for host in hosts:
        for path in ("/", "/load/x", "/load?q=1", "/load//%61/../b"):
            found[f"{host}{path}"] = _said(pipeline, worker, host, path)
    return found


def sticking(pipeline: Pipeline, worker: int, changes: Changes) -> dict[str, str]:
    """To which task a client with cookies is sent; empty where to any."""
    found = {}
    for name in changes.services:
        tasks = {
            pipeline.get(f"{name}.test", "/load/x", worker=worker, headers=COOKIE).task or "" for _ in range(_TIMES)
        }
        found[name] = tasks.pop() if len(tasks) == 1 else ""
    return found


def _said(pipeline: Pipeline, worker: int, host: str, path: str) -> Said:
    answer = pipeline.get(host, path, worker=worker)
    return Said(
        status=answer.status,
        service=answer.headers.get("x-service", ""),
        path=answer.json()["path"] if answer.task else "",
        location=answer.headers.get("location", ""),
    )
