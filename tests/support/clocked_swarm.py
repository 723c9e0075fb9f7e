"""A simulated swarm with a clock that a test turns: no sockets, no waiting."""

from __future__ import annotations

import random

import msgspec

from interlock_simulator import changes, machine
from interlock_simulator.profile import REAL
from interlock_simulator.swarm import Swarm
from interlock_simulator.values import Json, Listen, Sigterm, Task

PROFILE = msgspec.structs.replace(REAL, jitter=0.0)


class Clocked:
    """A swarm and its clock; the processes of its tasks end at SIGTERM unless told otherwise."""

    def __init__(self, nodes: int = 2, **options: object) -> None:
        self.swarm = Swarm(random.Random(3), PROFILE, **options)  # type: ignore[arg-type] - options of one test each
        self.now = 1000.0
        self.stubborn = False
        self.seen: list[tuple[float, object]] = []
        for number in range(nodes):
            changes.add_node(self.swarm, f"node{number + 1}", "worker" if number else "manager", self.now)
        self.web = changes.create_network(self.swarm, {"Name": "web", "Driver": "overlay"}, self.now)
        self.go(0)

    def go(self, seconds: float) -> None:
        end = self.now + seconds
        while True:
            for effect in machine.advance(self.swarm, self.now):
                self.seen.append((self.now, effect))
                if isinstance(effect, Listen):
                    self.swarm.truth(effect.task_id).listening = self.now
                if isinstance(effect, Sigterm) and not self.stubborn:
                    machine.exited(self.swarm, effect.task_id, self.now)
            due = self.swarm.next_due()
            if due is None or due > end:
                break
            self.now = max(self.now, due)
        self.now = end

    def service(self, name: str = "shop", replicas: int | None = 2, *, overlay: bool = True, **more: object) -> str:
        spec = {
            "Name": name,
            "TaskTemplate": {"ContainerSpec": {"Image": "demo/app:1", "Env": ["APP_VERSION=1"]}},
            "Mode": {"Global": {}} if replicas is None else {"Replicated": {"Replicas": replicas}},
            **more,
        }
        if overlay:
            spec["TaskTemplate"]["Networks"] = [{"Target": "web"}]  # type: ignore[index]
        created = changes.create_service(self.swarm, spec, self.now)
        self.go(0)
        return created.id

    def update(self, service_id: str, version: str = "2", replicas: int | None = None, **more: object) -> None:
        service = self.swarm.services[service_id]
        spec: Json = msgspec.json.decode(msgspec.json.encode(service.spec))
        spec |= more
        spec["TaskTemplate"]["ContainerSpec"]["Env"] = [f"APP_VERSION={version}"]
        if replicas is not None:
            spec["Mode"] = {"Replicated": {"Replicas": replicas}}
        changes.update_service(self.swarm, service_id, service.index, spec, self.now)
        self.go(0)

    def tasks(self, service_id: str) -> list[Task]:
        return self.swarm.tasks_of(service_id)

    def running(self, service_id: str) -> list[Task]:
        return [task for task in self.tasks(service_id) if task.state == "running" and task.desired == "running"]

    def status(self, service_id: str) -> str:
        return (self.swarm.services[service_id].update_status or {}).get("State", "")
