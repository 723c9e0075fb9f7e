"""Plans to HAProxy's files, byte for byte, beside nginx's: the cases are those of `tests/golden/nginx`.

`REWRITE_GOLDEN=1 pytest tests/golden/haproxy` writes what is rendered now. Each case is a folder with the files; what a
plan asks of nginx alone (its options) is left out. The main file is the same in every case, so it is compared once.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
import yaml

from interlock.config.haproxy import HAPROXY
from interlock.model.routing import Plan
from interlock_extension.desired import Desired
from interlock_extension.haproxy.config import read_config
from interlock_extension.haproxy.render import BACKENDS, MAIN, PAGE, Facts, HaproxyRenderer, compose
from support.haproxy_lab import INFO, checked, each_haproxy, files_for, write

HERE = Path(__file__).parent
PLANS = HERE.parent / "nginx"
CASES = sorted(path.name for path in PLANS.iterdir() if (path / "plan.yaml").exists())
WHOLE = "empty"
"""The case that holds the main file."""


def rendered(case: str) -> dict[str, bytes]:
    given = yaml.safe_load((PLANS / case / "plan.yaml").read_text())
    told = {name: value for name, value in given.pop("options", {}).items() if HAPROXY.key(name)}
    plan = msgspec.convert(given, Plan)
    renderer = HaproxyRenderer(read_config(told), Facts(listen=("8080",), proxy_id="proxy-1", server_info=INFO))
    desired = Desired()
    for key in desired.replace(plan.hosts, plan.upstreams).fresh:
        desired.accept(key)
    return files_for(renderer, *(view for host in plan.hosts if (view := desired.view(host))))


@pytest.mark.parametrize("case", CASES)
def test_rendering(case: str) -> None:
    found = rendered(case)
    if case != WHOLE:
        found = {name: data for name, data in found.items() if name not in (MAIN, PAGE)}
    found |= {name: data for name, data in compose(found, "1 note").files.items() if data and name != BACKENDS}
    files = {name.replace("/", "__"): data for name, data in found.items()}
    folder = HERE / case
    if os.environ.get("REWRITE_GOLDEN"):
        folder.mkdir(exist_ok=True)
        for path in folder.iterdir():
            path.unlink()
        for name, data in files.items():
            (folder / name).write_bytes(data)
    expected = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert sorted(files) == sorted(expected)
    for name, data in files.items():
        assert data.decode() == expected[name].decode(), f"{case}/{name}; REWRITE_GOLDEN=1 takes the new one"


@pytest.mark.parametrize("case", CASES)
@each_haproxy
def test_haproxy_takes_it(case: str, haproxy_binary: str, tmp_path: Path) -> None:
    write(tmp_path, rendered(case))
    checked(tmp_path, haproxy_binary)
