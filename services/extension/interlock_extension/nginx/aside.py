"""Having nginx read files aside, in a folder of their own, so that what runs is not touched. Shell."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from interlock.errors import ProxyUnavailable
from interlock.model.routing import DEFAULT_HOST
from interlock_extension.nginx.complaints import Complaints
from interlock_extension.nginx.refusal import Refusal
from interlock_extension.nginx.render import NginxRenderer


class Aside:
    """One folder for one nginx; what is read there is overwritten the next time."""

    def __init__(self, folder: Path, complaints: Complaints, renderer: NginxRenderer) -> None:
        self._folder = folder
        self._complaints = complaints
        self._renderer = renderer

    def check(self, hosts: Mapping[str, bytes]) -> None:
        """See `Control.check`. The culprit of a `ConfigRejected` is a file name."""
        refusal = self.refused(hosts)
        if refusal is not None:
            self._complaints.reject(refusal, self._folder)

    def refused(self, hosts: Mapping[str, bytes], renderer: NginxRenderer | None = None) -> Refusal | None:
        """What nginx says against these hosts' files alone; `renderer`: who writes the others, if not ours.

        Raises `ProxyUnavailable` where it cannot be asked.
        """
        renderer = renderer or self._renderer
        shared = renderer.scratch(len(hosts), max(map(len, hosts), default=0), default=DEFAULT_HOST in hosts)
        files = {renderer.file_of(host): data for host, data in hosts.items()}
        self._lay_out({**shared, **renderer.generation(str(self._folder), "check"), **files})
        return self._complaints.test(self._folder)

    def _lay_out(self, files: Mapping[str, bytes]) -> None:
        try:
            # What would stay there would be read too.
            if self._folder.exists():
                shutil.rmtree(self._folder)
            for name in ("hosts", "tmp"):
                (self._folder / name).mkdir(parents=True, exist_ok=True)
            for name, data in files.items():
                (self._folder / name).write_bytes(data)
        except OSError as error:
            raise ProxyUnavailable(f"nothing can be read aside in {self._folder}: {error}") from error
