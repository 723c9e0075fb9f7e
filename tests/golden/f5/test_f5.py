"""The plans of nginx's golden cases, as tenants of an F5. `REWRITE_GOLDEN=1 pytest tests/golden/f5` writes them anew.

So what one plan becomes on either proxy can be read side by side. A host that F5 refuses is listed with the reason.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from interlock.errors import ConfigRejected
from interlock.model.routing import Plan
from interlock.model.version import Token
from interlock_extension.desired import Desired
from interlock_f5.declaration import compose, declare, read
from interlock_f5.options import F5Options
from interlock_f5.render import F5Renderer
from support import as3_schema

HERE = Path(__file__).parent
NGINX = HERE.parent / "nginx"
CASES = sorted(path.name for path in NGINX.iterdir() if (path / "plan.yaml").exists())
OPTIONS = F5Options(url="https://192.0.2.1", virtual_addresses=("192.0.2.10",), token_file="/token")
TENANT = "golden"


def rendered(case: str) -> tuple[dict[str, bytes], dict[str, str]]:
    """The fragments, and who is refused and why."""
    given = yaml.safe_load((NGINX / case / "plan.yaml").read_text())
    given.pop("options", None)
    plan = msgspec.convert(given, Plan)
    renderer = F5Renderer(OPTIONS, TENANT)
    desired = Desired()
    for key in desired.replace(plan.hosts, plan.upstreams).fresh:
        desired.accept(key)
    files, refused = renderer.shared(0, 0, default=False), {}
    for host in plan.hosts:
        view = desired.view(host)
        if view is None:
            continue
        try:
            files[renderer.file_of(host)] = renderer.host(view)
        except ConfigRejected as error:
            refused[host] = str(error)
            files[renderer.file_of(host)] = renderer.unserved(host)
    return files, refused


def tenant_of(case: str) -> dict[str, Any]:
    return compose(rendered(case)[0], Token(epoch=7, nonce="seven"), "g 1 n")


@pytest.mark.parametrize("case", CASES)
def test_rendering(case: str) -> None:
    text = json.dumps({"refused": rendered(case)[1], "tenant": tenant_of(case)}, indent=1, sort_keys=True) + "\n"
    path = HERE / f"{case}.json"
    if os.environ.get("REWRITE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text(), f"{case}; REWRITE_GOLDEN=1 takes the new one"


@pytest.mark.parametrize("case", CASES)
def test_a_device_takes_it_and_tells_the_same_fragments(case: str) -> None:
    tenant = tenant_of(case)
    assert as3_schema.errors(declare(TENANT, tenant, lock="k" * 44)) == []
    found = read(json.loads(json.dumps(tenant)))
    assert found.files == rendered(case)[0]
    assert (found.epoch, found.nonce) == (7, "seven")
