"""HAProxy keeps the contract of extensions, and changes endpoints and routes while it runs: of both ages."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest

from interlock_extension.haproxy import family
from interlock_extension.port import Kind, Settings
from interlock_extension.testing import ExtensionContract, Rig
from support.haproxy_lab import each_haproxy


@each_haproxy
class TestHaproxy(ExtensionContract):
    extension = "haproxy"
    in_place: ClassVar[frozenset[Kind]] = frozenset({"endpoints", "routes"})
    binary = ""

    @pytest.fixture(autouse=True)
    def _each(self, haproxy_binary: str) -> None:
        self.binary = haproxy_binary

    def settings(self, folder: Path, port: int) -> Settings:
        options = {"AccessLogPath": "off", "WorkerProcesses": 2}
        return msgspec.structs.replace(super().settings(folder, port), binary=self.binary, options=options)

    def meddle(self, rig: Rig) -> bool:
        """As one does who reloads it by hand."""
        master = family.master_of(rig.settings.folder.resolve())
        assert master
        return master.send_signal(signal.SIGUSR2)
