"""A websocket's client, and a backend where everything is a websocket."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from websockets.sync.client import ClientConnection, connect

from interlock_simulator import echo


def opened(port: int, host: str, path: str, *, address: str = "127.0.0.1", **headers: str) -> ClientConnection:
    """An open websocket to a host through the proxy at this port. Raises `websockets.exceptions.InvalidStatus`."""
    sock = socket.create_connection((address, port))
    return connect(f"ws://{host}{path}", sock=sock, additional_headers=headers, open_timeout=5)


@contextmanager
def websocket_backend() -> Iterator[tuple[int, list[str]]]:
    """A port at which everything is a websocket that says what it hears; and the heads of the requests."""
    heads: list[str] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(link: socket.socket) -> None:
        with link:
            heard = bytearray()
            while b"\r\n\r\n" not in heard:
                heard += link.recv(4096)
            head, _, rest = bytes(heard).partition(b"\r\n\r\n")
            heads.append(head.decode())
            key = re.search(r"(?im)^sec-websocket-key: (\S+)", head.decode())
            if not key or "\r\nupgrade: websocket" not in head.decode().lower():
                link.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nplain")
                return
            link.sendall(echo.handshake(key[1]))
            heard, closing = bytearray(rest), False
            while not closing and (more := link.recv(4096)):
                heard += more
                said, closing = echo.echo(heard)
                link.sendall(said)

    def accept() -> None:
        while True:
            try:
                link, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(link,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1], heads
    finally:
        listener.close()
