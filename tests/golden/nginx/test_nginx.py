"""Plans to nginx's files, byte for byte. `REWRITE_GOLDEN=1 pytest tests/golden/nginx` writes what is rendered now.

Each case is a folder with `plan.yaml` (a Plan, all of whose endpoints are taken as accepted) and the files.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import msgspec
import pytest
import yaml

from interlock.model.routing import DEFAULT_HOST, Plan
from interlock.runtime.parts import find_nginx
from interlock_extension.desired import Desired
from interlock_extension.nginx.config import read_config
from interlock_extension.nginx.render import Facts, NginxRenderer

HERE = Path(__file__).parent
CASES = sorted(path.name for path in HERE.iterdir() if (path / "plan.yaml").exists())


def rendered(case: str) -> dict[str, bytes]:
    given = yaml.safe_load((HERE / case / "plan.yaml").read_text())
    options = given.pop("options", {})
    plan = msgspec.convert(given, Plan)
    facts = Facts(
        listen=("8080",), proxy_id="proxy-1", server_info="interlock/0.1.0 (0123abcd) linux/amd64", stub_status=True
    )
    renderer = NginxRenderer(read_config(options), facts)
    desired = Desired()
    for key in desired.replace(plan.hosts, plan.upstreams).fresh:
        desired.accept(key)
    views = [view for host in plan.hosts if (view := desired.view(host))]
    hosts = [view.host.host for view in views]
    files = renderer.shared(len(hosts), max(map(len, hosts), default=0), default=DEFAULT_HOST in hosts)
    return {**files, **{renderer.file_of(view.host.host): renderer.host(view) for view in views}}


@pytest.mark.parametrize("case", CASES)
def test_rendering(case: str) -> None:
    files = {name.replace("/", "__"): data for name, data in rendered(case).items()}
    if os.environ.get("REWRITE_GOLDEN"):
        for path in (HERE / case).glob("*.conf"):
            path.unlink()
        for name, data in files.items():
            (HERE / case / name).write_bytes(data)
    expected = {path.name: path.read_bytes() for path in (HERE / case).glob("*.conf")}
    assert sorted(files) == sorted(expected)
    for name, data in files.items():
        assert data.decode() == expected[name].decode(), f"{case}/{name}; REWRITE_GOLDEN=1 takes the new one"


@pytest.mark.parametrize("case", CASES)
def test_nginx_takes_it(case: str, tmp_path: Path) -> None:
    part = find_nginx()
    files = rendered(case)
    files |= {"generation.conf": b'map "" $il_version { default "x"; }', "workplace.conf": b""}
    (tmp_path / "tmp").mkdir()
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        if "http_stub_status_module" not in part.detail:
            data = data.replace(b"stub_status;", b"")
        # The place of the logs is the container's; here they go nowhere.
        (tmp_path / name).write_bytes(data.replace(b'access_log "/dev/stdout" main', b"access_log off"))
    done = subprocess.run(
        [str(part.path), "-t", "-p", str(tmp_path), "-c", "nginx.conf"], capture_output=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr.decode()
    assert b"[warn]" not in done.stderr, done.stderr.decode()
