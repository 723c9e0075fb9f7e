"""Which worker of pytest-xdist runs which file, and when. Only how long a run takes depends on it."""

from __future__ import annotations

import math

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

_INSTALLATIONS = 2
"""Workers that run feature files while others are left: each keeps an installation, a dozen programs, until it ends."""
_QUICK = ("unit", "golden", "architecture")
"""Their files take a second or so: run last, they fill the time that the others leave at the end."""

_LONG = ("test_pool_workers.py", "test_extensions_doc.py", "test_demo.py")
"""Few tests, and most of a minute: begun late, one of them would be waited for at the end."""


class FilesInOrder(LoadFileScheduling):
    """A file each, as `--dist loadfile`; among alike, the file with the most tests comes first."""

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        super().__init__(config, log)
        self._installed: set[WorkerController] = set()

    def _assign_work_unit(self, node: WorkerController) -> None:
        may = node in self._installed or len(self._installed) < _INSTALLATIONS
        chosen = min(self.workqueue, key=lambda file: (_turn(file, may), -self._size(file)))
        if _folder(chosen) == "feature":
            self._installed.add(node)
        self.workqueue.move_to_end(chosen, last=False)
        super()._assign_work_unit(node)

    def _size(self, file: str) -> float:
        return math.inf if file.endswith(_LONG) else len(self.workqueue[file])


def _turn(file: str, may_install: bool) -> int:
    if _folder(file) == "feature":
        return 0 if may_install else 3
    return 2 if _folder(file) in _QUICK else 1


def _folder(file: str) -> str:
    """`unit` of `tests/unit/wire/test_codec.py`."""
    return file.removeprefix("tests/").partition("/")[0]
