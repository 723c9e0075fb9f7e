"""Answers in Docker's form, and the engine of an application. Called by every module of `api`."""

from __future__ import annotations

import msgspec
from aiohttp import web

from interlock_simulator.engine import Engine
from interlock_simulator.refusal import Refused
from interlock_simulator.values import Json

ENGINE: web.AppKey[Engine] = web.AppKey("engine", Engine)


def engine_of(request: web.Request) -> Engine:
    """The engine that the request is for."""
    return request.app[ENGINE]


def raw(body: bytes, status: int = 200) -> web.Response:
    """JSON that is encoded already."""
    return web.Response(body=body, status=status, content_type="application/json")


def reply(body: object, status: int = 200) -> web.Response:
    """A value as JSON."""
    return raw(msgspec.json.encode(body), status)


def refused(status: int, message: str) -> web.Response:
    """Docker's error form."""
    return reply({"message": message}, status)


async def posted(request: web.Request) -> Json:
    """The JSON object of the request's body. Raises Refused (400) for anything else."""
    text = await request.read()
    try:
        return msgspec.json.decode(text, type=Json) if text else {}
    except msgspec.DecodeError as error:
        raise Refused(400, f"invalid JSON: {error}") from error


def version_of(request: web.Request) -> int:
    """The `version` that an update must name. Raises Refused (400)."""
    text = request.query.get("version", "")
    if not text.isdigit():
        raise Refused(400, f"invalid service version '{text}': strconv.ParseUint: parsing \"{text}\": invalid syntax")
    return int(text)
