"""Connecting to a unix socket whose path may be long. Shell; the standard library alone, as the health check is."""

from __future__ import annotations

import os
import socket


def connect(folder: str | os.PathLike[str], name: str, timeout: float) -> socket.socket:
    """A stream to the socket `name` in `folder`, whose every step takes at most `timeout` seconds. Raises `OSError`."""
    # Through the folder's descriptor, since the path of a unix socket may have 107 bytes only.
    handle = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    link = socket.socket(socket.AF_UNIX)
    try:
        link.settimeout(timeout)
        link.connect(f"/proc/self/fd/{handle}/{name}")
    except BaseException:
        link.close()
        raise
    finally:
        os.close(handle)
    return link
