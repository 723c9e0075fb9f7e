"""A complete config.toml of MKE starts the product: watcher, planner and worker read it, and nginx runs by it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from interlock.config.document import SECTIONS
from interlock.config.haproxy import HAPROXY
from interlock.review.cli import main
from support.pipeline import Pipeline

FILE = Path(__file__).parents[1] / "data" / "mke-config.toml"
TLS = {"SSLDefaultDHParam", "SSLDefaultDHParamPath", "SSLCiphers", "SSLProtocols"}
UNRELEASED = {"GRPCAddr", "EnableMetrics", "Plugins"}


def _keys(table: dict[str, object]) -> Iterator[str]:
    """Names of keys; those of labels and of extensions are the user's."""
    for name, value in table.items():
        yield name
        if name in {"Extensions", "default", "Config"} and isinstance(value, dict):
            yield from _keys(value)


def test_the_file_has_every_key() -> None:
    sections = [section for section in SECTIONS if section is not HAPROXY]
    known = {key.name.lower() for section in sections for key in section.keys if not key.ours}
    in_file = {name.lower() for name in _keys(tomllib.loads(FILE.read_text()))} - {"default"}
    assert in_file == known - {name.lower() for name in UNRELEASED}


def test_config_check_tells_what_takes_effect(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["check", "--json", str(FILE)])
    assert result.exit_code == 0
    keys = msgspec.json.decode(result.stdout)["keys"]
    nginx = {k["key"].rpartition(".")[2]: k["effect"] for k in keys if ".Config." in k["key"]}
    assert {name for name, effect in nginx.items() if effect == "later"} == TLS
    assert {name for name, effect in nginx.items() if effect == "none"} == {
        "Version", "AdminUser", "AdminPass", "SSLOpts", "SSLVerify",
    }  # fmt: skip
    rest = {k["key"].rpartition(".")[2]: k["effect"] for k in keys if ".Config." not in k["key"]}
    assert {name for name, effect in rest.items() if effect == "now"} == {
        "DockerURL", "AllowInsecure", "TLSCACert", "TLSCert", "TLSKey", "PollInterval", "ServiceCluster", "TargetPort",
        "ProxyStopGracePeriod", "Template",
    }  # fmt: skip


@pytest.fixture
def mke(tmp_path: Path) -> Iterator[Pipeline]:
    text = FILE.read_text()
    for path in ("/var/run/proxy.pid", "/dev/stdout"):
        assert path in text
    text = text.replace("/var/run/proxy.pid", str(tmp_path / "proxy.pid"))
    text = text.replace('ErrorLogPath = "/dev/stdout"', f'ErrorLogPath = "{tmp_path / "error.log"}"')
    file = tmp_path / "config.toml"
    file.write_text(text)
    more = ("--config", str(file))
    log = ("--access-log", str(tmp_path / "access.log"))
    with Pipeline(tmp_path, watcher=more, planner=more, extension=(*more, *log)) as pipeline:
        yield pipeline


def test_it_starts_the_product(mke: Pipeline, tmp_path: Path) -> None:
    mke.service("shop", replicas=2)
    answer = mke.wait_routed("shop.test")
    assert answer.headers["x-mke"] == "yes"
    assert answer.headers["server"] == "nginx"
    assert int((tmp_path / "proxy.pid").read_text()) == mke.processes["nginx"]
    line = (tmp_path / "access.log").read_text().splitlines()[-1]
    assert re.fullmatch(r'127\.0\.0\.1 - - \[.*\] "GET / HTTP/1\.1" 200 \d+ "-" "-" "-"', line)
    mke.sim.scale("shop", 4)
    mke.wait_effective("shop")
    for name in ("watcher", "planner", "extension"):
        log = mke.log(name)
        assert "unknown key" not in log


@pytest.mark.parametrize("service", ["watcher", "planner", "extension"])
def test_no_service_starts_with_a_bad_file(tmp_path: Path, service: str) -> None:
    """At once, with status 2, whoever the key is for."""
    from importlib import import_module

    file = tmp_path / "config.toml"
    file.write_text(FILE.read_text().replace('PublishMode = "ingress"', 'PublishMode = "mesh"'))
    command = import_module(f"interlock_{service}.cli").main
    result = CliRunner().invoke(command, ["--bus", "unix:///nowhere", "--config", str(file)])
    assert result.exit_code == 2
    assert (
        f"{file}:34: Extensions.default.PublishMode = 'mesh': it is none of those that are known; write "
        in result.output
    )
