"""What lint writes in each format: `lint/<case>/*.yml` as one stack, `services.yaml` on the bus where that is there.

`REWRITE_GOLDEN=1` writes what the code makes now; read the difference before committing it.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
import yaml

import interlock
from interlock.model.swarm import Service
from interlock_lint.checking import check, compare
from interlock_lint.dry_run import ClusterState
from interlock_lint.formats import FORMATS
from interlock_lint.report import Report
from interlock_planner.plan import scratch

CASES = sorted(path for path in (Path(__file__).parent / "lint").iterdir() if path.is_dir())


def report_of(case: Path) -> Report:
    """The report of a case."""
    checked = check([(path.name, path.read_bytes()) for path in sorted(case.glob("*.yml"))], {}, stack="st")
    present = case / "services.yaml"
    if not present.exists():
        return checked.report
    services = msgspec.convert(yaml.safe_load(present.read_text()), list[Service])
    state = ClusterState(
        services={s.id: s for s in services}, plan=scratch(services), doubts=("no proxy of it reports",)
    )
    return compare(checked, {"": state}, bus="redis://bus:6379/0", region="default", stack="st")


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_report(case: Path, form: str) -> None:
    text = FORMATS[form](report_of(case)).replace(f'"{interlock.__version__}"', '"VERSION"')
    golden = case / f"report.{form}"
    if os.environ.get("REWRITE_GOLDEN") == "1":
        golden.write_text(text)
    assert text == golden.read_text()
