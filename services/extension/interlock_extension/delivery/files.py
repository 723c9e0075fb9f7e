"""Last good: what the proxy serves, on the worker's own disk, one file per virtual host. Shell.

Written after an apply was proven, read at start. Each file is whole or is ignored with a message; none is trusted to be
what the proxy runs, since its files are rendered from these again.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Collection, Iterable, Mapping
from hashlib import blake2s
from pathlib import Path

import msgspec

from interlock.errors import ConfigError, WireError
from interlock.model.names import UNNAMED, Cluster
from interlock.model.version import Version
from interlock.runtime.logging import get_logger
from interlock.wire import codec
from interlock_extension.port import HostView

_MOST_SYNCED = 64


class FolderInUse(ConfigError):
    """Another worker holds the folder."""


def default_folder(cluster: Cluster) -> Path:
    """The folder of a worker that is told none: `interlock/extension-<region>-<cluster>` in $XDG_STATE_HOME."""
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    region, name = str(cluster).split("/")
    return Path(home) / "interlock" / f"extension-{region}-{'default' if name == UNNAMED else name}"


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What last good says. `problems`: files that were ignored, and why."""

    version: Version | None = None
    views: dict[str, HostView] = {}
    problems: tuple[str, ...] = ()


class _State(msgspec.Struct, frozen=True, kw_only=True):
    cluster: str
    version: Version | None = None


class LastGood:
    """The folder of one worker. Opening it locks it: two workers must not share one."""

    def __init__(self, folder: Path, cluster: str) -> None:
        self._folder = folder / "lastgood"
        self._cluster = cluster
        self._log = get_logger(service="extension")
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(f"--state-dir {folder}: {error}; give a folder that can be written") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._lock, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(self._lock)
            raise FolderInUse(
                f"--state-dir {folder} is in use by another worker (pid {holder}); "
                "end that one or give each worker a folder of its own"
            ) from error
        # For people; on a full disk it is left out.
        with contextlib.suppress(OSError):
            os.ftruncate(self._lock, 0)
            os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)

    def read(self) -> Kept:
        """Everything that can be read. A folder that was another cluster's holds nothing for us."""
        problems: list[str] = []
        views: dict[str, HostView] = {}
        state = self._state(problems)
        if state is not None and state.cluster != self._cluster:
            problems.append(f"{self._folder} holds cluster {state.cluster}, not {self._cluster}: ignored")
            for path in self._folder.glob("*.view"):
                path.unlink(missing_ok=True)
            state = None
        for path in sorted(self._folder.glob("*.view")):
            try:
                view = codec.decode("view", path.read_bytes(), HostView, where=str(path))
                views[view.host.host] = view
            except (WireError, OSError) as error:
                problems.append(f"ignored: {error}")
        for problem in problems:
            self._log.warning("last good", problem=problem)
        return Kept(version=state.version if state else None, views=views, problems=tuple(problems))

    def version(self) -> Version | None:
        """The version of the plan that was kept; None where nothing was, or for another cluster."""
        state = self._state([])
        return state.version if state and state.cluster == self._cluster else None

    def _state(self, problems: list[str]) -> _State | None:
        path = self._folder / "state"
        try:
            return codec.decode("state", path.read_bytes(), _State, where=str(path))
        except FileNotFoundError:
            return None
        except (WireError, OSError) as error:
            problems.append(f"ignored: {error}")
            return None

    def write(self, views: Mapping[str, HostView | None], version: Version | None) -> None:
        """Keep changed hosts (None: no longer served). A disk that cannot be written is said, and served from on.

        It outlives the machine's failing: files are synced before they take their names, then the folder.
        """
        state = _State(cluster=self._cluster, version=version)
        paths = {self._folder / f"{_name(host)}.view": view for host, view in views.items()}
        try:
            fresh = {path: _written(path, codec.encode("view", view)) for path, view in paths.items() if view}
            fresh[self._folder / "state"] = _written(self._folder / "state", codec.encode("state", state))
            _sync(fresh.values())
            for path, new in fresh.items():
                new.replace(path)
            for path, view in paths.items():
                if view is None:
                    path.unlink(missing_ok=True)
            _sync((self._folder,))
        except OSError as error:
            self._log.error("last good cannot be kept", folder=str(self._folder), error=str(error))

    @property
    def written_at(self) -> float:
        """Unix seconds of the last write for our cluster; 0 where there was none."""
        state = self._state([])
        if state is None or state.cluster != self._cluster:
            return 0.0
        return _modified(self._folder / "state")

    def seed(self, siblings: Iterable[Path]) -> Path | None:
        """Take over what the newest of other workers' folders holds, where that is newer than ours; whose it was.

        Its owner may write meanwhile: each file is whole, and a host of another version than its neighbour is served
        until the plan is read.
        """
        for folder in sorted(siblings, key=lambda path: _modified(path / "lastgood" / "state"), reverse=True):
            source = folder / "lastgood"
            if _modified(source / "state") <= self.written_at:
                return None
            try:
                state = codec.decode("state", (source / "state").read_bytes(), _State, where=str(source / "state"))
                if state.cluster != self._cluster:
                    continue
                found = _views_of(source)
                found["state"] = (source / "state").read_bytes()
                # Whole in memory before anything of ours goes. The state last: where the disk fails in between, ours is
                # older than what it was made from, and is made again.
                for name, data in found.items():
                    _written(self._folder / name, data).replace(self._folder / name)
                for path in self._folder.glob("*.view"):
                    if path.name not in found:
                        path.unlink()
            except (WireError, OSError) as error:
                self._log.warning("what another worker kept cannot be taken over", folder=str(folder), error=str(error))
                continue
            return folder
        return None

    def close(self) -> None:
        """Give the folder free."""
        os.close(self._lock)


def _name(host: str) -> str:
    return blake2s(host.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _views_of(folder: Path) -> dict[str, bytes]:
    """Of a folder whose owner writes: a host that it removes meanwhile is not there."""
    found = {}
    for path in folder.glob("*.view"):
        with contextlib.suppress(FileNotFoundError):
            found[path.name] = path.read_bytes()
    return found


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _written(path: Path, data: bytes) -> Path:
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_bytes(data)
    return fresh


def _sync(paths: Collection[Path]) -> None:
    if len(paths) > _MOST_SYNCED:
        # A whole plan: everything at once is quicker than one after the other.
        os.sync()
        return
    for path in paths:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
