"""Docker's URL and the files of its TLS: what cannot be used, and where it was said."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock.errors import ConfigError
from interlock_watcher.endpoint import Tls, check

PEM = Path(__file__).parents[2] / "data/tls"
CERT, KEY = str(PEM / "a-cert.pem"), str(PEM / "a-key.pem")
PLACES = {
    "DockerURL": "c.toml:1: DockerURL", "TLSCACert": "c.toml:2: TLSCACert",
    "TLSCert": "environment: INTERLOCK_TLS_CERT", "TLSKey": "--tls-key",
}  # fmt: skip


def refusal(url: str = "tcp://docker:2376", tls: Tls | None = None, places: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as refused:
        check(url, tls, PLACES if places is None else places)
    return str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "unix:///var/run/docker.sock", "UNIX:///x", "unix://x/y", "tcp://docker:2375", "TCP://docker:1", "tcp://:2375",
        "http://[::1]:2375", "https://docker.example:2376/behind", "tcp://user@docker:1",
    ],
)  # fmt: skip
def test_what_docker_can_be_reached_by(url: str) -> None:
    check(url, None, {})


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "it is empty"),
        ("ssh://docker", "a URL of the scheme unix or tcp or http or https belongs here"),
        ("/var/run/docker.sock", "a URL of the scheme unix"),
        ("unix://", "the path of the socket is missing"),
        ("unix:///", "the path of the socket is missing"),
        ("tcp://", "the port is missing"),
        ("tcp://docker", "the port is missing"),
        ("tcp://docker:0", "the port is missing"),
        ("tcp://docker:http", "the port is no number of 1 to 65535"),
        ("tcp://docker:99999", "the port is no number"),
        ("tcp://[::1", "it is no URL"),
        ("tcp://dock er:1", "it holds blanks"),
        ("tcp://docker:1?x=1", "what follows ? or # is not for Docker"),
    ],
)
def test_what_docker_cannot_be_reached_by(url: str, why: str) -> None:
    said = refusal(url)
    assert said.startswith(f"c.toml:1: DockerURL = {url!r}: {why}")
    assert said.endswith("; give unix:///path, tcp://host:port or https://host:port")
    assert refusal(url, places={}).startswith(f"--docker = {url!r}: ")


@pytest.mark.parametrize("password", ["hunter2", "hunter2/x", "x@hunter2", "hun ter2", "hunter2?", "hunter2#"])
def test_a_password_is_not_told(password: str) -> None:
    said = refusal(f"tcp://me:{password}@docker:1")
    assert said.startswith("c.toml:1: DockerURL = 'tcp://…@docker:1': ")
    assert "ter2" not in said
    assert "Docker takes no password in it" in refusal("tcp://me:hunter2@docker:1")


def test_files_that_fit() -> None:
    check("tcp://docker:1", Tls(ca=CERT, cert=CERT, key=KEY), PLACES)
    check("tcp://docker:1", Tls(verify=False), PLACES)


@pytest.mark.parametrize(
    ("tls", "said"),
    [
        (Tls(ca="/none.pem"), "c.toml:2: TLSCACert = '/none.pem': No such file or directory; give the path of"),
        (Tls(ca="/none.pem", verify=False), "c.toml:2: TLSCACert = '/none.pem': No such file"),
        (Tls(ca=str(PEM)), f"c.toml:2: TLSCACert = {str(PEM)!r}: Is a directory; give"),
        (Tls(ca=KEY), f"c.toml:2: TLSCACert = {KEY!r}: it holds no certificate; give a PEM file that begins with"),
        (Tls(cert=CERT), f"environment: INTERLOCK_TLS_CERT = {CERT!r}: a client certificate needs both; give TLSKey"),
        (Tls(key=KEY), f"--tls-key = {KEY!r}: a client certificate needs both; give TLSCert (--tls-cert) as well"),
        (Tls(cert=KEY, key=KEY), f"environment: INTERLOCK_TLS_CERT = {KEY!r}: it holds no certificate"),
        (Tls(cert=CERT, key="/none"), "--tls-key = '/none': No such file or directory"),
        (Tls(cert=CERT, key=CERT), f"--tls-key = {CERT!r}: it holds no private key; give a PEM file of one"),
        (
            Tls(cert=CERT, key=str(PEM / "b-key.pem")),
            f"--tls-key = {str(PEM / 'b-key.pem')!r}: it is not the key of {CERT}; give the one that is",
        ),
        (
            Tls(cert=CERT, key=str(PEM / "a-encrypted-key.pem")),
            f"--tls-key = {str(PEM / 'a-encrypted-key.pem')!r}: it is encrypted, and nobody could give its password",
        ),
    ],
)  # fmt: skip
def test_files_that_cannot_be_used(tls: Tls, said: str) -> None:
    assert refusal(tls=tls).startswith(said)
