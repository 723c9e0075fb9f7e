"""nginx keeps the contract of extensions: the newest, and one that is older than 1.27.4."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest

from interlock.runtime.process import Identity
from interlock_extension.port import Settings
from interlock_extension.testing import ExtensionContract, Feature, Rig
from support.nginx_lab import OLD_NGINX


class TestNginx(ExtensionContract):
    extension = "nginx"
    binary = ""

    def settings(self, folder: Path, port: int) -> Settings:
        options = {"AccessLogPath": "off", "ErrorLogPath": str(folder.parent / "error.log"), "WorkerProcesses": 2}
        return msgspec.structs.replace(super().settings(folder, port), binary=self.binary, options=options)

    def meddle(self, rig: Rig) -> bool:
        """As one does who puts an older backup into its folder and reloads it."""
        folder = rig.settings.folder
        (folder / "generation.conf").write_text('map "" $il_version { default "theirs"; }\n')
        master = Identity.of(int((folder / "nginx.pid").read_text()))
        assert master
        return master.send_signal(signal.SIGHUP)


@pytest.mark.old_nginx
class TestOldNginx(TestNginx):
    binary = OLD_NGINX
    lacks: ClassVar[frozenset[Feature]] = frozenset({"idle_connections"})
