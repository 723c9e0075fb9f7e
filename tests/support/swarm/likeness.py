"""One and the same story on any engine, and everything that its API said meanwhile.

A `Subject` is an engine, simulated or real. `tell` lets a Swarm live through what Interlock meets: a network, services
of every kind, updates in both orders, a crash, a drained node, the end. The API is all that it uses, so that the two
can be compared (tests/swarm/test_simulator_is_like_docker.py). Names in what is `Told` are the same on every engine.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from interlock_simulator.client import SimulatorClient

Json = dict[str, Any]
API = "/v1.41"
_OVER = {"shutdown", "complete", "failed", "rejected", "remove", "orphaned"}
_SECOND = 1_000_000_000


class Subject(NamedTuple):
    """An engine. `crash` kills the process of a task, from outside; `ended` says whether that process is over."""

    name: str
    socket: Path
    image: str
    crash: Callable[[Json], None]
    ended: Callable[[Json], bool]


class Answer(NamedTuple):
    """Status and body of one answer, the body decoded where it is JSON."""

    status: int
    body: Any


class Moment(NamedTuple):
    """How an object looked from `at` on (Unix seconds)."""

    at: float
    body: Json


class Told:
    """What one engine said. Objects by id, each with every form in which it was seen."""

    def __init__(self) -> None:
        self.services: dict[str, list[Moment]] = {}
        self.tasks: dict[str, list[Moment]] = {}
        self.gone: dict[str, float] = {}
        """id of a task → when it was first listed no more"""
        self.nodes: list[Json] = []
        self.networks: list[Json] = []
        self.events: list[Json] = []
        self.history: list[Json] = []
        """The same events, asked for afterwards"""
        self.answers: dict[str, Answer] = {}
        self.marks: dict[str, float] = {}
        """When a chapter began, and when a process was over"""
        self.names: dict[str, str] = {}
        self.victims: dict[str, str] = {}
        """service → id of its task that crashed"""
        self.looks = 0
        """How often services and tasks were listed"""

    def plain(self, text: str) -> str:
        """Ids replaced by names, so that two engines can say the same."""
        for found, name in sorted(self.names.items(), key=lambda pair: -len(pair[0])):
            text = text.replace(found, name)
        return re.sub(r"\b[a-z0-9]{25}\b", "<id>", text)

    def of(self, service: str) -> dict[str, list[Moment]]:
        """The tasks of a service, in the order in which they came."""
        mine = {key: seen for key, seen in self.tasks.items() if self.names.get(seen[0].body["ServiceID"]) == service}
        return dict(sorted(mine.items(), key=lambda pair: pair[1][0].body["CreatedAt"]))

    def path(self, task: str) -> list[tuple[str, str]]:
        """The (desired state, state) of a task, each as it changed."""
        pairs = [(m.body["DesiredState"], m.body["Status"]["State"]) for m in self.tasks[task]]
        return [pair for n, pair in enumerate(pairs) if n == 0 or pairs[n - 1] != pair]

    def updates(self, service: str) -> list[str]:
        """The states of UpdateStatus of a service, each as it changed; empty where there was none."""
        [seen] = [seen for key, seen in self.services.items() if self.names.get(key) == service]
        states = [(m.body.get("UpdateStatus") or {}).get("State", "") for m in seen]
        return [state for n, state in enumerate(states) if n == 0 or states[n - 1] != state]


def ask(path: Path | str, method: str, url: str, body: object = None) -> Answer:
    """One request on a connection of its own, with whatever status it is answered."""
    connection = http.client.HTTPConnection("docker", timeout=20)
    connection.sock = socket.socket(socket.AF_UNIX)
    try:
        connection.sock.settimeout(20)
        connection.sock.connect(str(path))
        sent = None if body is None else json.dumps(body)
        connection.request(method, url, sent, {} if sent is None else {"Content-Type": "application/json"})
        answer = connection.getresponse()
        said = answer.read().decode()
        return Answer(answer.status, _decoded(said))
    finally:
        connection.close()


def _decoded(said: str) -> Any:
    try:
        return json.loads(said)
    except ValueError:
        return said


def filtered(kind: str, **filters: object) -> str:
    """The path of a listing with filters."""
    return f"{API}/{kind}?filters=" + quote(json.dumps(filters))


class _Watch(threading.Thread):
    """Lists services and tasks every 20 ms, and keeps each form of each."""

    def __init__(self, subject: Subject, told: Told) -> None:
        super().__init__(daemon=True)
        self._subject, self._told = subject, told
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.wait(0.02):
            for kind, kept in (("services", self._told.services), ("tasks", self._told.tasks)):
                found = ask(self._subject.socket, "GET", f"{API}/{kind}").body
                now = time.time()
                for one in found:
                    forms = kept.setdefault(one["ID"], [])
                    if not forms or forms[-1].body != one:
                        forms.append(Moment(now, one))
                    if kind == "services":
                        self._told.names[one["ID"]] = one["Spec"]["Name"]
                if kind == "tasks":
                    for gone in kept.keys() - {one["ID"] for one in found}:
                        self._told.gone.setdefault(gone, now)
            self._told.looks += 1


class _Listen(threading.Thread):
    """Follows the events of the swarm as the watcher does, without its choice of types."""

    def __init__(self, subject: Subject, told: Told) -> None:
        super().__init__(daemon=True)
        self._told = told
        self._connection = http.client.HTTPConnection("docker")
        self._connection.sock = self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(subject.socket))
        self._connection.request("GET", filtered("events", scope=["swarm"]))

    def run(self) -> None:
        rest = b""
        answer = self._connection.getresponse()
        # Cut off by `stop`, in the middle of a chunked answer that has no end.
        with contextlib.suppress(http.client.IncompleteRead):
            while chunk := answer.read1():
                *lines, rest = (rest + chunk).split(b"\n")
                self._told.events += [json.loads(line) for line in lines if line.strip()]

    def stop(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self.join()
        self._connection.close()


class _Story:
    def __init__(self, subject: Subject, told: Told) -> None:
        self.subject, self.told = subject, told
        self.api = SimulatorClient(subject.socket)

    def chapter(self, name: str) -> None:
        self.told.marks[name] = time.time()

    def record(self, name: str, method: str, url: str, body: object = None) -> None:
        self.told.answers[name] = ask(self.subject.socket, method, url, body)

    def create(self, name: str, *, env: Mapping[str, str] | None = None, **options: Any) -> None:
        options.setdefault("networks", ["like"])
        options.setdefault("restart_policy", {"Condition": "any", "Delay": _SECOND // 2})
        self.api.create_service(
            name, image=self.subject.image, labels={"com.docker.lb.hosts": f"{name}.test", "empty": ""},
            env={"VERSION": "1", **(env or {})},
            update_config={"Parallelism": 1, "Monitor": _SECOND // 2}, **options,
        )  # fmt: skip

    def tasks(self, service: str) -> list[Json]:
        status, found = ask(self.subject.socket, "GET", filtered("tasks", service=[service]))
        assert status == 200, f"{self.subject.name}: tasks of {service}: {status} {found}"
        return sorted(found, key=lambda task: task["CreatedAt"])

    def running(self, service: str) -> list[Json]:
        both = ("running", "running")
        return [t for t in self.tasks(service) if (t["DesiredState"], t["Status"]["State"]) == both]

    def wait(self, condition: Callable[[], object], what: str, timeout: float = 40) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, f"{self.subject.name}: not within {timeout} s: {what}"
            time.sleep(0.05)

    def settle(self, service: str, tasks: int) -> None:
        """Waits until so many run, all others are over, and no update is under way."""

        def settled() -> bool:
            found = self.tasks(service)
            status = (self.api.service(service).get("UpdateStatus") or {}).get("State", "completed")
            others = [t for t in found if t["Status"]["State"] not in _OVER]
            return len(self.running(service)) == len(others) == tasks and status == "completed"

        self.wait(settled, f"{tasks} tasks of {service}")
        # What is so now is to be seen before it changes: the look that is under way may have begun before.
        looks = self.told.looks
        self.wait(lambda: self.told.looks >= looks + 2, "the watch has seen it")


def tell(subject: Subject) -> Told:
    """The whole story; takes most of a minute on an engine whose tasks get their SIGTERM after three seconds."""
    told = Told()
    story = _Story(subject, told)
    began = time.time()
    for node in ask(subject.socket, "GET", f"{API}/nodes").body:
        told.names[node["ID"]] = node["Description"]["Hostname"]
    watch, listen = _Watch(subject, told), _Listen(subject, told)
    watch.start()
    listen.start()
    try:
        _opening(story)
        _refusals(story)
        _changes(story)
        _misfortunes(story)
        _listings(story)
        _ending(story)
        time.sleep(0.3)
    finally:
        watch.done.set()
        watch.join()
        listen.stop()
    until = f"&since={began:.9f}&until={time.time():.9f}"
    lines = ask(subject.socket, "GET", filtered("events", scope=["swarm"]) + until).body
    # A single event is decoded already.
    told.history = [lines] if isinstance(lines, dict) else [json.loads(line) for line in str(lines).splitlines()]
    # The ingress network belongs to the engine's beginning, which may still be told of when the story begins.
    for events in (told.events, told.history):
        events[:] = [e for e in events if (e["Type"], e["Actor"]["Attributes"].get("name")) != ("network", "ingress")]
    return told


def _opening(story: _Story) -> None:
    story.chapter("create")
    network = story.api.create_network("like")
    story.told.names[network] = "like"
    story.create("shop", replicas=2)
    # On the ingress network as well; on none; on every node; on none of the nodes.
    first = ["node.hostname==node1"]
    port = {"TargetPort": 8080, "Protocol": "tcp"}
    host = {**port, "PublishedPort": 8088, "PublishMode": "host"}
    story.create("door", ports=[{**port, "PublishedPort": 30080}], constraints=first)
    story.create("plain", networks=[], ports=[host], constraints=first)
    # With Docker's own restart delay.
    story.create("bare", networks=[], restart_policy=None, constraints=first)
    story.create("all", replicas=None, endpoint_mode="dnsrr")
    story.create("nowhere", constraints=["node.labels.moon==full"])
    story.create("edited", replicas=2)
    for name, tasks in (("shop", 2), ("door", 1), ("plain", 1), ("bare", 1), ("all", 2), ("edited", 2)):
        story.settle(name, tasks)


def _changes(story: _Story) -> None:
    story.chapter("label")
    story.api.set_labels("shop", {"more": "yes"})
    time.sleep(0.5)
    story.chapter("scale")
    story.api.scale("shop", 4)
    story.settle("shop", 4)
    story.api.scale("shop", 2)
    story.settle("shop", 2)
    # In the midst of the first task's replacement: what changes nothing, and what makes another update of it.
    story.api.update("edited", env={"VERSION": "2"}, order="stop-first")
    story.wait(lambda: len(story.tasks("edited")) == 3, "the update begins")
    story.api.scale("edited", 2)
    time.sleep(0.5)
    story.chapter("edited")
    story.api.set_labels("edited", {"more": "yes"})
    story.settle("edited", 2)
    for version, order in (("2", "stop-first"), ("3", "start-first")):
        story.chapter(order)
        # On a service of one task, so that its steps are in order on every engine.
        story.api.update("door", env={"VERSION": version}, order=order)
        story.settle("door", 1)


def _misfortunes(story: _Story) -> None:
    story.chapter("crash")
    for name in ("shop", "bare"):
        victim = next(t for t in story.running(name) if story.told.names[t["NodeID"]] == "node1")
        story.subject.crash(victim)
        story.told.victims[name] = victim["ID"]
    for name, id_ in story.told.victims.items():
        story.wait(lambda name=name, id_=id_: id_ not in {t["ID"] for t in story.running(name)}, "a crash is seen")  # type: ignore[misc]
    story.settle("shop", 2)
    story.chapter("drain")
    story.api.availability("node2", "drain")
    story.wait(
        lambda: not [t for t in story.running("all") if story.told.names[t["NodeID"]] == "node2"], "node2 is empty"
    )
    story.settle("shop", 2)
    story.settle("all", 1)
    story.api.availability("node2", "active")
    story.settle("all", 2)
    story.settle("bare", 1)


def _refusals(story: _Story) -> None:
    nobody, shop = "0" * 25, story.api.service("shop")
    image = {"TaskTemplate": {"ContainerSpec": {"Image": story.subject.image}}}
    update = f"{API}/services/{shop['ID']}/update"
    now, old = shop["Version"]["Index"], shop["Version"]["Index"] - 1
    for name, method, url, body in (
        ("no such service, by name", "GET", f"{API}/services/nobody", None),
        ("no such service, by id", "GET", f"{API}/services/{nobody}", None),
        ("no such service to remove", "DELETE", f"{API}/services/{nobody}", None),
        ("no such service to update", "POST", f"{API}/services/{nobody}/update?version=1", shop["Spec"]),
        ("no such task", "GET", f"{API}/tasks/{nobody}", None),
        ("no such node", "GET", f"{API}/nodes/{nobody}", None),
        ("no such network", "GET", f"{API}/networks/{nobody}", None),
        ("no such path", "GET", f"{API}/nothing", None),
        ("a name that is taken", "POST", f"{API}/services/create", {"Name": "shop", **image}),
        ("a network's name that is taken", "POST", f"{API}/networks/create",
         {"Name": "like", "Driver": "overlay", "CheckDuplicate": True}),
        ("a network that is in use", "DELETE", f"{API}/networks/like", None),
        ("a name that is none", "POST", f"{API}/services/create", {"Name": "a b", **image}),
        ("no image", "POST", f"{API}/services/create", {"Name": "bare", "TaskTemplate": {"ContainerSpec": {}}}),
        ("an unknown network", "POST", f"{API}/services/create",
         {"Name": "lost", "TaskTemplate": {**image["TaskTemplate"], "Networks": [{"Target": "nowhere"}]}}),
        ("a port that is taken", "POST", f"{API}/services/create",
         {"Name": "late", **image, "EndpointSpec": {"Ports": [{"TargetPort": 80, "PublishedPort": 30080}]}}),
        ("an older version", "POST", f"{update}?version={old}", shop["Spec"]),
        ("no version", "POST", update, shop["Spec"]),
        ("another name", "POST", f"{update}?version={now}", {**shop["Spec"], "Name": "store"}),
        ("another mode", "POST", f"{update}?version={now}", {**shop["Spec"], "Mode": {"Global": {}}}),
        ("tasks of no service", "GET", filtered("tasks", service=["nobody"]), None),
        ("tasks on no node", "GET", filtered("tasks", node=["nobody"]), None),
        ("a filter that is none", "GET", filtered("tasks", colour=["red"]), None),
        ("a desired state that is none", "GET", filtered("tasks", **{"desired-state": ["happy"]}), None),
        ("filters that are no JSON", "GET", f"{API}/tasks?filters=x", None),
        ("services by a filter that is none", "GET", filtered("services", colour=["red"]), None),
        ("events by a filter that is none", "GET", filtered("events", colour=["red"]) + "&since=1&until=2", None),
        ("a version that is too new", "GET", "/v9.99/services", None),
    ):  # fmt: skip
        story.record(name, method, url, body)


def _listings(story: _Story) -> None:
    story.chapter("listings")
    shop = story.api.service("shop")["ID"]
    [one, *_] = story.running("shop")
    node = next(key for key, name in story.told.names.items() if name == "node1")
    for name, filters in {
        "tasks by name of the service": {"service": ["shop"]},
        "tasks by id of the service": {"service": [shop]},
        "tasks by the beginning of its id": {"service": [shop[:10]]},
        "tasks in the older form": {"service": {"shop": True}},
        "tasks of two services": {"service": ["door", "plain"]},
        "tasks that are wanted": {"service": ["plain", "all"], "desired-state": ["running"]},
        "tasks of a node, by its name": {"service": ["plain", "all"], "node": ["node1"], "desired-state": ["running"]},
        "tasks of a node, by its id": {"service": ["plain", "all"], "node": [node], "desired-state": ["running"]},
        "tasks by id": {"id": [one["ID"]]},
        "tasks by name": {"name": ["plain.1"]},
        "tasks by label": {"label": ["x=y"]},
    }.items():
        story.record(name, "GET", filtered("tasks", **filters))
    for kind in ("nodes", "networks", "version"):
        story.record(kind, "GET", f"{API}/{kind}")
    story.told.nodes = story.told.answers["nodes"].body
    story.told.networks = story.told.answers["networks"].body
    story.record("ping", "GET", "/_ping")
    story.record("service", "GET", f"{API}/services/shop")


def _ending(story: _Story) -> None:
    story.chapter("remove")
    [task, *_] = story.running("shop")
    for name in ("shop", "door", "plain", "bare", "all", "nowhere", "edited"):
        story.record(f"remove {name}", "DELETE", f"{API}/services/{name}")
    story.record("tasks of a removed service", "GET", filtered("tasks", service=["shop"]))
    story.wait(lambda: story.subject.ended(task), "the process of a removed task ends")
    story.chapter("ended")
    story.wait(lambda: not ask(story.subject.socket, "GET", f"{API}/tasks").body, "no task is listed")
    story.wait(
        lambda: ask(story.subject.socket, "DELETE", f"{API}/networks/like").status == 204, "the network can be removed"
    )
