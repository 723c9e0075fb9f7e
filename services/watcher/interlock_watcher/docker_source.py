"""Docker's API over the SDK's low-level client: raw GETs, decoded by type. It and `unix_transport` import `docker`.

It reads and never writes. Every failure becomes DockerUnavailable, DockerRefused or NotFound, and a reply of the wrong
shape is refused, never taken for an empty one. One source serves one thread, so that a slow listing delays nobody.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import TypeVar

import docker.errors
import docker.tls
import msgspec
import requests
import urllib3.exceptions
from docker.api.client import APIClient

from interlock.errors import ConfigError, DockerFailed, DockerRefused, DockerUnavailable, NotFound
from interlock_watcher import endpoint
from interlock_watcher.endpoint import Tls
from interlock_watcher.engine import Listing, RawEvent, RawNetwork, RawNode, RawService, RawTask
from interlock_watcher.unix_transport import ClosingAdapter

OLDEST, NEWEST = (1, 41), (1, 52)
"""API versions that we speak. The newest that both sides know is taken."""

CONNECT_TIMEOUT = 2.0
READ_TIMEOUT = 10.0
SERVICE_TIMEOUT = 5.0
LISTING_TIMEOUT = 60.0
STREAM_SILENCE = 300.0
"""Seconds without an event after which the stream is opened anew: a dead TCP peer says nothing either."""

_ACCEPT = {"Accept": "application/x-ndjson, application/json"}
"""API 1.52 lets a client choose how events come, and has other forms than lines."""

_AROUND = b" \t\r\n\x1e"
"""What may stand around an event: white space, and the separator of a JSON text sequence."""

_EVENT_TYPES = ("service", "node", "network", "secret", "config")
T = TypeVar("T")


class _Id(msgspec.Struct, gc=False):
    id: str = msgspec.field(name="ID")
    service_id: str = msgspec.field(name="ServiceID", default="")


class _EngineVersion(msgspec.Struct, rename="pascal"):
    api_version: str
    min_api_version: str = msgspec.field(name="MinAPIVersion", default="1.12")
    version: str = ""


class DockerSource:
    """One connection to one engine. Raises ConfigError for a URL or certificate that cannot be used; connects late.

    `places`: as `endpoint.check` takes them.
    """

    def __init__(self, url: str, *, tls: Tls | None = None, places: Mapping[str, str] | None = None) -> None:
        endpoint.check(url, tls, places or {})
        self.url = url
        self.api_version = ""
        self.engine_version = ""
        self._tls = _tls_config(tls)
        self._client: APIClient | None = None
        self._stream: socket.socket | None = None
        self._closed = threading.Event()
        self._lock = threading.Lock()

    def services(self) -> tuple[tuple[RawService, ...], frozenset[str]]:
        """All services, and the ids of those that could not be read."""
        return _items("services", self._get("/services", timeout=LISTING_TIMEOUT), RawService, _own_id)

    def tasks(self, service: str | None = None) -> tuple[tuple[RawTask, ...], frozenset[str]]:
        """All tasks, or one service's, and the ids of services with a task that could not be read."""
        params = {} if service is None else {"filters": msgspec.json.encode({"service": [service]}).decode()}
        timeout = LISTING_TIMEOUT if service is None else SERVICE_TIMEOUT
        return _items("tasks", self._get("/tasks", params, timeout=timeout), RawTask, _service_id)

    def nodes(self) -> tuple[RawNode, ...]:
        """All nodes."""
        return _decode("nodes", self._get("/nodes"), tuple[RawNode, ...])

    def networks(self) -> tuple[RawNetwork, ...]:
        """All networks that this engine knows."""
        return _decode("networks", self._get("/networks"), tuple[RawNetwork, ...])

    def service(self, id_: str) -> RawService:
        """One service. Raises NotFound when Docker says that it does not exist."""
        try:
            data = self._get(f"/services/{id_}", timeout=SERVICE_TIMEOUT)
        except NotFound as error:
            if id_ not in str(error).partition(f"/services/{id_}: ")[2]:
                # A path that is not served, or something in between: Docker itself names what it did not find.
                raise DockerRefused(f"{error}; that is not the Docker Engine speaking of the service") from error
            raise
        return _decode(f"service {id_}", data, RawService)

    def listing(self) -> Listing:
        """Everything. Services come before tasks: a task whose service is not listed yet is then merely early."""
        nodes = self.nodes()
        networks = self.networks()
        services, bad_services = self.services()
        tasks, bad_tasks = self.tasks()
        return Listing(
            services=services, tasks=tasks, nodes=nodes, networks=networks, unreadable=bad_services | bad_tasks
        )

    def serves(self, path: str) -> bool:
        """Whether a GET of this path is answered with 200; a refusal of any kind is no."""
        try:
            self._get(path, timeout=SERVICE_TIMEOUT)
        except (DockerRefused, NotFound, DockerFailed):
            return False
        return True

    def renew(self) -> None:
        """Have the next request go over a new connection: a reading that is to confirm another is to owe it nothing."""
        self._forget()

    def events(self) -> Generator[RawEvent | None]:
        """The stream of events: None at each opening, then each event. Ends when Docker ends it, and at close.

        A stream that was silent for STREAM_SILENCE is opened anew, in order: nothing is wrong with a quiet Swarm.
        """
        while not self._closed.is_set():
            silent = yield from self._follow()
            if not silent:
                return

    def _follow(self) -> Generator[RawEvent | None, None, bool]:
        """One stream of events; whether it was left because nothing came."""
        filters = msgspec.json.encode({"type": _EVENT_TYPES}).decode()
        with (
            self._translated("/events"),
            self._ask("/events", {"filters": filters}, timeout=STREAM_SILENCE, stream=True) as response,
        ):
            _check("/events", response)
            with self._interruptible(response):
                yield None
                rest = b""
                try:
                    for chunk in response.iter_content(None):
                        *lines, rest = (rest + chunk).split(b"\n")
                        for line in filter(None, (line.strip(_AROUND) for line in lines)):
                            yield _decode("event", line, RawEvent)
                except requests.exceptions.RequestException as error:
                    if self._closed.is_set():
                        return False
                    if _stalled(error):
                        return True
                    raise
        return False

    def close(self) -> None:
        """Closes the connections; a thread in `events` returns."""
        self._closed.set()
        with self._lock:
            if self._stream is not None:
                with contextlib.suppress(OSError):
                    self._stream.shutdown(socket.SHUT_RDWR)
            if self._client is not None:
                self._client.close()

    @contextlib.contextmanager
    def _interruptible(self, response: requests.Response) -> Iterator[None]:
        # A copy of the descriptor, for closing from another thread: shutting it down ends the blocking read.
        copy = socket.socket(fileno=os.dup(response.raw.fileno()))
        with self._lock:
            self._stream = copy
        try:
            if not self._closed.is_set():
                yield
        finally:
            with self._lock:
                self._stream = None
            copy.close()

    def _get(self, path: str, params: dict[str, str] | None = None, *, timeout: float = READ_TIMEOUT) -> bytes:
        with self._translated(path), self._ask(path, params, timeout=timeout) as response:
            _check(path, response)
            return response.content

    def _ask(
        self, path: str, params: dict[str, str] | None, *, timeout: float, stream: bool = False
    ) -> requests.Response:
        """One GET at the version that was agreed on; once more, agreed anew, where that tells of another engine.

        A kept connection that the engine has closed is what remains of an engine that was restarted, maybe as an older
        or newer one; where something stands in between, connections stay and only the answer tells.
        """
        for last in (False, True):
            client = self._connected()
            url = f"{client.base_url}/v{self.api_version}{path}"
            try:
                response = client.get(
                    url, params=params, headers=_ACCEPT, stream=stream, timeout=(CONNECT_TIMEOUT, timeout)
                )
            except requests.exceptions.ConnectionError as error:
                if last or not _hung_up(error):
                    raise
                self._forget()
                continue
            if last or not _speaks_another_version(response):
                break
            response.close()
            self._forget()
        return response

    def _connected(self) -> APIClient:
        if self._client is None:
            client = APIClient(base_url=self.url, version="1.41", timeout=int(READ_TIMEOUT), tls=self._tls)
            if self.url.startswith("unix://"):
                client.mount("http+docker://", ClosingAdapter(self.url.replace("unix://", "http+unix://", 1)))
            try:
                response = client.get(f"{client.base_url}/version", timeout=(CONNECT_TIMEOUT, READ_TIMEOUT))
                with response:
                    _check("/version", response)
                    self._negotiate(_decode("version", response.content, _EngineVersion))
            except BaseException:
                client.close()
                raise
            self._client = client
        return self._client

    def _negotiate(self, engine: _EngineVersion) -> None:
        newest, oldest = _numbers(engine.api_version), _numbers(engine.min_api_version)
        if newest < OLDEST or oldest > NEWEST:
            remedy = "use Docker 20.10 or newer" if newest < OLDEST else "use a newer Interlock"
            raise DockerRefused(
                f"Docker {engine.version} at {self.url} speaks API {engine.min_api_version} to {engine.api_version}, "
                f"we speak {_dotted(OLDEST)} to {_dotted(NEWEST)}; {remedy}"
            )
        self.api_version = _dotted(min(newest, NEWEST))
        self.engine_version = engine.version

    @contextlib.contextmanager
    def _translated(self, path: str) -> Iterator[None]:
        try:
            yield
        except requests.exceptions.RequestException as error:
            self._forget()
            if _stalled(error):
                raise DockerFailed(f"Docker at {self.url} does not answer in time ({path}): {error}") from error
            raise DockerUnavailable(f"Docker at {self.url} cannot be asked ({path}): {error}") from error
        except (docker.errors.DockerException, OSError) as error:
            self._forget()
            raise DockerUnavailable(f"Docker at {self.url} cannot be asked ({path}): {error}") from error

    def _forget(self) -> None:
        # The engine that answers next may be another version: negotiate anew.
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()


def _stalled(error: requests.exceptions.RequestException) -> bool:
    """Nothing came in time, of the answer or of the rest of it; the latter is no `ReadTimeout` to requests."""
    return isinstance(error, requests.exceptions.ReadTimeout) or (
        bool(error.args) and isinstance(error.args[0], urllib3.exceptions.ReadTimeoutError)
    )


def _hung_up(error: requests.exceptions.ConnectionError) -> bool:
    """The connection was there, and was ended before any answer."""
    reason = error.args[0] if error.args else None
    return isinstance(reason, urllib3.exceptions.ProtocolError) and any(
        isinstance(cause, ConnectionError) for cause in reason.args
    )


def _check(path: str, response: requests.Response) -> None:
    status = response.status_code
    if status == 200:
        return
    said = f"Docker answered {status} to {path}: {response.text[:300].strip()}"
    if status == 404:
        raise NotFound(said)
    if status >= 500:
        raise DockerFailed(said)
    raise DockerRefused(f"{said}; check that the socket is the Docker Engine's and may be read")


def _speaks_another_version(response: requests.Response) -> bool:
    """`client version 1.52 is too new. Maximum supported API version is 1.43`, or the other way round."""
    return response.status_code == 400 and "supported API version" in response.text


def _decode(what: str, data: bytes, type_: type[T]) -> T:
    try:
        return msgspec.json.decode(data, type=type_)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DockerRefused(f"Docker's reply for {what} makes no sense: {error}") from error


def _items(what: str, data: bytes, type_: type[T], owner: Callable[[_Id], str]) -> tuple[tuple[T, ...], frozenset[str]]:
    """All items of a list, and the owners of those that make no sense: one bad object must not hide the others."""
    try:
        return msgspec.json.decode(data, type=tuple[type_, ...]), frozenset()  # type: ignore[valid-type]  # a type at run time
    except msgspec.ValidationError:
        pass
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DockerRefused(f"Docker's reply for {what} makes no sense: {error}") from error
    good: list[T] = []
    bad: set[str] = set()
    for item in _decode(what, data, tuple[msgspec.Raw, ...]):
        try:
            good.append(msgspec.json.decode(item, type=type_))
        except msgspec.ValidationError:
            # Without even an id nobody could tell what is missing: then the whole reply is refused.
            bad.add(owner(_decode(f"an item of {what}", bytes(item), _Id)))
    return tuple(good), frozenset(bad)


def _own_id(item: _Id) -> str:
    return item.id


def _service_id(item: _Id) -> str:
    return item.service_id


def _tls_config(tls: Tls | None) -> docker.tls.TLSConfig | bool:
    if tls is None:
        return False
    try:
        return docker.tls.TLSConfig(
            client_cert=(tls.cert, tls.key) if tls.cert and tls.key else None,
            ca_cert=tls.ca or None,
            verify=tls.verify,
        )
    except docker.errors.TLSParameterError as error:  # a file that is gone since it was tried
        raise ConfigError(f"TLSCACert, TLSCert, TLSKey: {error}") from error


def _numbers(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    if not (major.isdigit() and minor.isdigit()):
        raise DockerRefused(f"Docker's API version {text!r} is not of the form 1.41")
    return int(major), int(minor)


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
