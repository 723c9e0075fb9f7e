"""A websocket's client."""

from __future__ import annotations

import socket

from websockets.sync.client import ClientConnection, connect


def opened(port: int, host: str, path: str, *, address: str = "127.0.0.1", **headers: str) -> ClientConnection:
    """An open websocket to a host through the proxy at this port. Raises `websockets.exceptions.InvalidStatus`."""
    sock = socket.create_connection((address, port))
    return connect(f"ws://{host}{path}", sock=sock, additional_headers=headers, open_timeout=5)
