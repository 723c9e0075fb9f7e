"""Stack files of HRM and Interlock v1, imported and deployed: the requests that they were written for are answered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from interlock.cli import main
from support.pipeline import NETWORK, Pipeline

CASE_40 = """
services:
  demo:
    image: demo
    deploy:
      labels:
        # one route
        com.docker.ucp.mesh.http.1: external_route=http://x,internal_port=PORT
"""
HRM = """
services:
  shop:
    image: shop
    ports: ["8080"]
    deploy:
      labels:
        - com.docker.ucp.mesh.http.1=external_route=http://www.hrm.test,redirect=http://shop.hrm.test
        - com.docker.ucp.mesh.http.2=external_route=http://shop.hrm.test,sticky_sessions=sid
        - com.docker.ucp.mesh.http.3=http://store.hrm.test
  lost:
    image: sorry
    deploy: {labels: {com.docker.ucp.mesh.http: "external_route=http://,internal_port=8080"}}
"""
V1 = """
services:
  web:
    image: web
    labels:
      - interlock.hostname=shop
      - interlock.domain=v1.test
      - interlock.alias_domain.0=www.v1.test
      - interlock.port=8080
  api:
    image: api
    expose: [8080]
    labels:
      interlock.hostname: shop
      interlock.domain: v1.test
      interlock.context_root: /api
      interlock.context_root_rewrite: ""
"""


def deploy(pipeline: Pipeline, stack: str, dialect: str, folder: Path, **options: Any) -> dict[str, dict[str, str]]:
    """What `docker stack deploy` would make of a stack file after the import; the services' labels by name."""
    file = folder / "stack.yml"
    file.write_text(stack)
    done = CliRunner().invoke(main, ["import", "--from", dialect, str(file)])
    assert done.exit_code == 0, done.output
    services = yaml.safe_load(done.stdout)["services"]
    labels: dict[str, dict[str, str]] = {}
    for name, service in services.items():
        found = service["deploy"]["labels"]
        labels[name] = dict(each.split("=", 1) for each in found) if isinstance(found, list) else found
        pipeline.sim.create_service(name, labels=labels[name], networks=[NETWORK], **options)
    return labels


@pytest.mark.parametrize("port", [pytest.param("80", marks=pytest.mark.root), "8080"])
def test_case_40_a_service_with_a_label_of_hrm_gains_ours_keeps_its_own_and_is_routed(
    pipeline: Pipeline, tmp_path: Path, port: str
) -> None:
    """Case 40, through the importer: the service gains hosts=x and port=80, the old label stays."""
    labels = deploy(pipeline, CASE_40.replace("PORT", port), "hrm", tmp_path, env={"PORT": port})
    assert labels["demo"] == {
        "com.docker.ucp.mesh.http.1": f"external_route=http://x,internal_port={port}",
        "com.docker.lb.hosts": "x",
        "com.docker.lb.port": port,
    }
    assert pipeline.sim.service("demo")["Spec"]["Labels"] == labels["demo"]
    assert pipeline.wait_routed("x").headers["x-service"] == "demo"
    assert pipeline.get("y").status == 503
    assert not pipeline.status().clusters[0].problems


def test_hosts_redirect_cookie_and_default_route_of_hrm(pipeline: Pipeline, tmp_path: Path) -> None:
    deploy(pipeline, HRM, "hrm", tmp_path, replicas=3)
    pipeline.wait_effective("shop", "lost")
    assert pipeline.get("store.hrm.test").headers["x-service"] == "shop"
    assert pipeline.get("anything.test").headers["x-service"] == "lost"
    moved = pipeline.get("www.hrm.test", "/a?b=1")
    assert (moved.status, moved.headers["location"]) == (302, "http://shop.hrm.test/a?b=1")
    asked = [pipeline.get("shop.hrm.test", headers={"Cookie": "sid=42"}) for _ in range(12)]
    assert len({answer.task for answer in asked}) == 1
    assert all(answer.headers["x-service"] == "shop" for answer in asked)


def test_hosts_and_several_context_roots_of_v1(pipeline: Pipeline, tmp_path: Path) -> None:
    deploy(pipeline, V1, "v1", tmp_path)
    pipeline.wait_effective("web", "api")
    for host in ("shop.v1.test", "www.v1.test"):
        assert pipeline.get(host, "/").headers["x-service"] == "web"
    answer = pipeline.get("shop.v1.test", "/api/users")
    assert (answer.headers["x-service"], answer.json()["path"]) == ("api", "/users")
