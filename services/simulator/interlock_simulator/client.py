"""A small typed client of the simulator, for the demo and for tests: plain HTTP over the unix socket,
nothing but stdlib.

    sim = SimulatorClient("/tmp/sim.sock")
    sim.create_network("web")
    sim.create_service("shop", labels={"com.docker.lb.hosts": "shop.local"}, replicas=2, networks=["web"])
    sim.wait_converged("shop", timeout=5)
    sim.update("shop", env={"APP_VERSION": "2"}, order="start-first")

Every call raises `DockerUnavailable` when nothing answers, `NotFound` on 404 and `DockerRefused` on other refusals.
"""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from interlock.errors import DockerRefused, DockerUnavailable, NotFound

Json = dict[str, Any]
_NS = 1_000_000_000


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("simulator", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class SimulatorClient:
    """Talks to one simulator. A connection per call: no state, safe for threads."""

    def __init__(self, socket_path: str | Path, timeout: float = 30.0) -> None:
        self.socket = str(socket_path)
        self._timeout = timeout

    @property
    def docker_url(self) -> str:
        """`unix://…`, as DOCKER_HOST takes it."""
        return f"unix://{self.socket}"

    def call(self, method: str, path: str, body: object | None = None) -> Any:
        """One request; gives the decoded answer. `/_sim` goes to the control socket, which no fault closes."""
        where = self.socket + ".control" if path.startswith("/_sim") else self.socket
        connection = _UnixConnection(where, self._timeout)
        try:
            payload = None if body is None else msgspec.json.encode(body)
            connection.request(method, path, payload, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise DockerUnavailable(f"{method} {path} at {where}: {error!r}") from error
        finally:
            connection.close()
        if answer.status >= 400:
            text = content.decode("utf-8", "replace")
            kind = NotFound if answer.status == 404 else DockerUnavailable if answer.status >= 502 else DockerRefused
            raise kind(f"{method} {path}: {answer.status} {text}")
        return msgspec.json.decode(content) if content[:1] in {b"{", b"["} else content.decode()

    # networks, services

    def create_network(self, name: str, subnet: str | None = None) -> str:
        """An overlay network; gives its id. `subnet` must lie in 127.0.0.0/8."""
        spec: Json = {"Name": name, "Driver": "overlay", "Attachable": True}
        if subnet is not None:
            spec["IPAM"] = {"Config": [{"Subnet": subnet}]}
        return str(self.call("POST", "/networks/create", spec)["Id"])

    def create_service(
        self,
        name: str,
        *,
        labels: Mapping[str, str] | None = None,
        replicas: int | None = 1,
        image: str = "demo/app:1",
        env: Mapping[str, str] | None = None,
        networks: Sequence[str] = (),
        update_config: Json | None = None,
        restart_policy: Json | None = None,
        constraints: Sequence[str] = (),
        ports: Sequence[Json] = (),
        endpoint_mode: str = "vip",
    ) -> str:
        """A service; `replicas=None` makes it global. Gives its id. `update_config` is Docker's UpdateConfig."""
        container = {"Image": image, "Env": [f"{key}={value}" for key, value in (env or {}).items()]}
        template: Json = {"ContainerSpec": container, "Networks": [{"Target": network} for network in networks]}
        if restart_policy is not None:
            template["RestartPolicy"] = restart_policy
        if constraints:
            template["Placement"] = {"Constraints": list(constraints)}
        spec: Json = {
            "Name": name,
            "Labels": dict(labels or {}),
            "TaskTemplate": template,
            "Mode": {"Global": {}} if replicas is None else {"Replicated": {"Replicas": replicas}},
            "EndpointSpec": {"Mode": endpoint_mode, **({"Ports": list(ports)} if ports else {})},
        }
        if update_config is not None:
            spec["UpdateConfig"] = update_config
        return str(self.call("POST", "/services/create", spec)["ID"])

    def service(self, ref: str) -> Json:
        """The service as Docker shows it."""
        return dict(self.call("GET", f"/services/{quote(ref)}"))

    def change(self, ref: str, edit: Callable[[Json], None]) -> None:
        """Reads the service, edits its spec in place, writes it; again when somebody else was quicker."""
        for _ in range(5):
            service = self.service(ref)
            edit(service["Spec"])
            path = f"/services/{service['ID']}/update?version={service['Version']['Index']}"
            try:
                self.call("POST", path, service["Spec"])
            except DockerRefused as error:
                if "out of sequence" not in str(error):
                    raise
            else:
                return
        raise DockerRefused(f"service {ref} was changed by others five times in a row; try again")

    def scale(self, ref: str, replicas: int) -> None:
        """Another number of replicas."""

        def edit(spec: Json) -> None:
            spec["Mode"] = {"Replicated": {"Replicas": replicas}}

        self.change(ref, edit)

    def update(
        self,
        ref: str,
        *,
        env: Mapping[str, str] | None = None,
        image: str | None = None,
        order: str | None = None,
        config: Json | None = None,
        force: bool = False,
    ) -> None:
        """A rolling update: variables set, another image, or by force. `config` is merged into UpdateConfig."""

        def edit(spec: Json) -> None:
            container = spec["TaskTemplate"]["ContainerSpec"]
            pairs = dict(pair.partition("=")[::2] for pair in container.get("Env") or [])
            container["Env"] = [f"{key}={value}" for key, value in {**pairs, **(env or {})}.items()]
            container["Image"] = image or container["Image"]
            if order or config:
                spec["UpdateConfig"] = {**(spec.get("UpdateConfig") or {}), **(config or {})}
            if order:
                spec["UpdateConfig"]["Order"] = order
            spec["TaskTemplate"]["ForceUpdate"] += int(force)

        self.change(ref, edit)

    def set_labels(self, ref: str, labels: Mapping[str, str | None]) -> None:
        """Sets service labels; None removes one. No task is touched."""

        def edit(spec: Json) -> None:
            merged = {**spec["Labels"], **labels}
            spec["Labels"] = {key: value for key, value in merged.items() if value is not None}

        self.change(ref, edit)

    def rollback(self, ref: str) -> None:
        """Back to the previous spec."""
        service = self.service(ref)
        path = f"/services/{service['ID']}/update?version={service['Version']['Index']}&rollback=previous"
        self.call("POST", path, service["Spec"])

    def remove(self, ref: str) -> None:
        """Removes the service."""
        self.call("DELETE", f"/services/{quote(ref)}")

    def docker_tasks(self, service: str | None = None) -> list[Json]:
        """Tasks as Docker shows them."""
        wanted = "" if service is None else "?filters=" + quote(msgspec.json.encode({"service": [service]}).decode())
        return list(self.call("GET", "/tasks" + wanted))

    def wait_converged(self, service: str, timeout: float = 30.0) -> list[Json]:
        """Waits until the wanted tasks listen and no other does, and no update is under way. Gives the running tasks.

        Raises TimeoutError with the last state seen.
        """
        end = time.monotonic() + timeout
        while True:
            spec, tasks = self.service(service), self.docker_tasks(service)
            if self._converged(spec, tasks):
                return [task for task in tasks if task["DesiredState"] == "running"]
            if time.monotonic() > end:
                seen = [(task.get("Slot"), task["Status"]["State"], task["DesiredState"]) for task in tasks]
                status = spec.get("UpdateStatus")
                raise TimeoutError(f"service {service} did not converge in {timeout} s: tasks {seen}, update {status}")
            time.sleep(0.02)

    def _converged(self, service: Json, tasks: list[Json]) -> bool:
        if (service.get("UpdateStatus") or {}).get("State") in {"updating", "rollback_started"}:
            return False
        live = [task for task in tasks if task["DesiredState"] in {"running", "ready"}]
        replicated = service["Spec"]["Mode"].get("Replicated")
        if replicated is not None and len(live) != replicated["Replicas"]:
            return False
        over = {"complete", "shutdown", "failed", "rejected", "orphaned"}
        if any(
            task["DesiredState"] not in {"running", "ready"} and task["Status"]["State"] not in over for task in tasks
        ):
            return False
        return all(task["Status"]["State"] == "running" and task["DesiredState"] == "running" for task in live) and (
            self._listening(service["Spec"], live)
        )

    def _listening(self, spec: Json, live: list[Json]) -> bool:
        env = spec["TaskTemplate"]["ContainerSpec"].get("Env") or []
        if any(pair.startswith("SIM_LISTEN=") for pair in env):
            return True
        truths = {truth["task_id"]: truth for truth in self.tasks(spec["Name"])}
        return all(truths[task["ID"]]["listening"] is not None for task in live)

    # the truth, and faults

    def tasks(self, service: str | None = None) -> list[Json]:
        """True instants and request counts of every task, gone ones included: see `/_sim/tasks` in the README."""
        return list(self.call("GET", "/_sim/tasks" + ("" if service is None else f"?service={quote(service)}")))

    def requests(self, task_id: str) -> list[Json]:
        """The last 20,000 requests of a task: at, method, target."""
        return list(self.call("GET", f"/_sim/tasks/{task_id}/requests"))

    def crash(self, service: str | None = None, *, task: str | None = None, count: int = 1) -> list[str]:
        """SIGKILL to running tasks of a service, or to one task. Gives the ids."""
        return list(self.call("POST", "/_sim/crash", _meant(service, task, count))["tasks"])

    def hang(
        self, service: str | None = None, *, task: str | None = None, count: int = 1, on: bool = True
    ) -> list[str]:
        """Tasks accept and never answer (or, on=False, do again)."""
        return list(self.call("POST", "/_sim/hang", {**_meant(service, task, count), "on": on})["tasks"])

    def fault(self, kind: str, **bounds: object) -> str:
        """Puts a fault in force (see `faults.Fault`): path, count, seconds, delay, status, service. Gives its id."""
        return str(self.call("POST", "/_sim/faults", {"kind": kind, **bounds})["id"])

    def clear(self, fault: str | None = None) -> None:
        """Ends one fault or all."""
        self.call("DELETE", "/_sim/faults" + ("" if fault is None else f"/{fault}"))

    def speak(self, oldest: str, newest: str, *, restarted: bool = False) -> None:
        """The engine is another, of these versions. `restarted`: the next request meets a closed connection."""
        self.call("POST", "/_sim/versions", {"oldest": oldest, "newest": newest})
        if restarted:
            self.fault("reset", count=1)

    def nodes_unknown(self, seconds: float) -> None:
        """All nodes read `unknown`, as after a leader change."""
        self.call("POST", "/_sim/nodes/unknown", {"seconds": seconds})

    def node_state(self, node: str, what: str) -> None:
        """`down` (its processes die), `partition` (they cannot be reached), `up`."""
        self.call("POST", f"/_sim/nodes/{quote(node)}/{what}", {})

    def availability(self, node: str, availability: str) -> None:
        """`active`, `pause` or `drain`."""
        for _ in range(5):
            found = self.call("GET", f"/nodes/{quote(node)}")
            path = f"/nodes/{found['ID']}/update?version={found['Version']['Index']}"
            try:
                self.call("POST", path, {**found["Spec"], "Availability": availability})
            except DockerRefused as error:
                if "out of sequence" not in str(error):
                    raise
            else:
                return
        raise DockerRefused(f"node {node} was changed by others five times in a row; try again")

    def bulk(self, name: str, count: int, spec: Json) -> list[str]:
        """Many services `name-0` … at once; `{n}` in a label's value becomes the number. Gives their ids."""
        return list(self.call("POST", "/_sim/bulk", {"name": name, "count": count, "spec": spec})["ids"])

    def reset(self) -> None:
        """No faults, no hangs, no lost nodes, no services."""
        self.call("POST", "/_sim/reset", {})

    def wait_ready(self, timeout: float = 10.0) -> None:
        """Waits until the simulator answers. Raises TimeoutError."""
        end = time.monotonic() + timeout
        while True:
            try:
                self.call("GET", "/_ping")
            except DockerUnavailable as error:
                if time.monotonic() > end:
                    raise TimeoutError(f"no simulator answered at {self.socket} in {timeout} s") from error
                time.sleep(0.02)
            else:
                return


def _meant(service: str | None, task: str | None, count: int) -> Json:
    return {"task": task} if task is not None else {"service": service, "count": count}
