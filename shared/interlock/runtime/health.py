"""Whether a service does its work: it says so in a file, and a container's health check reads that. Shell.

    python3 -m interlock.runtime.health [FILE]        exit status 0: healthy; prints why or why not

The file (INTERLOCK_HEALTH_FILE) is JSON: `at` (Unix seconds of the last sign of life), `ok`, `says`, and, where a
proxy is to be asked itself, `socket` and `serves`: its private socket and how its answer may begin. The standard
library alone, since the check is run every few seconds in each container.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable

from interlock.runtime.unix_socket import connect

FILE = "INTERLOCK_HEALTH_FILE"
LIFELESS = 15.0
"""Seconds without a sign of life after which a service is unhealthy."""

_EVERY = 1.0
_AGAIN = 2.0
_ANSWER_TIMEOUT = 2.0
_MOST = 65536
State = dict[str, object]


def pulse(state: Callable[[], State], stop: threading.Event, path: str | None = None) -> None:
    """Write the state once a second until stop; returns at once where no file is named.

    `state` returns `at`, the last sign of life of what works, `ok`, `says` and, of a proxy, `socket` and `serves`.
    """
    name = path if path is not None else os.environ.get(FILE, "")
    wrong = ""
    while name and not stop.is_set():
        before, wrong = wrong, _write(name, state())
        if wrong and not before:
            print(f"health: {name} cannot be written: {wrong}", file=sys.stderr, flush=True)  # noqa: T201
        stop.wait(_EVERY)


def _write(name: str, state: State) -> str:
    fresh = f"{name}.new"
    try:
        with open(fresh, "w", encoding="utf-8") as file:  # noqa: PTH123  # pathlib costs 10 ms at each check
            json.dump(state, file)
        os.replace(fresh, name)  # noqa: PTH105
    except OSError as error:
        # The check finds an old file or none, and says that.
        return str(error)
    return ""


def check(name: str, *, now: Callable[[], float] = time.time) -> tuple[bool, str]:
    """Healthy or not, and why. Who is not is asked again for a moment: a reload may be under way."""
    deadline = now() + _AGAIN
    while True:
        healthy, says = _judge(name, now())
        if healthy or now() > deadline:
            return healthy, says
        time.sleep(0.1)


def _judge(name: str, now: float) -> tuple[bool, str]:
    try:
        with open(name, encoding="utf-8") as file:  # noqa: PTH123
            state = json.load(file)
        at, okay, says = float(state["at"]), bool(state["ok"]), str(state["says"])
    except FileNotFoundError:
        return False, "starting: it has given no sign of life yet"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return False, f"{name} cannot be read: {error}"
    # A sign of the future is one that nobody has renewed since the clock was set back.
    if abs(now - at) > LIFELESS:
        return False, f"no sign of life for {abs(now - at):.0f} s; it last said: {says}"
    if okay and "socket" in state:
        answer = (ask(str(state["socket"])) or "").strip()
        if not answer:
            return False, f"the proxy does not answer; its worker last said: {says}"
        serves = state.get("serves", [])
        if not isinstance(serves, list) or not answer.startswith(tuple(map(str, serves))):
            return False, f"the proxy serves {answer!r} and not {serves}; its worker last said: {says}"
    return okay, says


def ask(path: str, what: str = "/interlock/version", timeout: float = _ANSWER_TIMEOUT) -> str | None:
    """The body of a proxy's answer to a GET on its private socket; None where it does not answer with 200."""
    folder, _, name = path.rpartition("/")
    try:
        with connect(folder or ("/" if path.startswith("/") else "."), name, timeout) as link:
            link.sendall(f"GET {what} HTTP/1.0\r\n\r\n".encode())
            data = b""
            while len(data) < _MOST and (piece := link.recv(4096)):
                data += piece
    except OSError:
        return None
    head, _, body = data.partition(b"\r\n\r\n")
    return body.decode(errors="replace") if b" 200 " in head.split(b"\r\n")[0] else None


if __name__ == "__main__":
    where = sys.argv[1] if len(sys.argv) > 1 else os.environ.get(FILE, "")
    if not where:
        print(f"no file: set {FILE} for the service and for this check", file=sys.stderr)  # noqa: T201
        sys.exit(2)
    healthy, why = check(where)
    print(why)  # noqa: T201
    sys.exit(0 if healthy else 1)
