"""`/_sim/…`: faults on request and the truth about every task. Shell: routes only; never struck by a fault itself."""

from __future__ import annotations

import time

import msgspec
from aiohttp import web

from interlock_simulator import changes, lifecycle, lookup, machine
from interlock_simulator.api.reply import engine_of, posted, reply
from interlock_simulator.api.truth import told
from interlock_simulator.api.versions import VERSIONS
from interlock_simulator.faults import Fault
from interlock_simulator.refusal import Refused
from interlock_simulator.swarm import Swarm
from interlock_simulator.values import Json


async def tasks(request: web.Request) -> web.Response:
    """GET /_sim/tasks?service=NAME: true instants of every task, gone ones included"""
    engine = engine_of(request)
    name = request.query.get("service")
    return reply([told(engine, truth) for truth in engine.swarm.truths.values() if name in {None, truth.service}])


async def requests(request: web.Request) -> web.Response:
    """GET /_sim/tasks/{id}/requests: the last 20,000 requests of a task"""
    process = engine_of(request).processes.get(request.match_info["id"])
    if process is None:
        raise Refused(404, f"task {request.match_info['id']} never listened")
    return reply([{"at": at, "method": method, "target": target} for at, method, target in process.log.recent])


async def add_fault(request: web.Request) -> web.Response:
    """POST /_sim/faults"""
    engine = engine_of(request)
    try:
        fault = msgspec.convert(await posted(request), Fault)
        number = engine.faults.add(fault, time.time())
    except (msgspec.ValidationError, ValueError) as error:
        raise Refused(400, str(error)) from error
    if fault.kind in {"reset", "refuse", "cut_events"}:
        engine.cut_streams()
        async with engine.news:
            engine.news.notify_all()
    if fault.kind == "cut_events":
        engine.faults.remove(number if fault.count in {None, 0} and fault.seconds is None else "")
    return reply({"id": number}, 201)


async def list_faults(request: web.Request) -> web.Response:
    """GET /_sim/faults"""
    return reply(engine_of(request).faults.listing(time.time()))


async def remove_faults(request: web.Request) -> web.Response:
    """DELETE /_sim/faults or /_sim/faults/{id}"""
    engine_of(request).faults.remove(request.match_info.get("id"))
    return reply({})


def _ids(swarm: Swarm, body: Json) -> list[str]:
    """The tasks meant by {"task": id} or {"service": name, "count": n}: running ones, lowest slot first."""
    if body.get("task"):
        return [lookup.task(swarm, body["task"]).id]
    service = lookup.service(swarm, body.get("service", ""))
    running = [task for task in swarm.tasks_of(service.id) if task.state == "running" and task.active]
    running.sort(key=lambda task: task.slot)
    return [task.id for task in running[: int(body.get("count", 1))]]


async def crash(request: web.Request) -> web.Response:
    """POST /_sim/crash {"task": id} or {"service": name, "count": 1}: SIGKILL"""
    body = await posted(request)

    def step(swarm: Swarm, now: float) -> list[str]:
        ids = _ids(swarm, body)
        for task_id in ids:
            lifecycle.crash(swarm, task_id, now)
        return ids

    return reply({"tasks": engine_of(request).change(step)})


async def hang(request: web.Request) -> web.Response:
    """POST /_sim/hang {"task": id} or {"service": name, "count": 1, "on": true}: accepts, never answers"""
    engine, body = engine_of(request), await posted(request)
    ids = _ids(engine.swarm, body)
    for task_id in ids:
        engine.hang(task_id, on=bool(body.get("on", True)))
    return reply({"tasks": ids})


async def speak(request: web.Request) -> web.Response:
    """POST /_sim/versions {"oldest": "1.24", "newest": "1.43"}: another engine; streams end, connections stay"""
    engine, body = engine_of(request), await posted(request)
    spoken = request.app[VERSIONS]
    spoken.oldest, spoken.newest = str(body.get("oldest", spoken.oldest)), str(body.get("newest", spoken.newest))
    engine.cut_streams()
    async with engine.news:
        engine.news.notify_all()
    return reply({})


async def nodes_unknown(request: web.Request) -> web.Response:
    """POST /_sim/nodes/unknown {"seconds": 3}: as after a leader change"""
    seconds = float((await posted(request)).get("seconds", 3.0))
    engine_of(request).change(lambda swarm, now: machine.nodes_unknown(swarm, seconds, now))
    return reply({})


async def node(request: web.Request) -> web.Response:
    """POST /_sim/nodes/{ref}/{down|partition|up}"""
    engine, what = engine_of(request), request.match_info["what"]
    node_id = lookup.node(engine.swarm, request.match_info["ref"]).id
    if what == "up":
        engine.change(lambda swarm, now: machine.return_node(swarm, node_id, now))
    else:
        engine.change(lambda swarm, now: machine.lose_node(swarm, node_id, now, kill=what == "down"))
    return reply({})


async def add_node(request: web.Request) -> web.Response:
    """POST /_sim/nodes {"hostname": "node4", "role": "worker"}"""
    body = await posted(request)
    joined = engine_of(request).change(
        lambda swarm, now: changes.add_node(swarm, body.get("hostname", "node"), body.get("role", "worker"), now)
    )
    return reply({"id": joined.id}, 201)


async def bulk(request: web.Request) -> web.Response:
    """POST /_sim/bulk {"count": 10000, "name": "idle", "spec": {…}}: many services idle-0 … at once"""
    body = await posted(request)
    count, name, spec = int(body["count"]), str(body["name"]), body["spec"]

    def step(swarm: Swarm, now: float) -> list[str]:
        return [changes.create_service(swarm, _numbered(spec, name, n), now).id for n in range(count)]

    return reply({"ids": engine_of(request).change(step)}, 201)


def _numbered(spec: Json, name: str, number: int) -> Json:
    labels = {key: str(value).replace("{n}", str(number)) for key, value in (spec.get("Labels") or {}).items()}
    return {**spec, "Name": f"{name}-{number}", "Labels": labels}


async def reset(request: web.Request) -> web.Response:
    """POST /_sim/reset: no faults, no hangs, no services; networks, secrets and configs stay until they are removed"""
    engine = engine_of(request)
    engine.faults.remove()
    for task_id in engine.processes:
        engine.hang(task_id, on=False)

    def step(swarm: Swarm, now: float) -> None:
        for service_id in list(swarm.services):
            changes.remove_service(swarm, service_id, now)
        for one in swarm.nodes.values():
            if not one.reachable:
                machine.return_node(swarm, one.id, now)

    engine.change(step)
    return reply({})


ROUTES = [
    web.get("/_sim/tasks", tasks),
    web.get("/_sim/tasks/{id}/requests", requests),
    web.get("/_sim/faults", list_faults),
    web.post("/_sim/faults", add_fault),
    web.delete("/_sim/faults", remove_faults),
    web.delete("/_sim/faults/{id}", remove_faults),
    web.post("/_sim/crash", crash),
    web.post("/_sim/hang", hang),
    web.post("/_sim/versions", speak),
    web.post("/_sim/nodes/unknown", nodes_unknown),
    web.post("/_sim/nodes", add_node),
    web.post("/_sim/nodes/{ref}/{what:down|partition|up}", node),
    web.post("/_sim/bulk", bulk),
    web.post("/_sim/reset", reset),
]
