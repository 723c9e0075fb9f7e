"""What labels mean and what is said of mistakes, as written down: `labels/services.yaml` gives `labels/readings.yaml`.

`REWRITE_GOLDEN=1` writes what the code makes now; read the difference as the owner of such a service would.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import yaml

from interlock.labels.label import PREFIX
from interlock.labels.reading import Reading, read
from interlock.labels.routing import Routing

HERE = Path(__file__).parent / "labels"


def _shown(reading: Reading) -> dict[str, object]:
    problems = [f"{p.severity} {p.code}: {p.key}={p.value} {p.reason}. {p.remedy}." for p in reading.problems]
    shown: dict[str, object] = {"problems": problems} if problems else {}
    if reading.routing is None:
        return shown
    default = msgspec.to_builtins(Routing(hosts=(), port=0))
    routing = msgspec.to_builtins(reading.routing)
    return {"asks for": {name: value for name, value in routing.items() if value != default[name]}, **shown}


def test_readings() -> None:
    services = yaml.safe_load((HERE / "services.yaml").read_text())
    found = [
        {"labels": labels, **_shown(read("shop", "s1", {PREFIX + name: value for name, value in labels.items()}))}
        for labels in services
    ]
    text = yaml.safe_dump(found, sort_keys=False, default_flow_style=None, width=120, allow_unicode=True)
    golden = HERE / "readings.yaml"
    if os.environ.get("REWRITE_GOLDEN") == "1":
        golden.write_text(text)
    assert text == golden.read_text()
