"""A device as AS3 shows it, over HTTP: validates declarations, keeps each tenant's, works on one after the other.

It follows F5's "AS3 API Reference": POST `/declare` (202 and a task with `async=true`; `showHash=true` adds each
tenant's `optimisticLockKey`), GET `/declare/<tenant>`, GET `/task/<id>`. With which code a wrong key is answered is not
in it; here it is 422, and nobody should rely on that. `decide` says what such a declaration does with a request.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
import uuid
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from support import as3_schema

BASE = "/mgmt/shared/appsvcs/"


class Write(NamedTuple):
    """A change that took effect. `at`: Unix seconds; `epoch`: its fence's; `changed`: more than the constants did."""

    at: float
    tenant: str
    epoch: int
    changed: bool


class As3Server:
    """`slow`: seconds of work on each declaration. `busy`: how many of the next submissions are refused with 503.

    `lose`: how many of the next submissions are worked on without an answer. `refuse(declaration)`: what else is wrong.
    `odd`: what the next requests of a method are answered with, and nothing is done: status and bytes, by method.
    """

    def __init__(self, *, user: str = "admin", password: str = "secret", token: str = "t0ken") -> None:
        self.rights = {
            ("Authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()),
            ("X-F5-Auth-Token", token),
        }
        self.slow = 0.0
        self.busy = 0
        self.lose = 0
        self.odd: dict[str, list[tuple[int, bytes]]] = {"GET": [], "POST": []}
        self.refuse: Callable[[dict[str, Any]], list[str]] = lambda _: []
        self.tenants: dict[str, dict[str, Any]] = {}
        self.writes: list[Write] = []
        self.refused: list[list[str]] = []
        self.reads: list[tuple[float, str]] = []
        self.dry_runs = 0
        self._tasks: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()
        self._work = threading.Lock()
        self._http = _Http(("127.0.0.1", 0), _Handler)
        self._http.device = self
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=lambda: self._http.serve_forever(poll_interval=0.02), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    # What a request asks for

    def show(self, tenant: str, *, keys: bool) -> dict[str, Any] | None:
        with self._lock:
            self.reads.append((time.time(), tenant))
            found = self.tenants.get(tenant)
            return None if found is None else self._shown({tenant: found}, keys=keys)

    def submit(self, declaration: dict[str, Any], *, later: bool, keys: bool) -> tuple[int, dict[str, Any]]:
        if not later:
            result = self._process(declaration, keys=keys)
            return result["results"][0]["code"], result
        task = str(uuid.uuid4())
        with self._lock:
            self._tasks[task] = {"id": task, "results": [{"code": 0, "message": "in progress"}]}
        threading.Thread(target=lambda: self._finish(task, declaration, keys), daemon=True).start()
        return 202, {"id": task, **self._tasks[task], "selfLink": f"https://localhost{BASE}task/{task}"}

    def task(self, task: str) -> tuple[int, dict[str, Any]]:
        with self._lock:
            found = self._tasks.get(task)
        if found is None:
            return 404, {"code": 404, "message": "no such task"}
        return (202 if found["results"][0]["message"] == "in progress" else 200), found

    def _finish(self, task: str, declaration: dict[str, Any], keys: bool) -> None:
        result = self._process(declaration, keys=keys)
        with self._lock:
            self._tasks[task] = {"id": task, **result}

    def _process(self, declaration: dict[str, Any], *, keys: bool) -> dict[str, Any]:
        with self._work:
            time.sleep(self.slow)
            wrong = as3_schema.errors(declaration) or self.refuse(declaration)
            with self._lock:
                if wrong:
                    return self._refusal(wrong, "declaration is invalid")
                found = as3_schema.tenants(declaration)
                if declaration.get("controls", {}).get("dryRun"):
                    self.dry_runs += 1
                    return {
                        "dryRun": True,
                        "results": [{"code": 200, "message": "success", "tenant": n} for n in found],
                    }
                for name, tenant in found.items():
                    lock = tenant.pop("optimisticLockKey", "")
                    if lock and lock != _key(self.tenants.get(name)):
                        return self._refusal([f"/{name}: the tenant has been modified"], "wrong optimisticLockKey")
                for name, tenant in found.items():
                    self._keep(name, tenant)
                done = [{"code": 200, "message": "success", "tenant": name, "host": "localhost"} for name in found]
                return {"results": done, "declaration": self._shown(found, keys=keys)}

    def _keep(self, name: str, tenant: dict[str, Any]) -> None:
        before = self.tenants.get(name, {})
        changed = {**before, "constants": None} != {**tenant, "constants": None}
        self.tenants[name] = tenant
        epoch = int(tenant.get("constants", {}).get("interlockEpoch", 0))
        self.writes.append(Write(time.time(), name, epoch, changed))

    def _refusal(self, wrong: list[str], message: str) -> dict[str, Any]:
        self.refused.append(wrong)
        return {"results": [{"code": 422, "message": message, "errors": wrong}]}

    @staticmethod
    def _shown(tenants: dict[str, dict[str, Any]], *, keys: bool) -> dict[str, Any]:
        shown = {n: {**t, **({"optimisticLockKey": _key(t)} if keys else {})} for n, t in tenants.items()}
        return {"class": "ADC", "schemaVersion": "3.47.0", **shown}


def _key(tenant: dict[str, Any] | None) -> str:
    digest = hashlib.sha256(json.dumps(tenant, sort_keys=True).encode()).digest()
    return base64.b64encode(digest).decode()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    device: As3Server

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away."""


class _Handler(BaseHTTPRequestHandler):
    server: _Http

    def do_GET(self) -> None:
        if not self._allowed() or self._oddly():
            return
        parts = urlsplit(self.path)
        what, _, name = parts.path.removeprefix(BASE).partition("/")
        if what == "task":
            self._answer(*self.server.device.task(name))
            return
        keys = parse_qs(parts.query).get("showHash") == ["true"]
        found = self.server.device.show(name, keys=keys)
        self._answer(*((200, found) if found else (404, {"code": 404, "message": "specified tenant not found"})))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not self._allowed() or self._oddly():
            return
        device, asked = self.server.device, parse_qs(urlsplit(self.path).query)
        if device.busy:
            device.busy -= 1
            self._answer(503, {"code": 503, "message": "Configuration operation in progress on device"})
            return
        later, keys = asked.get("async") == ["true"], asked.get("showHash") == ["true"]
        answer = device.submit(json.loads(body), later=later, keys=keys)
        if device.lose:
            device.lose -= 1
            self.connection.close()
            return
        self._answer(*answer)

    def _allowed(self) -> bool:
        if any(self.headers.get(name) == value for name, value in self.server.device.rights):
            return True
        self._answer(401, {"code": 401, "message": "Authentication failed"})
        return False

    def _oddly(self) -> bool:
        try:
            status, data = self.server.device.odd[self.command].pop(0)
        except IndexError:
            return False
        self._send(status, data)
        return True

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        self._send(status, json.dumps(body).encode())

    def _send(self, status: int, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None: ...


def decide(tenant: dict[str, Any], host: str, path: str) -> object:
    """What the tenant does with a request: the addresses that may get it, `redirect …`, or None: it is dropped."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    for rule in tenant["ingress"]["routes"]["rules"]:
        if not all(_holds(c, name, path) for c in rule.get("conditions", ())):
            continue
        for action in rule["actions"]:
            if action["type"] == "httpRedirect":
                return f"redirect {action['location'].removeprefix('tcl:').replace('[HTTP::uri]', path)}"
            if action["type"] == "forward":
                _, _, app, pool = action["select"]["pool"]["use"].split("/")
                members = tenant[app][pool].get("members", ())
                return {f"{a}:{m['servicePort']}" for m in members for a in m["serverAddresses"]}
        return None
    return None


def _holds(condition: dict[str, Any], host: str, path: str) -> bool:
    compare = condition.get("host") or condition["path"]
    said, values = (host if "host" in condition else path), compare["values"]
    if not compare.get("caseSensitive", False):
        said, values = said.lower(), [value.lower() for value in values]
    by = {"equals": str.__eq__, "starts-with": str.startswith, "ends-with": str.endswith, "contains": str.__contains__}
    return any(by[compare["operand"]](said, value) for value in values)
