"""Plans as they are written down: `plan/<case>/services.yaml` gives `plan/<case>/plan.yaml`, both for people to read.

`REWRITE_GOLDEN=1` writes what the code makes now; read the difference before committing it.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
import yaml

from interlock.model.swarm import Service
from interlock_planner.plan import ClusterPlan, scratch

CASES = sorted(path for path in (Path(__file__).parent / "plan").iterdir() if path.is_dir())


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_plan(case: Path) -> None:
    services = msgspec.convert(yaml.safe_load((case / "services.yaml").read_text()), list[Service])
    plan = scratch(services)
    text = yaml.safe_dump(msgspec.to_builtins(plan), sort_keys=True, width=120, allow_unicode=True)
    golden = case / "plan.yaml"
    if os.environ.get("REWRITE_GOLDEN") == "1":
        golden.write_text(text)
    assert text == golden.read_text()
    incremental = ClusterPlan()
    for service in reversed(services):
        incremental.apply({service.id: service})
    assert incremental.plan == plan
