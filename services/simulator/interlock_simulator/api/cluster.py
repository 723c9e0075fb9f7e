"""`/nodes`, `/networks`, `/secrets`, `/configs`. Shell: routes only."""

from __future__ import annotations

from aiohttp import web

from interlock_simulator import changes, filters, lookup, shapes
from interlock_simulator.api.reply import engine_of, posted, reply, version_of
from interlock_simulator.values import Json, Network


async def list_nodes(request: web.Request) -> web.Response:
    """GET /nodes"""
    wanted = filters.parse(request.query.get("filters"), filters.NODE)
    return reply([shapes.node(node) for node in filters.nodes(engine_of(request).swarm, wanted)])


async def inspect_node(request: web.Request) -> web.Response:
    """GET /nodes/{ref}"""
    return reply(shapes.node(lookup.node(engine_of(request).swarm, request.match_info["ref"])))


async def update_node(request: web.Request) -> web.Response:
    """POST /nodes/{ref}/update?version=N"""
    spec = await posted(request)
    ref, version = request.match_info["ref"], version_of(request)
    engine_of(request).change(lambda swarm, now: changes.update_node(swarm, ref, version, spec, now))
    return web.Response()


async def list_networks(request: web.Request) -> web.Response:
    """GET /networks"""
    wanted = filters.parse(request.query.get("filters"), filters.NETWORK)
    return reply([shapes.network(network) for network in filters.networks(engine_of(request).swarm, wanted)])


async def create_network(request: web.Request) -> web.Response:
    """POST /networks/create"""
    spec = await posted(request)
    network = engine_of(request).change(lambda swarm, now: changes.create_network(swarm, spec, now))
    return reply({"Id": network.id, "Warning": ""}, 201)


def _containers(request: web.Request, network: Network) -> Json:
    found: Json = {}
    for task in engine_of(request).swarm.tasks.values():
        for place in task.attachments:
            if place.network_id == network.id and task.state == "running":
                address = f"{place.address}/{place.prefix}"
                found[task.container_id] = {"Name": filters.task_name(task), "IPv4Address": address}
    return found


async def inspect_network(request: web.Request) -> web.Response:
    """GET /networks/{ref}"""
    network = lookup.network(engine_of(request).swarm, request.match_info["ref"])
    return reply(shapes.network(network, _containers(request, network)))


async def remove_network(request: web.Request) -> web.Response:
    """DELETE /networks/{ref}"""
    ref = request.match_info["ref"]
    engine_of(request).change(lambda swarm, now: changes.remove_network(swarm, ref, now))
    return web.Response(status=204)


def _material(kind: str) -> list[web.RouteDef]:
    async def listing(request: web.Request) -> web.Response:
        wanted = filters.parse(request.query.get("filters"), filters.MATERIAL)
        return reply([shapes.material(thing) for thing in filters.materials(engine_of(request).swarm, kind, wanted)])

    async def create(request: web.Request) -> web.Response:
        spec = await posted(request)
        thing = engine_of(request).change(lambda swarm, now: changes.create_material(swarm, kind, spec, now))
        return reply({"ID": thing.id}, 201)

    async def inspect(request: web.Request) -> web.Response:
        return reply(shapes.material(lookup.material(engine_of(request).swarm, kind, request.match_info["ref"])))

    async def remove(request: web.Request) -> web.Response:
        ref = request.match_info["ref"]
        engine_of(request).change(lambda swarm, now: changes.remove_material(swarm, kind, ref, now))
        return web.Response(status=204)

    return [
        web.get(f"/{kind}s", listing),
        web.post(f"/{kind}s/create", create),
        web.get(f"/{kind}s/{{ref}}", inspect),
        web.delete(f"/{kind}s/{{ref}}", remove),
    ]


ROUTES = [
    web.get("/nodes", list_nodes),
    web.get("/nodes/{ref}", inspect_node),
    web.post("/nodes/{ref}/update", update_node),
    web.get("/networks", list_networks),
    web.post("/networks/create", create_network),
    web.get("/networks/{ref}", inspect_network),
    web.delete("/networks/{ref}", remove_network),
    *_material("secret"),
    *_material("config"),
]
