"""The health check of the image `docker-api`: whether Docker answers through it, and if not, the likely cause."""

from __future__ import annotations

import os
import sys
import urllib.request

SOCKET = "/var/run/docker.sock"
URL = "http://127.0.0.1:2375/_ping"


def cause(error: OSError) -> str:
    """What an operator can do about it."""
    try:
        group = os.stat(SOCKET).st_gid  # noqa: PTH116  # pathlib costs 10 ms at each check
    except OSError as wrong:
        return f"{SOCKET}: {wrong}; mount Docker's socket there"
    if not os.access(SOCKET, os.R_OK | os.W_OK):
        return f"may not open {SOCKET}: its group is {group}, we run in {os.getgid()}; set DOCKER_GID={group}"
    return f"Docker does not answer at {SOCKET}: {error}"


if __name__ == "__main__":
    try:
        urllib.request.urlopen(URL, timeout=3).close()
    except OSError as error:
        print(cause(error))  # noqa: T201
        sys.exit(1)
    print("Docker answers")  # noqa: T201
