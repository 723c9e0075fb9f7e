"""`/services` and `/tasks`. Shell: routes only; what happens is in `changes`, `filters` and `shapes`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from aiohttp import web

from interlock_simulator import changes, filters, lookup, shapes
from interlock_simulator.api import versions
from interlock_simulator.api.reply import engine_of, posted, raw, reply, version_of
from interlock_simulator.refusal import missing
from interlock_simulator.values import Json


async def _late(request: web.Request, body: bytes) -> web.Response:
    """A listing: its state is of now, a slow_listing fault sends it later."""
    for fault in engine_of(request).faults.strike(("slow_listing",), request.path, time.time()):
        await asyncio.sleep(fault.delay)
    return raw(body)


def _told(request: web.Request) -> Callable[[str], bool]:
    """Which services, by id, this request's answer knows of: all, unless a fault loses them."""
    engine = engine_of(request)
    struck = engine.faults.strike(("lose",), versions.split(request.path)[1], time.time())
    if not struck:
        return lambda _: True
    stay = {engine.swarm.names.get(fault.service) for fault in struck}
    return lambda id_: id_ in stay


async def list_services(request: web.Request) -> web.Response:
    """GET /services"""
    engine = engine_of(request)
    wanted = filters.parse(request.query.get("filters"), filters.SERVICE)
    status = request.query.get("status", "").lower() in {"1", "true"}
    told = _told(request)
    found = [service for service in filters.services(engine.swarm, wanted) if told(service.id)]
    return await _late(request, engine.encoded.services(found, status=status))


async def create_service(request: web.Request) -> web.Response:
    """POST /services/create"""
    spec = await posted(request)
    service = engine_of(request).change(lambda swarm, now: changes.create_service(swarm, spec, now))
    return reply({"ID": service.id, "Warnings": None}, 201)


async def inspect_service(request: web.Request) -> web.Response:
    """GET /services/{ref}"""
    engine = engine_of(request)
    service = lookup.service(engine.swarm, request.match_info["ref"])
    if not _told(request)(service.id):
        raise missing("service", request.match_info["ref"])
    if request.query.get("insertDefaults", "").lower() in {"1", "true"}:
        return reply(_with_defaults(shapes.service(service)))
    return raw(engine.encoded.service(service))


def _with_defaults(body: Json) -> Json:
    spec = dict(body["Spec"])
    template = dict(spec["TaskTemplate"])
    container = dict(template["ContainerSpec"])
    container.setdefault("StopGracePeriod", 10_000_000_000)
    container.setdefault("DNSConfig", {})
    template["ContainerSpec"] = container
    template.setdefault("Resources", {"Limits": {}, "Reservations": {}})
    template.setdefault("RestartPolicy", {"Condition": "any", "Delay": 5_000_000_000, "MaxAttempts": 0})
    template.setdefault("Placement", {})
    rules = {
        "Parallelism": 1,
        "FailureAction": "pause",
        "Monitor": 5_000_000_000,
        "MaxFailureRatio": 0,
        "Order": "stop-first",
    }
    for key in ("UpdateConfig", "RollbackConfig"):
        spec[key] = spec.get(key) or rules
    return {**body, "Spec": {**spec, "TaskTemplate": template}}


async def update_service(request: web.Request) -> web.Response:
    """POST /services/{ref}/update?version=N&rollback=previous"""
    spec = await posted(request)
    ref, version = request.match_info["ref"], version_of(request)
    back = request.query.get("rollback") == "previous"
    engine_of(request).change(lambda swarm, now: changes.update_service(swarm, ref, version, spec, now, back=back))
    return reply({"Warnings": None})


async def remove_service(request: web.Request) -> web.Response:
    """DELETE /services/{ref}"""
    ref = request.match_info["ref"]
    engine_of(request).change(lambda swarm, now: changes.remove_service(swarm, ref, now))
    return web.Response()


async def list_tasks(request: web.Request) -> web.Response:
    """GET /tasks"""
    engine = engine_of(request)
    wanted = filters.parse(request.query.get("filters"), filters.TASK)
    told = _told(request)
    found = [task for task in filters.tasks(engine.swarm, wanted) if told(task.service_id)]
    return await _late(request, engine.encoded.tasks(found))


async def inspect_task(request: web.Request) -> web.Response:
    """GET /tasks/{ref}"""
    engine = engine_of(request)
    return raw(engine.encoded.task(lookup.task(engine.swarm, request.match_info["ref"])))


ROUTES = [
    web.get("/services", list_services),
    web.post("/services/create", create_service),
    web.get("/services/{ref}", inspect_service),
    web.post("/services/{ref}/update", update_service),
    web.delete("/services/{ref}", remove_service),
    web.get("/tasks", list_tasks),
    web.get("/tasks/{ref}", inspect_task),
]
