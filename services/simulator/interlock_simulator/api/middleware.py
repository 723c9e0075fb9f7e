"""What every request passes first: version negotiation, faults, Docker's form of errors. Shell."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from aiohttp import web

from interlock_simulator.api import versions
from interlock_simulator.api.reply import engine_of, refused
from interlock_simulator.refusal import Refused

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _drop(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


async def _struck(request: web.Request, path: str) -> web.StreamResponse | None:
    engine, now = engine_of(request), time.time()
    # A closed socket ends what goes over kept connections as well.
    if engine.faults.strike(("reset", "refuse"), path, now):
        _drop(request)
        raise asyncio.CancelledError
    for fault in engine.faults.strike(("slow",), path, now):
        await asyncio.sleep(fault.delay)
    for fault in engine.faults.strike(("error",), path, now):
        return refused(fault.status, f"simulated fault: {fault.status}")
    return None


@web.middleware
async def gate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Faults first (they know nothing of versions), then the request itself."""
    if request.path.startswith("/_sim"):
        return await _answer(request, handler)
    struck = await _struck(request, versions.split(request.path)[1])
    answer = struck if struck is not None else await _answer(request, handler)
    if not answer.prepared:
        _stamp(request, answer)
    return answer


def _stamp(request: web.Request, answer: web.StreamResponse) -> None:
    answer.headers["Api-Version"] = request.app[versions.VERSIONS].newest
    answer.headers["Ostype"] = "linux"
    answer.headers["Server"] = "Docker/27.5.1 (linux) Interlock-simulator"


async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except Refused as error:
        return refused(error.status, str(error))
