"""What a subclass of the contract says of its proxy, and the fixtures of every check."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

import pytest

from interlock_extension import registry
from interlock_extension.port import Kind, Settings
from interlock_extension.testing.backends import Backend
from interlock_extension.testing.client import Address, Connection, until
from interlock_extension.testing.listeners import free_port, listening
from interlock_extension.testing.rig import Rig
from interlock_extension.testing.terms import Feature

A, B = "a.example", "b.example"
"""Hosts of most checks: the one that changes and its neighbour."""

Make = Callable[..., Backend]


class ContractBase:
    """Attributes and methods to override. `extension` must be set; the rest where the proxy is not like most.

    `in_place`: what the control is to say that it can change in place. `lacks`: features that the proxy does not have.
    `options`: for `Settings`. `broken`: the content of a host's file that the proxy refuses.
    """

    extension: ClassVar[str] = ""
    in_place: ClassVar[frozenset[Kind]] = frozenset()
    lacks: ClassVar[frozenset[Feature]] = frozenset()
    options: ClassVar[dict[str, object]] = {}
    broken: ClassVar[bytes] = b"this is no file of any proxy {\n"

    def settings(self, folder: Path, port: int) -> Settings:
        """What the extension is told. `folder` is its own and not there yet; beside it there is room for more."""
        listen = (f"127.0.0.1:{port}",)
        return Settings(folder=folder, listen=listen, proxy_id="contract", options=self.options)

    def where(self, port: int) -> Address:
        """Where the proxy takes requests that was told to listen on this port."""
        return "127.0.0.1", port

    def kill(self, rig: Rig) -> None:
        """kill -9 of the whole proxy; by default of every process that listens where it does."""

        def gone() -> bool:
            pids = listening(rig.where[1])
            assert os.getpid() not in pids, "the proxy is a part of this process: override `kill`"
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return not pids

        until(gone, "the proxy is dead")

    def meddle(self, rig: Rig) -> bool:  # noqa: ARG002  # for who overrides it
        """Make the running proxy run something else behind the control's back; False where that cannot be done."""
        return False

    @pytest.fixture
    def rig(self, tmp_path: Path) -> Iterator[Rig]:
        """The proxy, not started yet; it is stopped in the end, and must be."""
        port = free_port()
        made = Rig(registry.load(self.extension), self.settings(tmp_path / self.extension, port), self.where(port))
        yield made
        made.control.stop(2.0)
        left = listening(made.where[1])
        if left:
            # Nothing of a failed test stays behind.
            self.kill(made)
        assert left == [], "the proxy was stopped and still listens"

    @pytest.fixture
    def backend(self) -> Iterator[Make]:
        """Makes backends: `backend("one")`."""
        made: list[Backend] = []

        def make(name: str, address: str = "127.0.0.1") -> Backend:
            made.append(Backend(name, address))
            return made[-1]

        yield make
        for one in made:
            one.close()

    @pytest.fixture
    def connect(self, rig: Rig) -> Iterator[Callable[[], Connection]]:
        """Opens connections to the proxy that are kept."""
        made: list[Connection] = []

        def open_one() -> Connection:
            made.append(Connection(rig.where))
            return made[-1]

        yield open_one
        for link in made:
            link.close()

    def cheapest(self, kind: Kind) -> str:
        """The result of a change of this kind, by what the class says that can be done in place."""
        return "updated" if kind in self.in_place else "reloaded"
