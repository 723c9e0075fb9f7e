"""The simulator says what Docker says: one story, told to both, and what Interlock relies on compared.

What differs on purpose is named here with its reason; what else differed was corrected (services/simulator/README.md).
"""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import types
import typing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from interlock_simulator.values import ORDER
from interlock_watcher.engine import RawEvent, RawNetwork, RawNode, RawService, RawTask
from support.simulator import running_simulator
from support.swarm.images import BACKEND
from support.swarm.lab import Swarm
from support.swarm.likeness import Json, Subject, Told, tell
from support.swarm.quiet import alone

pytestmark = [pytest.mark.swarm, pytest.mark.timeout(600)]

FORMS = (
    ("time", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z"),
    ("id", r"[a-z0-9]{25}"),
    ("container's id", r"[0-9a-f]{64}"),
    ("address with prefix length", r"\d+\.\d+\.\d+\.\d+/\d+"),
    ("address and port", r"\d+\.\d+\.\d+\.\d+:\d+"),
    ("address", r"\d+\.\d+\.\d+\.\d+"),
    ("nothing", ""),
)
OTHER_WORDS = {
    "no such path": "the simulator says that it has no such path",
    "a filter that is none": "older engines begin with a capital",
    "services by a filter that is none": "older engines begin with a capital",
    "a version that is too new": "it names the newest version",
    "a network that is in use": "it names any of the services",
}
OTHER_STATUS = {
    "a desired state that is none": "500 of older engines, 400 of newer ones",
    "filters that are no JSON": "500 of older engines, 400 of newer ones",
}


class Both(typing.NamedTuple):
    simulator: Told
    docker: Told


@pytest.fixture(scope="module")
def both(swarm: Swarm, tmp_path_factory: pytest.TempPathFactory) -> Both:
    told: list[Told] = []
    # An engine or a simulator that gets no processor for seconds tells another story.
    with alone(), running_simulator(tmp_path_factory.mktemp("sim"), profile="real", nodes=2) as sim:

        def over(task: Json) -> bool:
            return next(t for t in sim.tasks() if t["task_id"] == task["ID"])["exited"] is not None

        crash = lambda task: sim.crash(task=task["ID"])  # noqa: E731
        subject = Subject("simulator", Path(sim.socket), "demo/app:1", crash, over)
        teller = threading.Thread(target=lambda: told.append(tell(subject)), daemon=True)
        teller.start()
        real = Subject("docker", swarm.manager().socket, BACKEND, lambda task: _kill(_pid(task)), _gone)
        docker = tell(real)
        teller.join()
    assert told, "the simulator's story broke off"
    return Both(told[0], docker)


def _pid(task: Json) -> int:
    return int(task["Status"]["ContainerStatus"]["PID"])


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def _gone(task: Json) -> bool:
    return not Path("/proc", str(_pid(task))).exists()


# Fields


def _paths(kind: Any, at: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every field that the watcher's type reads, as a path; `[]` is any item of a list."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        fields = msgspec.structs.fields(kind)
        return [path for f in fields for path in ((*at, f.encode_name), *_paths(f.type, (*at, f.encode_name)))]
    if typing.get_origin(kind) in {types.UnionType, typing.Union}:
        return [path for part in typing.get_args(kind) for path in _paths(part, at)]
    if typing.get_origin(kind) is tuple:
        return [(*at, "[]"), *_paths(typing.get_args(kind)[0], (*at, "[]"))]
    return []


def _forms(value: Any, path: tuple[str, ...]) -> set[str]:
    if not path:
        if isinstance(value, str):
            return {next((name for name, pattern in FORMS if re.fullmatch(pattern, value)), "text")}
        return {type(value).__name__}
    first, *rest = path
    if first == "[]":
        return {form for item in value for form in _forms(item, tuple(rest))}
    return _forms(value[first], tuple(rest)) if value and first in value else {"absent"}


def _objects(told: Told) -> list[tuple[type[msgspec.Struct], list[Json]]]:
    return [
        (RawService, [m.body for seen in told.services.values() for m in seen]),
        (RawTask, [m.body for seen in told.tasks.values() for m in seen]),
        (RawNode, told.nodes),
        (RawNetwork, told.networks),
        (RawEvent, told.events),
    ]


def test_every_field_that_the_watcher_reads_has_the_same_form(both: Both) -> None:
    different = {}
    for (kind, simulated), (_, real) in zip(_objects(both.simulator), _objects(both.docker), strict=True):
        assert simulated
        assert real
        for path in _paths(kind):
            left, right = ({form for one in some for form in _forms(one, path)} for some in (simulated, real))
            if left != right:
                different[f"{kind.__name__} {'.'.join(path)}"] = {"simulator": left, "docker": right}
    assert different == {}


@pytest.mark.parametrize("which", ["simulator", "docker"])
def test_what_changes_has_a_greater_index(both: Both, which: str) -> None:
    told: Told = getattr(both, which)
    for seen in (*told.services.values(), *told.tasks.values()):
        numbers = [moment.body["Version"]["Index"] for moment in seen]
        assert numbers == sorted(set(numbers))
        assert len({moment.body["CreatedAt"] for moment in seen}) == 1


def _host_ports(told: Told) -> list[Json]:
    [task] = told.of("plain")
    found = [m.body["Status"]["PortStatus"].get("Ports") for m in told.tasks[task]]
    return next(ports for ports in found if ports)


def test_ports_of_the_node_are_told_by_the_task_that_runs_once_for_each_family(both: Both) -> None:
    assert _host_ports(both.simulator) == _host_ports(both.docker)


# Tasks


def _lives(told: Told, service: str) -> list[tuple[bool, list[tuple[str, str]]]]:
    """Of each task whether it waited, ready, for its turn, and what it was from running on; in no order.

    How long the states before take, and the instant between the end and the absence of a removed task, are not seen
    by each look. On a busy machine a process may outlast its grace and be killed, or an engine find its network gone
    before it has let go of it, which is the machine's doing.
    """
    lives = []
    for task in told.of(service):
        error = told.tasks[task][-1].body["Status"].get("Err", "")
        path = told.path(task)
        off = [pair for pair in path if ORDER[pair[1]] >= ORDER["running"] and pair[0] != "remove"]
        busy = "(137)" in error or "error while removing network" in error
        ended = "shutdown" if busy else f"failed: {error}"
        off = [("shutdown", ended) if pair == ("shutdown", "failed") else pair for pair in off]
        removed = [("remove", "running")] if ("remove", "running") in path else []
        lives.append((("ready", "ready") in path, [pair for pair in off if pair != ("running", "failed")] + removed))
    return sorted(lives)


@pytest.mark.parametrize("service", ["shop", "door", "plain", "bare", "all", "nowhere", "edited"])
def test_tasks_live_the_same_lives(both: Both, service: str) -> None:
    assert _lives(both.simulator, service) == _lives(both.docker, service)


@pytest.mark.parametrize("which", ["simulator", "docker"])
def test_states_go_one_way(both: Both, which: str) -> None:
    told: Told = getattr(both, which)
    for task in told.tasks:
        path = told.path(task)
        assert path == sorted(path, key=lambda pair: ORDER[pair[1]])
        wanted = [desired for desired, _ in path]
        assert wanted == sorted(wanted, key=["ready", "running", "shutdown", "remove"].index)


@pytest.mark.parametrize("which", ["simulator", "docker"])
def test_removed_tasks_are_seen_to_be_over_before_they_are_gone(both: Both, which: str) -> None:
    told: Told = getattr(both, which)
    assert ("remove", "shutdown") in {pair for task in told.tasks for pair in told.path(task)}
    assert set(told.tasks) == set(told.gone)
    # What had ended before is listed until its service goes.
    assert all(told.gone[task] > told.marks["remove"] for name in ("all", "door") for task in told.of(name))


@pytest.mark.parametrize("which", ["simulator", "docker"])
def test_a_task_has_its_address_before_it_has_a_node(both: Both, which: str) -> None:
    told: Told = getattr(both, which)
    [task] = told.of("nowhere")
    last = told.tasks[task][-1].body
    assert last["Status"]["State"] == "pending"
    assert "no suitable node" in last["Status"]["Err"]
    assert not last.get("NodeID")
    assert [len(place["Addresses"]) for place in last["NetworksAttachments"]] == [1]


def test_a_task_that_failed_says_the_same(both: Both) -> None:
    said = [[told.tasks[id_][-1].body["Status"]["Err"] for id_ in told.victims.values()] for told in both]
    assert said[0] == said[1]


# Times: orders and the promises that Interlock builds on, no more


@pytest.mark.parametrize("which", ["simulator", "docker"])
def test_a_process_is_signalled_long_after_its_task_is_not_wanted(both: Both, which: str) -> None:
    told: Told = getattr(both, which)
    # On an overlay network. The process ends at once when it is asked to.
    assert told.marks["ended"] - told.marks["remove"] >= 2.5
    over = {
        name: min(told.gone[t] for t in told.of(name) if told.path(t)[-1] != ("remove", "failed"))
        for name in ("plain", "shop")
    }
    last = {name: max(told.gone[t] for t in told.of(name)) for name in ("plain", "shop")}
    assert over["plain"] <= last["plain"] < last["shop"]


def _instant(told: Told, task: str, *, desired: str | None = None, state: str | None = None) -> float:
    for moment in told.tasks[task]:
        if desired in {None, moment.body["DesiredState"]} and state in {None, moment.body["Status"]["State"]}:
            return moment.at
    raise AssertionError(f"{task}: never {desired}, {state}: {told.path(task)}")


@pytest.mark.parametrize("which", ["simulator", "docker"])
def test_what_failed_is_replaced_after_the_restart_delay(both: Both, which: str) -> None:
    told: Told = getattr(both, which)
    for service, delay in (("shop", 0.5), ("bare", 5.0)):
        victim = told.victims[service]
        failed = _instant(told, victim, state="failed")
        waited = [task for task in told.of(service) if ("ready", "ready") in told.path(task)]
        fresh = min(waited, key=lambda task: told.tasks[task][0].at)
        assert delay - 0.2 < _instant(told, fresh, desired="running") - failed < delay + 3


@pytest.mark.parametrize("which", ["simulator", "docker"])
def test_what_replaces_a_drained_task_starts_when_that_is_over(both: Both, which: str) -> None:
    told: Told = getattr(both, which)
    # Of this service, nothing else is told to stop but by the drain.
    [old] = [task for task in told.of("shop") if ("shutdown", "running") in told.path(task)]
    [fresh] = [t for t in told.of("shop") if told.tasks[t][0].at > told.marks["drain"] - 0.05]
    assert _instant(told, fresh, desired="running") >= _instant(told, old, desired="shutdown", state="shutdown") - 0.05


# Updates, events, refusals, filters


@pytest.mark.parametrize("which", ["simulator", "docker"])
def test_an_update_is_told_by_its_status(both: Both, which: str) -> None:
    told: Told = getattr(both, which)
    assert [state for state in told.updates("door") if state != ""][-1] == "completed"
    [forms] = [seen for key, seen in told.services.items() if told.names[key] == "door"]
    status = [m.body["UpdateStatus"] for m in forms if "UpdateStatus" in m.body]
    assert {s["State"] for s in status} == {"updating", "completed"}
    for one in status:
        assert _forms(one, ("StartedAt",)) == {"time"}
        assert _forms(one, ("CompletedAt",)) == ({"time"} if one["State"] == "completed" else {"absent"})
    # No change of a task, no status.
    assert told.updates("shop") == [""]


@pytest.mark.parametrize("which", ["simulator", "docker"])
def test_an_edit_in_the_midst_of_an_update_takes_the_next_task_at_once(both: Both, which: str) -> None:
    """One that changes nothing does not."""
    told: Told = getattr(both, which)
    mine = [task for task in told.of("edited") if told.tasks[task][0].at < told.marks["stop-first"]]
    old = [task for task in mine if told.tasks[task][0].at < told.marks["label"]]
    first, second = sorted(_instant(told, task, desired="shutdown") for task in old)
    assert first < told.marks["edited"] - 0.4 < told.marks["edited"] - 0.05 < second
    over = [_instant(told, task, desired="shutdown", state="shutdown") for task in old]
    assert second < min(over), "the first is still there when the second is told to go"
    fresh = [_instant(told, task, desired="running") for task in mine if task not in old]
    assert min(over) - 0.05 <= min(fresh) < max(over), "the first replacement waits for the first task alone"


def _said(told: Told, events: list[Json]) -> dict[str, list[str]]:
    said: dict[str, list[str]] = {}
    for event in events:
        what = {
            "do": event["Action"],
            "with": event["Actor"]["Attributes"],
            "fields": sorted(event),
            "in": event["scope"],
        }
        said.setdefault(told.plain(f"{event['Type']} {event['Actor']['ID']}"), []).append(
            told.plain(json.dumps(what, sort_keys=True))
        )
    return said


def test_events_are_the_same(both: Both) -> None:
    simulated, real = (_said(told, told.events) for told in both)
    nodes = [name for name in {*simulated, *real} if name.startswith("node ")]
    for name in nodes:
        # How often a node changes while it gets its networks depends on how many tasks come at once.
        assert set(simulated.pop(name, [])) == set(real.pop(name, [])), name
    assert len(nodes) == 2
    assert simulated == real
    assert {name.split()[0] for name in real} == {"service", "network"}


@pytest.mark.parametrize("which", ["simulator", "docker"])
def test_events_can_be_asked_for_afterwards(both: Both, which: str) -> None:
    told: Told = getattr(both, which)
    assert told.history == told.events
    assert len({event["timeNano"] for event in told.events}) == len(told.events)


def test_refusals_are_the_same(both: Both) -> None:
    different = {}
    for name, answer in both.docker.answers.items():
        mine = both.simulator.answers[name]
        left, right = (
            (a.status, told.plain(json.dumps(a.body)) if a.status >= 400 else "")
            for told, a in ((both.simulator, mine), (both.docker, answer))
        )
        if name in OTHER_STATUS and min(mine.status, answer.status) >= 400:
            continue
        if name in OTHER_WORDS:
            left, right = (left[0], ""), (right[0], "")
        if left != right:
            different[name] = {"simulator": left, "docker": right}
    assert different == {}


def test_filters_choose_the_same_tasks(both: Both) -> None:
    different = {}
    for name, answer in both.docker.answers.items():
        if name.startswith("tasks ") and answer.status == 200:
            left, right = (
                sorted(
                    (told.names[t["ServiceID"]], t["DesiredState"], t["Status"]["State"])
                    for t in told.answers[name].body
                )
                for told in both
            )
            if left != right:
                different[name] = {"simulator": left, "docker": right}
    assert different == {}


@pytest.mark.parametrize("which", ["simulator", "docker"])
def test_an_engine_says_which_versions_it_speaks(both: Both, which: str) -> None:
    told: Told = getattr(both, which)
    said = told.answers["version"].body
    assert all(re.fullmatch(r"1\.\d\d", said[key]) for key in ("ApiVersion", "MinAPIVersion"))
    assert told.answers["ping"] == (200, "OK")
