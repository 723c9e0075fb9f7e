"""Plans as they are written down: `plan/<case>/services.yaml` gives `plan/<case>/plan.yaml`, both for people to read.

With a `held.yaml`, proxies refuse every host: it names them and their reason, and has the labels of before, which they
had accepted. `REWRITE_GOLDEN=1` writes what the code makes now; read the difference before committing it.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
import yaml

from interlock.model.held import Held
from interlock.model.swarm import Service
from interlock.wire.fields import policy_digest
from interlock_planner.plan import ClusterPlan, scratch

CASES = sorted(path for path in (Path(__file__).parent / "plan").iterdir() if path.is_dir())


def records(case: Path, services: list[Service]) -> dict[str, Held]:
    """By host, what is held of it; empty without a `held.yaml`."""
    written = case / "held.yaml"
    if not written.exists():
        return {}
    held = yaml.safe_load(written.read_text())
    before = held["accepted"]
    accepted = scratch(msgspec.structs.replace(s, labels=before[s.id]) for s in services if s.id in before).hosts
    return {
        host: Held(
            policy=accepted.get(host),
            refused=policy_digest(wanted),
            reason=held["reason"],
            proxies=tuple(held["proxies"]),
        )
        for host, wanted in scratch(services).hosts.items()
    }


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_plan(case: Path) -> None:
    services = msgspec.convert(yaml.safe_load((case / "services.yaml").read_text()), list[Service])
    held = records(case, services)
    plan = scratch(services, held)
    text = yaml.safe_dump(msgspec.to_builtins(plan), sort_keys=True, width=120, allow_unicode=True)
    golden = case / "plan.yaml"
    if os.environ.get("REWRITE_GOLDEN") == "1":
        golden.write_text(text)
    assert text == golden.read_text()
    incremental = ClusterPlan()
    for service in reversed(services):
        incremental.apply({service.id: service})
    if held:
        incremental.follow(scratch(services).hosts, held)
    assert incremental.plan == plan
