"""Asking our nginx over the private unix socket in its folder. Shell."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

from interlock_extension.nginx.render import STATUS_SOCKET

_TIMEOUT = 1.0
_MOST = 65536


def ask(folder: Path, path: str) -> str | None:
    """The body that nginx answers with; None when it does not answer."""
    try:
        handle = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    except OSError:
        return None
    try:
        # Through the folder's descriptor, since the path of a unix socket may have 107 bytes only.
        with socket.socket(socket.AF_UNIX) as link, contextlib.suppress(OSError):
            link.settimeout(_TIMEOUT)
            link.connect(f"/proc/self/fd/{handle}/{STATUS_SOCKET}")
            link.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            answer = b""
            while len(answer) < _MOST and (data := link.recv(4096)):
                answer += data
            head, _, body = answer.partition(b"\r\n\r\n")
            return body.decode(errors="replace") if b" 200 " in head.split(b"\r\n")[0] else None
    finally:
        os.close(handle)
    return None
