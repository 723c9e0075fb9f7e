"""What lint makes of a stack file is what `docker stack deploy` makes of it: `docker stack config` shows that."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from interlock.model.swarm import PublishedPort
from interlock_lint.schema import DEPLOY, SERVICE, TOP
from support.stacks import GOOD, LB, checked, dumped, stack_text

pytestmark = pytest.mark.docker_cli

ENVIRONMENT = {"HOST": "a.example", "EMPTY": "", "PORT": "80"}
HEAD = 'version: "3.8"\nservices:\n  shop:\n    image: x\n    networks: [web]\n    deploy:\n      labels:\n'
BARE = "services: {shop: {image: x}}\n"
TAIL = "\nnetworks: {web: {}}\n"


def labels(*lines: str) -> str:
    """A stack with these lines below `deploy.labels`."""
    return HEAD + "\n".join(f"        {line}" for line in lines) + TAIL


def as_docker_reads(tmp_path: Path, texts: tuple[str, ...]) -> dict[str, Any] | str:
    """What Docker makes of the files, or what it says where it refuses them."""
    arguments: list[str] = []
    for name, text in zip("abc", texts, strict=False):
        (tmp_path / f"{name}.yml").write_text(text)
        arguments += ["--compose-file", str(tmp_path / f"{name}.yml")]
    done = subprocess.run(
        ["docker", "stack", "config", *arguments],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **ENVIRONMENT},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        return done.stderr
    read: dict[str, Any] = yaml.safe_load(done.stdout)
    return read


VALUES = (Path(__file__).parent / "values.txt").read_text().splitlines()
"""Texts as they may stand behind a label and its colon."""


def test_the_texts_of_labels(tmp_path: Path) -> None:
    text = labels(*(f"{LB}label{n}: {value}" for n, value in enumerate(VALUES)))
    docker = as_docker_reads(tmp_path, (text,))
    assert isinstance(docker, dict), docker
    theirs = docker["services"]["shop"]["deploy"]["labels"]
    ours = checked(text, **ENVIRONMENT).services["shop"].labels
    both = {value: (ours[f"{LB}label{n}"], str(theirs[f"{LB}label{n}"] or "")) for n, value in enumerate(VALUES)}
    assert {value: pair for value, pair in both.items() if pair[0] != pair[1]} == {}


@pytest.mark.parametrize(
    "text",
    [
        labels(f"{LB}hosts: true"),
        labels(f"{LB}hosts: .nan"),
        labels(f"{LB}hosts: -.inf"),
        labels(f"{LB}hosts: [a]"),
        labels(f"- {LB}hosts: a"),
        labels(f'{LB}hosts: "a$"'),
        labels(f'{LB}hosts: "${{HOST:+x}}"'),
        labels(f'{LB}hosts: "${{NONE:?must}}"'),
        labels(f'{LB}hosts: "${{EMPTY:?must}}"'),
        labels(f"{LB}port: 80", f"{LB}port: 81"),
        labels(f"- {LB}port=80", f"- {LB}port=80"),
        HEAD.replace("[web]", "words") + f'        {LB}port: "80"' + TAIL,
        'version: "3.8"\nservices:\n  shop: words\n',
        'version: "3.8"\nservices: [shop]\n',
        'version: "3.8"\nservices: {shop: {image: x, deploy: words}}\n',
        'version: "3.8"\nservices: {shop: {image: x, deploy: {replicas: many}}}\n',
        'version: "3.8"\nnetworks: [web]\n',
        f"services: {{shop: {{image: x, deploy: {{label: {{{LB}port: 80}}}}}}}}\n",
        f"services: {{shop: {{image: x, depoly: {{labels: {{{LB}port: 80}}}}}}}}\n",
        "services: {shop: {image: x, deploy: {x-own: 1}}}\n",
        "services: {shop: {image: x, platform: linux}}\n",
        "services: {shop: {image: x, extends: {service: y}}}\n",
        "services: {shop: {image: x}}\nname: shop\n",
        *(f"version: {version}\n{BARE}" for version in ('"2"', "2", "3.8", '"3.14"', '"4"', "", "true", '"3.01"')),
        "- a\n",
        "services: [\n",
        "",
    ],
)
def test_what_docker_refuses_is_an_error(tmp_path: Path, text: str) -> None:
    assert isinstance(as_docker_reads(tmp_path, (text,)), str)
    report = checked(text, **ENVIRONMENT).report
    assert report.unread or {f.code for f in report.findings} & {
        "stack-invalid",
        "label-type",
        "key-repeated",
        "variable-invalid",
        "variable-required",
    }


def test_every_key_that_lint_knows_is_one_of_dockers(tmp_path: Path) -> None:
    """Without a version, which has Docker take the newest schema that it has."""
    places = [(key, f"services: {{shop: {{image: x, {key}: {{q: [1]}}}}}}") for key in SERVICE]
    places += [(key, f"services: {{shop: {{image: x, deploy: {{{key}: {{q: [1]}}}}}}}}") for key in DEPLOY]
    places += [(key, f"{key}: 1") for key in TOP]
    said = {key: str(as_docker_reads(tmp_path, (text,))) for key, text in places}
    assert [key for key, why in said.items() if f"property {key} is not" in why or "forbidden" in why] == []


@pytest.mark.parametrize("version", ["", "3", "3.0", "3.8", "3.13"])
def test_every_version_that_lint_takes_is_one_of_dockers(tmp_path: Path, version: str) -> None:
    text = f'version: "{version}"\n{BARE}'
    assert isinstance(as_docker_reads(tmp_path, (text,)), dict)
    assert checked(text).report.findings == ()


ANCHORS = """\
version: "3.8"
x-l: &l {com.docker.lb.port: 80, com.docker.lb.hosts: a}
services:
  shop: &s {image: x, networks: [web], deploy: {labels: {<<: *l, com.docker.lb.hosts: b}}}
  blog: {<<: *s, image: y}
networks: {web: }
"""
SHOP: dict[str, Any] = {"labels": {LB + "hosts": "b.example", LB + "context_root": "/x"}, "replicas": 0}
STACKS = [
    (stack_text(),),
    (stack_text(on=["web", "back"], networks={"web": {"name": "front"}, "back": {"external": {"name": "old"}}}),),
    (stack_text(networks={"web": {"external": True}}, deploy={"mode": "global", "endpoint_mode": "dnsrr"}),),
    (stack_text(networks={"web": {"external": True, "name": "n-${HOST}"}}),),
    (stack_text(ports=["80:80", {"target": 80, "published": 8080, "mode": "host"}]),),
    (stack_text({**GOOD, "ip_hash": "true"}), dumped({"services": {"shop": {"deploy": SHOP}}})),
    (
        stack_text(deploy={"replicas": 2, "endpoint_mode": "vip"}),
        dumped({"services": {"shop": {"deploy": {"endpoint_mode": "dnsrr"}}, "blog": {"image": "x"}}}),
        dumped({"services": {"shop": {"networks": ["back"]}}, "networks": {"back": {}, "web": {"external": True}}}),
    ),
    (stack_text(), dumped({"services": {"shop": {"deploy": {"labels": [f"{LB}port=81", f"{LB}network"]}}}})),
    (stack_text(), dumped({"services": {"shop": {"deploy": {"labels": {LB + "port": ""}}}}})),
    (stack_text(deploy={"replicas": 3}), dumped({"services": {"shop": {"deploy": {"labels": {}}}}})),
    (ANCHORS,),
]


@pytest.mark.parametrize("texts", STACKS, ids=range(len(STACKS)))
def test_services_and_networks(tmp_path: Path, texts: tuple[str, ...]) -> None:
    docker = as_docker_reads(tmp_path, texts)
    assert isinstance(docker, dict), docker
    found = checked(*texts, stack="st", **ENVIRONMENT)
    assert found.services.keys() == docker["services"].keys()
    for key, theirs in docker["services"].items():
        ours = found.services[key]
        deploy = theirs.get("deploy", {})
        labels = {name: text or "" for name, text in deploy.get("labels", {}).items()}
        assert {**labels, "com.docker.stack.namespace": "st"} == ours.labels
        names = {_name(name, docker["networks"].get(name)) for name in theirs.get("networks", {"default": None})}
        assert {network.name for network in ours.networks} == names
        assert ours.replicas == (None if deploy.get("mode") == "global" else deploy.get("replicas", 1))
        assert {network.vip is None for network in ours.networks} == {deploy.get("endpoint_mode") == "dnsrr"}
        ports = [p for p in theirs.get("ports", ()) if p["mode"] == "host"]
        assert [PublishedPort(target=p["target"], published=p["published"]) for p in ports] == [
            port for task in ours.tasks for port in task.ports
        ]


def _name(key: str, network: dict[str, Any] | None) -> str:
    return (network or {}).get("name") or f"st_{key}"
