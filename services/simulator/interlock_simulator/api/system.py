"""`/_ping`, `/version`, `/info`, `/swarm`, `/events` and what else a client asks of an engine. Shell: routes only."""

from __future__ import annotations

import asyncio
import hashlib
import time

from aiohttp import web

from interlock_simulator import filters, lookup, shapes
from interlock_simulator.api.reply import engine_of, raw, refused, reply
from interlock_simulator.api.versions import VERSIONS
from interlock_simulator.engine import Engine
from interlock_simulator.events import NS, instant, wanted
from interlock_simulator.refusal import Refused
from interlock_simulator.values import Json

_EVENT = (
    "config",
    "container",
    "daemon",
    "event",
    "image",
    "label",
    "network",
    "node",
    "scope",
    "secret",
    "service",
    "type",
    "volume",
)


async def ping(request: web.Request) -> web.Response:
    """GET, HEAD /_ping"""
    headers = {"Builder-Version": "2", "Docker-Experimental": "false", "Swarm": "active/manager"}
    headers |= {"Cache-Control": "no-cache, no-store, must-revalidate", "Pragma": "no-cache"}
    return web.Response(text="" if request.method == "HEAD" else "OK", headers=headers)


async def version(request: web.Request) -> web.Response:
    """GET /version"""
    spoken = request.app[VERSIONS]
    common = {
        "Version": "27.5.1",
        "ApiVersion": spoken.newest,
        "MinAPIVersion": spoken.oldest,
        "GitCommit": "simulated",
        "GoVersion": "none",
    }
    common |= {
        "Os": "linux",
        "Arch": "amd64",
        "KernelVersion": "simulated",
        "BuildTime": "2026-01-01T00:00:00.000000000+00:00",
    }
    parts = [{"Name": "Engine", "Version": "27.5.1", "Details": common}]
    return reply({"Platform": {"Name": "Interlock simulator"}, "Components": parts, **common})


async def info(request: web.Request) -> web.Response:
    """GET /info"""
    swarm = engine_of(request).swarm
    managers = [node for node in swarm.nodes.values() if node.spec["Role"] == "manager"]
    first = managers[0]
    remote = [{"NodeID": node.id, "Addr": f"{node.address}:2377"} for node in managers]
    return reply(
        {
            "ID": first.id,
            "Name": first.hostname,
            "ServerVersion": "27.5.1",
            "OperatingSystem": "Interlock simulator",
            "OSType": "linux",
            "Architecture": "x86_64",
            "NCPU": 2,
            "MemTotal": 4 << 30,
            "Driver": "none",
            "Containers": 0,
            "ContainersRunning": 0,
            "ContainersPaused": 0,
            "ContainersStopped": 0,
            "Images": 0,
            "Plugins": {"Network": ["overlay"], "Volume": [], "Authorization": None, "Log": []},
            "SecurityOptions": [],
            "RegistryConfig": {"IndexConfigs": {}, "InsecureRegistryCIDRs": [], "Mirrors": []},
            "SystemTime": shapes.stamp(time.time()),
            "Swarm": {
                "NodeID": first.id,
                "NodeAddr": first.address,
                "LocalNodeState": "active",
                "ControlAvailable": True,
                "Error": "",
                "RemoteManagers": remote,
                "Nodes": len(swarm.nodes),
                "Managers": len(managers),
                "Cluster": _cluster(request),
            },
        }
    )


def _cluster(request: web.Request) -> Json:
    swarm = engine_of(request).swarm
    first = next(iter(swarm.nodes.values()))
    spec = {"Name": "default", "Labels": {}, "Orchestration": {"TaskHistoryRetentionLimit": swarm.history}}
    times = {"CreatedAt": shapes.stamp(first.created), "UpdatedAt": shapes.stamp(first.created)}
    return {"ID": f"cluster{first.id}"[:25], "Version": {"Index": 8}, **times, "Spec": spec, "SubnetSize": 24}


async def swarm_inspect(request: web.Request) -> web.Response:
    """GET /swarm"""
    return reply({**_cluster(request), "JoinTokens": {"Worker": "SWMTKN-none", "Manager": "SWMTKN-none"}})


async def containers(request: web.Request) -> web.Response:
    """GET /containers/json: the containers of running tasks"""
    found = []
    for task in engine_of(request).swarm.tasks.values():
        if task.state != "running":
            continue
        labels = {"com.docker.swarm.service.name": task.service_name, "com.docker.swarm.task.id": task.id}
        spec = task.template["ContainerSpec"]
        body = {
            "Id": task.container_id,
            "Names": [f"/{filters.task_name(task)}"],
            "Image": spec["Image"],
            "ImageID": "",
        }
        body |= {"Command": "", "Created": int(task.created), "Ports": [], "Labels": labels, "State": "running"}
        found.append({**body, "Status": f"Up {int(time.time() - task.state_at)} seconds", "Mounts": []})
    return reply(found)


async def distribution(request: web.Request) -> web.Response:
    """GET /distribution/{name}/json: every image exists; its digest is drawn from its name"""
    digest = hashlib.sha256(request.match_info["name"].encode()).hexdigest()
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    platforms = [{"architecture": "amd64", "os": "linux"}]
    return reply({"Descriptor": {"mediaType": kind, "digest": f"sha256:{digest}", "size": 528}, "Platforms": platforms})


async def empty(request: web.Request) -> web.Response:
    """GET /images/json and the like"""
    return raw(b"[]" if request.path.endswith("json") else b'{"Volumes":[],"Warnings":null}')


async def events(request: web.Request) -> web.StreamResponse:
    """GET /events?since=&until=&filters="""
    engine = engine_of(request)
    # An unknown filter of events is ignored, of all things.
    chosen = {key: values for key, values in filters.parse(request.query.get("filters"), None).items() if key in _EVENT}
    try:
        since = instant(request.query["since"]) if request.query.get("since") else None
        until = instant(request.query["until"]) if request.query.get("until") else None
    except ValueError as error:
        raise Refused(
            400, f"invalid value for since or until: {error}; write seconds or seconds.nanoseconds"
        ) from error
    for key in ("service", "node"):
        names = chosen.get(key, [])
        chosen |= {key: [_id_or_name(request, key, name) for name in names]} if names else {}
    ring = engine.swarm.ring
    number = ring.last_number
    backlog = ring.since(since) if since is not None else []
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    cut = asyncio.Event()
    engine.streams.add(cut)
    try:
        while True:
            for event in backlog:
                if (until is None or event.nano <= until) and wanted(event, chosen):
                    await response.write(event.encoded())
            if cut.is_set() or engine.faults.strike(("cut_events",), "/events", time.time()):
                break
            if until is not None and time.time() * NS >= until:
                break
            await _next(engine, cut, None if until is None else until / NS - time.time(), number)
            backlog = ring.after(number)
            number = ring.last_number
    finally:
        engine.streams.discard(cut)
    return response


def _id_or_name(request: web.Request, kind: str, ref: str) -> str:
    swarm = engine_of(request).swarm
    try:
        return lookup.service(swarm, ref).id if kind == "service" else lookup.node(swarm, ref).id
    except Refused:
        return ref


async def _next(engine: Engine, cut: asyncio.Event, seconds: float | None, number: int) -> None:
    async with engine.news:
        try:
            async with asyncio.timeout(None if seconds is None else max(0.0, seconds)):
                await engine.news.wait_for(lambda: engine.swarm.ring.last_number > number or cut.is_set())
        except TimeoutError:
            return


async def unknown(request: web.Request) -> web.Response:
    """What a real engine has and the simulator has not."""
    return refused(404, f"page not found: the simulator has no {request.method} {request.path}")


ROUTES = [
    web.get("/_ping", ping),
    web.get("/version", version),
    web.get("/info", info),
    web.get("/swarm", swarm_inspect),
    web.get("/events", events),
    web.get("/containers/json", containers),
    web.get("/images/json", empty),
    web.get("/volumes", empty),
    web.get("/distribution/{name:.+}/json", distribution),
    web.route("*", "/{rest:.*}", unknown),
]
