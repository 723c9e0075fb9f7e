"""One run of the demo, from the first process to the last: start, wait for answers, load, show, end. Shell."""

from __future__ import annotations

import contextlib
import http.client
import threading
import time
from queue import Empty, SimpleQueue

from interlock.bus.connection import Bus
from interlock.errors import DockerError, InterlockError
from interlock.runtime.parts import find_nginx, find_redis_server
from interlock.runtime.rundir import announce_bus, withdraw_bus
from interlock_demo import leash, place, scene
from interlock_demo.installation import Installation, Shape
from interlock_demo.load import Load
from interlock_demo.observer import Observer
from interlock_demo.screen import Screen
from interlock_demo.show import Show

_API_SHARE = 0.3
_READY_WITHIN = 40.0
_FAILED_TOO_OFTEN = 3
_LOOK = 0.05


class Session:
    """One run in a place that was taken. `wanted`: the port; `rate`: requests per second of the load."""

    def __init__(self, here: place.Place, shown: Screen, *, wanted: int, rate: float) -> None:
        self._here = here
        self._shown = shown
        self._rate = rate
        self._port = place.free_port(wanted)
        if self._port != wanted:
            shown.say(f"Port {wanted} is taken; the demo uses {self._port}.", "yellow")
        shown.say("Starting a simulated Swarm, the bus, watcher, planner and extension.")
        shown.say(f"{find_redis_server()}, {find_nginx()}; logs: {here.layout.logs}", "dim")
        self._heard: SimpleQueue[str] = SimpleQueue()
        self._installation = Installation(
            here.folder,
            Shape(),
            [place.listen(self._port)],
            restart=True,
            say=self._heard.put,
            remove=here.passing,
            keep=(here.lock,),
        )

    def run(self, stop: threading.Event) -> None:
        """Runs until `stop`; ends everything that it started. Raises `InterlockError`."""
        try:
            self._installation.start()
            if self._await_answers(stop):
                announce_bus(self._installation.bus_url)
                self._here.announce(self._port)
                self._shown.say(f"Open {url(scene.FIRST_PAGE, self._port)} in a browser.", "bold")
                self._present(stop)
        finally:
            with contextlib.suppress(OSError):
                self._shown.close()
            withdraw_bus()
            self._installation.close()
            if self._installation.supervisor.lost.is_set():
                leash.kill_descendants()

    def _await_answers(self, stop: threading.Event) -> bool:
        """Makes the services and waits until every route answers; False when stopped before."""
        deadline = time.monotonic() + _READY_WITHIN
        made, silent = False, list(scene.PATHS)
        while silent:
            if stop.wait(_LOOK):
                return False
            with contextlib.suppress(Empty):
                self._shown.say(self._heard.get_nowait(), "yellow")
            self._check(late=time.monotonic() > deadline)
            if made:
                silent = [route for route in silent if not _answers(self._port, *route)]
            else:
                with contextlib.suppress(DockerError):
                    scene.set_up(self._installation.sim)
                    made = True
        return True

    def _check(self, *, late: bool) -> None:
        supervisor = self._installation.supervisor
        for name in supervisor.names:
            if supervisor.failures(name) >= _FAILED_TOO_OFTEN:
                last = supervisor.last_words(name)
                raise InterlockError(f"the {name} does not start; see {supervisor.log(name)}, which ends:\n{last}")
        if late:
            raise InterlockError(f"not all routes answer after {_READY_WITHIN:.0f} s; see {self._here.layout.logs}")

    def _present(self, stop: threading.Event) -> None:
        hosts = sorted({host for host, _ in scene.PATHS})
        loads = (
            Load(hosts, port=self._port, rate=self._rate * (1 - _API_SHARE)),
            Load([scene.FIRST_PAGE], port=self._port, rate=self._rate * _API_SHARE, path="/api/load", seed=1),
        )
        observer = Observer(Bus.connect(self._installation.bus_url, name="demo"))
        try:
            for load in loads:
                load.start()
            show = Show(
                self._installation, observer, self._shown, loads=loads, hints=hints(self._port), heard=self._heard
            )
            show.run(stop)
        finally:
            for load in loads:
                # It waits for connections that are idle on purpose; nobody is interested in those any more.
                threading.Thread(target=load.stop, daemon=True).start()
            observer.close()


def url(host: str, port: int) -> str:
    """Of a host's first page."""
    return f"http://{host}:{port}/"


def hints(port: int) -> list[str]:
    """What one may do now, a line each; the last points to one's own Swarm."""
    command = place.command()
    typed = [
        (f"{command} demo scale shop 5", "more tasks"),
        (f"{command} demo crash shop", "a task dies"),
        (f"{command} demo break shop", "a bad label and its remedy; then: mend shop"),
        (f"{command} status", "or `routes`; with --json for programs"),
    ]
    width = max(len(text) for text, _ in typed)
    urls = "  ".join(url(host, port) for host in dict.fromkeys(host for host, _ in scene.PATHS))
    return [
        f"In a browser: {urls}",
        "In another terminal (Ctrl-C here ends everything):",
        *(f"  {text:<{width}}   {what}" for text, what in typed),
        "Your own Swarm: see README.md; interlock watcher --docker unix:///var/run/docker.sock …",
    ]


def _answers(port: int, host: str, path: str) -> bool:
    connection = http.client.HTTPConnection(place.LOOPBACK[0], port, timeout=1.0)
    try:
        connection.request("GET", path, headers={"Host": host})
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return answer.status == http.HTTPStatus.OK
