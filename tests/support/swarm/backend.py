"""A backend for real Swarms, in the image `il-lab/backend`: the standard library alone.

Any path answers 200 with JSON (task, version, path, headers) and the headers `x-task` and `x-version`; with `?close=1`
it then closes the connection. `START_DELAY`: seconds before it listens; `VERSION`; `PORT` (8080). On SIGTERM it closes
its port, ends what is in flight and exits 0; a request that comes on a kept-alive connection after SIGTERM is still
answered, and marked `x-after-sigterm: 1`.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket

import echo

TASK = socket.gethostname()
VERSION = os.environ.get("VERSION", "1")


class Server:
    def __init__(self) -> None:
        self.ending = asyncio.Event()
        self.open: set[asyncio.StreamWriter] = set()
        self.busy = 0

    async def serve(self) -> None:
        await asyncio.sleep(float(os.environ.get("START_DELAY", "0")))
        server = await asyncio.start_server(self.connection, "0.0.0.0", int(os.environ.get("PORT", "8080")))
        await self.ending.wait()
        server.close()
        while self.busy:
            await asyncio.sleep(0.02)

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open.add(writer)
        try:
            while await self.request(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open.discard(writer)
            writer.close()

    async def request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        line = (await reader.readline()).decode("latin-1").split()
        if len(line) != 3:
            return False
        self.busy += 1
        try:
            headers = []
            while (field := (await reader.readline()).decode("latin-1").rstrip("\r\n")) != "":
                name, _, value = field.partition(":")
                headers.append((name.strip().lower(), value.strip()))
            said = dict(headers)
            if said.get("upgrade", "").lower() == "websocket":
                return await self._websocket(said["sec-websocket-key"], reader, writer)
            await self._body(reader, said)
            answer = {"task": TASK, "version": VERSION, "method": line[0], "path": line[1], "headers": headers}
            body = json.dumps(answer).encode()
            close = said.get("connection", "").lower() == "close" or "close=1" in line[1].partition("?")[2]
            late = "x-after-sigterm: 1\r\n" if self.ending.is_set() else ""
            writer.write(
                f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\nx-task: {TASK}\r\n"
                f"x-version: {VERSION}\r\n{late}connection: {'close' if close else 'keep-alive'}\r\n\r\n".encode()
                + body
            )
            await writer.drain()
            return not close
        finally:
            self.busy -= 1

    async def _websocket(self, key: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        writer.write(echo.handshake(key, f"x-task: {TASK}\r\n".encode()))
        # Not in flight: who is asked to end closes it.
        self.busy -= 1
        try:
            heard, closing = bytearray(), False
            while not closing and not self.ending.is_set() and (more := await reader.read(65536)):
                heard += more
                said, closing = echo.echo(heard)
                writer.write(said)
                await writer.drain()
        finally:
            self.busy += 1
        return False

    @staticmethod
    async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> None:
        if headers.get("transfer-encoding", "").lower() == "chunked":
            while size := int((await reader.readline()).split(b";")[0], 16):
                await reader.readexactly(size + 2)
            await reader.readline()
        else:
            await reader.readexactly(int(headers.get("content-length", "0")))


async def main() -> None:
    server = Server()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.ending.set)
    await server.serve()


if __name__ == "__main__":
    asyncio.run(main())
