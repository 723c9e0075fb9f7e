"""Joins the pure swarm with real time and real sockets. Shell; one event loop owns it, `app` makes it, `api` calls it.

Every change goes through `change`, which lets the swarm settle and then does what it asks for: listen,
SIGTERM, kill, forward.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from interlock_simulator import lifecycle, machine, workload
from interlock_simulator.faults import FaultBook
from interlock_simulator.process import Identity, Process
from interlock_simulator.shapes import Encoded
from interlock_simulator.swarm import Swarm
from interlock_simulator.values import Blackhole, Effect, Kill, Listen, Sigterm, VipDown, VipUp
from interlock_simulator.vip import Forwarder, Target

T = TypeVar("T")
_LOG = logging.getLogger("interlock.simulator")


class Engine:
    """The running simulator: the swarm, its processes, its forwarders, the faults in force."""

    def __init__(self, swarm: Swarm) -> None:
        self.swarm = swarm
        self.encoded = Encoded(swarm)
        self.faults = FaultBook()
        self.processes: dict[str, Process] = {}
        """Every process that ever listened, by task id; ended ones keep their log."""
        self.news = asyncio.Condition()
        self.streams: set[asyncio.Event] = set()
        """One per open event stream; set to cut it."""
        self._forwarders: dict[str, Forwarder] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._jobs: set[asyncio.Task[None]] = set()
        self._closed = False
        self._told = 0

    def change(self, step: Callable[[Swarm, float], T]) -> T:
        """Does one step on the swarm now, and all that follows from it at once."""
        now = time.time()
        self.swarm.drop_event = bool(self.faults.strike(("drop_events",), "/events", now))
        try:
            return step(self.swarm, now)
        finally:
            self.touch()

    def touch(self) -> None:
        """Does what is due, and sets the alarm for what is due next."""
        if self._closed:
            return
        if self._timer is not None:
            self._timer.cancel()
        for effect in machine.advance(self.swarm, time.time()):
            self._do(effect)
        self.swarm.drop_event = False
        if self.swarm.ring.last_number != self._told:
            self._told = self.swarm.ring.last_number
            self._spawn(self._tell())
        due = self.swarm.next_due()
        if due is not None:
            self._timer = asyncio.get_running_loop().call_later(max(0.0, due - time.time()), self.touch)

    async def _tell(self) -> None:
        async with self.news:
            self.news.notify_all()

    def _spawn(self, job: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(job)
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)

    def _do(self, effect: Effect) -> None:
        match effect:
            case Listen(task_id):
                self._listen(task_id)
            case Sigterm(task_id):
                if task_id in self.processes:
                    self.processes[task_id].stop()
                else:
                    self._exited(task_id)
            case Kill(task_id):
                if task_id in self.processes:
                    self.processes[task_id].kill()
            case Blackhole(task_id, on):
                self.hang(task_id, on=on)
            case VipUp(service_id):
                self._vip_up(service_id)
            case VipDown(service_id):
                forwarder = self._forwarders.pop(service_id, None)
                if forwarder is not None:
                    forwarder.close()

    def _exited(self, task_id: str) -> None:
        machine.exited(self.swarm, task_id, time.time())
        # not at once: this may be called in the midst of `touch`
        asyncio.get_running_loop().call_soon(self.touch)

    def _listen(self, task_id: str) -> None:
        task = self.swarm.tasks.get(task_id)
        if task is None or self._muted(task.service_name):
            self.swarm.truth(task_id).opening = None
            return
        load = task.workload
        node = self.swarm.nodes[task.node_id]
        places = [(place.address, load.port) for place in task.attachments]
        service = self.swarm.services.get(task.service_id)
        ports = service.ports if service is not None else ()
        places += [(node.address, port["PublishedPort"]) for port in ports if port["PublishMode"] == "host"]
        if not places:
            places = [(node.address, load.port)]
        identity = Identity(
            task_id=task_id,
            service=task.service_name,
            version=load.version,
            hostname=task.container_id[:12],
            address=places[-1][0],
        )
        process = Process(identity, lambda: self._exited(task_id), ignore_sigterm=load.ignore_sigterm)
        self.processes[task_id] = process
        self._spawn(self._open(process, places))

    def _muted(self, service: str) -> bool:
        return any(hit.service in {"", service} for hit in self.faults.strike(("never_listen",), service, time.time()))

    async def _open(self, process: Process, places: list[tuple[str, int]]) -> None:
        try:
            await process.listen(places)
            self.swarm.truth(process.identity.task_id).listening = time.time()
        except OSError as error:
            who = process.identity
            _LOG.warning("task %s of %s cannot listen on %s: %s; it crashes", who.task_id, who.service, places, error)
            self.change(lambda swarm, now: lifecycle.crash(swarm, who.task_id, now))

    def _vip_up(self, service_id: str) -> None:
        service = self.swarm.services.get(service_id)
        if service is None:
            return
        port = workload.of(service.template).port
        places = [(vip.address, port, port) for vip in service.vips]
        for published in service.ports:
            if published["PublishMode"] == "ingress":
                target = published.get("TargetPort") or port
                places += [(node.address, published["PublishedPort"], target) for node in self.swarm.nodes.values()]
        if places:
            forwarder = self._forwarders[service_id] = Forwarder(lambda to: self._targets(service_id, to))
            self._spawn(self._forward(forwarder, places, service.name))

    async def _forward(self, forwarder: Forwarder, places: list[tuple[str, int, int]], name: str) -> None:
        try:
            await forwarder.listen(places)
        except OSError as error:
            _LOG.warning("the virtual address of %s does not forward: %s", name, error)

    def _targets(self, service_id: str, port: int) -> list[Target]:
        tasks = self.swarm.tasks_of(service_id)
        good = [task for task in tasks if task.state == "running" and task.desired == "running"]
        return [(task.attachments[-1].address, port) for task in good if task.attachments]

    def hang(self, task_id: str, *, on: bool) -> None:
        """The task's process accepts and never answers (on), or does again."""
        process = self.processes.get(task_id)
        if process is not None and process.hung is not on:
            process.hung = on
            if not on:
                for connection in list(process.connections):
                    connection.resume()

    def cut_streams(self) -> None:
        """Ends every open event stream now."""
        for stream in self.streams:
            stream.set()

    async def close(self) -> None:
        """Ends every process, forwarder and stream."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        self.cut_streams()
        await self._tell()
        for forwarder in self._forwarders.values():
            forwarder.close()
        for process in self.processes.values():
            process.kill()
        for job in list(self._jobs):
            job.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*self._jobs, return_exceptions=True)
