"""A websocket that says what it hears (RFC 6455): pure. For simulated tasks, and for the tests' backend.

Imports the standard library alone, so that an image without packages can hold it.
"""

from __future__ import annotations

import base64
import hashlib

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CLOSE, _PING, _PONG = 8, 9, 10


def accept(key: str) -> str:
    """Sec-WebSocket-Accept for a client's Sec-WebSocket-Key."""
    return base64.b64encode(hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()).decode()


def handshake(key: str, more: bytes = b"") -> bytes:
    """The 101 that answers a client; `more` are further header lines, each with its line end."""
    head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    return f"{head}Sec-WebSocket-Accept: {accept(key)}\r\n".encode() + more + b"\r\n"


def echo(heard: bytearray) -> tuple[bytes, bool]:
    """Takes every whole frame off what was heard; gives what to say, and whether the socket is to be closed then."""
    said, closing = b"", False
    while not closing:
        frame = _frame(heard)
        if frame is None:
            break
        first, payload = frame
        opcode = first & 15
        if opcode == _PING:
            said += _unmasked(0x80 | _PONG, payload)
        elif opcode != _PONG:
            said += _unmasked(first, payload)
        closing = opcode == _CLOSE
    return said, closing


def _frame(heard: bytearray) -> tuple[int, bytes] | None:
    if len(heard) < 2:
        return None
    size, at = heard[1] & 127, 2
    if size >= 126:
        at = 4 if size == 126 else 10
        size = int.from_bytes(heard[2:at], "big")
    mask_at, at = at, at + (4 if heard[1] & 128 else 0)
    if len(heard) < at + size:
        return None
    mask = bytes(heard[mask_at:at]) or b"\0\0\0\0"
    payload = bytes(byte ^ mask[n % 4] for n, byte in enumerate(heard[at : at + size]))
    first = heard[0]
    del heard[: at + size]
    return first, payload


def _unmasked(first: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        head = bytes((first, size))
    elif size < 65_536:
        head = bytes((first, 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, 127)) + size.to_bytes(8, "big")
    return head + payload
