"""A service's virtual addresses: a plain round-robin TCP forward to its running tasks. Shell; owned by `engine`.

As with IPVS, a new connection goes to a task that is running and wanted; one that is under way stays with its task.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

Target = tuple[str, int]


class Forwarder:
    """Listens on `places`, forwards to what `targets()` gives at each new connection."""

    def __init__(self, targets: Callable[[int], list[Target]]) -> None:
        self._targets = targets
        self._turn = 0
        self._servers: list[asyncio.Server] = []
        self._open: set[asyncio.StreamWriter] = set()
        self._closed = False

    async def listen(self, places: list[tuple[str, int, int]]) -> None:
        """Begins to accept on every (address, port, target port). Raises OSError when one is taken."""
        for address, port, target_port in places:

            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, to: int = target_port) -> None:
                await self._forward(reader, writer, to)

            server = await asyncio.start_server(serve, address, port, backlog=512)
            if self._closed:
                server.close()
                return
            self._servers.append(server)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        self._open.add(writer)
        targets = self._targets(port)
        self._turn += 1
        far: asyncio.StreamWriter | None = None
        try:
            if not targets:
                writer.transport.abort()
                return
            far_reader, far = await asyncio.open_connection(*targets[self._turn % len(targets)])
            self._open.add(far)
            await asyncio.gather(_pump(reader, far), _pump(far_reader, writer))
        except (OSError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            for end in (writer, far):
                if end is not None:
                    self._open.discard(end)
                    end.close()

    def close(self) -> None:
        """Stops accepting and resets what is open."""
        self._closed = True
        for server in self._servers:
            server.close()
        for writer in list(self._open):
            writer.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()
