"""The command `interlock doctor`; click and nothing else."""

from __future__ import annotations

import sys
from typing import cast

import click
import msgspec

from interlock.config.document import USUAL
from interlock.doctor import bus, plans
from interlock.doctor.port import Ask, Role, examine, installed
from interlock.doctor.report import report
from interlock.inspection.console import console
from interlock.runtime.rundir import announced_bus
from interlock.runtime.settings import ClusterName, Common, ServiceCommand, common_options_any_region, setting

_EXAMPLES = """\b
Examples:
  interlock doctor --bus-file /run/secrets/interlock-operator       # the bus, watchers, plans and proxies
  interlock doctor --role watcher --docker unix:///var/run/docker.sock
  docker exec PROXY interlock doctor --role proxy                   # with the settings of that container
  interlock doctor --json | jq '.findings[] | select(.severity != "ok")'
\b
Exit status: 0 where there is no error (there may be warnings), 1 where there is, 2 for an option that cannot be used.
"""


@click.command(cls=ServiceCommand, epilog=_EXAMPLES)
@common_options_any_region
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@setting(
    "--role",
    type=click.Choice(["watcher", "planner", "proxy", "all"]),
    default="all",
    help="Whose needs to check; all: of whatever is installed and set up here.",
)
@setting(
    "--cluster",
    metavar="NAME",
    type=ClusterName(),
    default="",
    show_default=False,
    help="The service cluster of a proxy.",
)
@setting(
    "--docker", key="DockerURL", default_from="DOCKER_HOST", metavar="URL",
    help="The Docker Engine that a watcher reads.",
)  # fmt: skip
@setting("--tls-ca", key="TLSCACert", metavar="FILE", help="CA certificate of a TCP endpoint.")
@setting("--tls-cert", key="TLSCert", metavar="FILE", help="Our client certificate.")
@setting("--tls-key", key="TLSKey", metavar="FILE", help="Our client key.")
@setting(
    "--extension",
    metavar="NAME",
    show_default="Extension of the table in config.toml, or nginx",
    help="The kind of a proxy.",
)
@setting("--nginx", key="NginxPath", metavar="PATH", help="The nginx of a proxy.")
@setting("--haproxy", key="HaproxyPath", metavar="PATH", help="The HAProxy of a proxy.")
@setting("--state-dir", metavar="DIR", help="The folder of a proxy's worker.")
def main(
    *,
    common: Common,
    as_json: bool,
    role: str,
    cluster: str,
    docker: str | None,
    tls_ca: str | None,
    tls_cert: str | None,
    tls_key: str | None,
    extension: str | None,
    nginx: str | None,
    haproxy: str | None,
    state_dir: str | None,
) -> None:
    """Look at the bus, at Docker and at the proxy: what is wrong, what that costs, and what to do.

    It changes nothing. Run it where the service runs, with the service's settings.
    """
    checks, absent = installed()
    ask = Ask(
        role=cast("Role", role),
        bus_url=common.bus or announced_bus() or "",
        region=common.region,
        cluster=cluster,
        docker=docker or "",
        tls=(tls_ca or "", tls_cert or "", tls_key or ""),
        extension=extension or (table.kind if (table := common.document.extension(cluster)) else USUAL),
        nginx=nginx or "",
        haproxy=haproxy or "",
        state_dir=state_dir or "",
        document=common.document,
        places=common.places,
    )
    findings = [*examine(ask, (bus.check, plans.check, *checks)), *(absent if role == "all" else ())]
    failed = any(one.severity == "error" for one in findings)
    if as_json:
        data = msgspec.json.encode({"ok": not failed, "findings": findings})
        sys.stdout.buffer.write(msgspec.json.format(data, indent=2) + b"\n")
    else:
        console().print(report(findings))
    sys.exit(1 if failed else 0)
