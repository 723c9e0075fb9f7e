"""`interlock-watcher`: the command line, and nothing else."""

from __future__ import annotations

import os
import socket
import sys

import click

from interlock.errors import ConfigError
from interlock.runtime import metrics
from interlock.runtime.lifecycle import Lifecycle
from interlock.runtime.logging import get_logger
from interlock.runtime.settings import Common, Duration, ServiceCommand, common_options, setting
from interlock_watcher.endpoint import Tls

DEFAULT_DOCKER = "unix:///var/run/docker.sock"
POLL_FLOOR = 2.0

EXAMPLES = """\b
Examples:
  interlock-watcher --bus redis://bus:6379/0
  interlock-watcher --bus unix:///run/interlock/bus.sock --docker unix:///tmp/swarm.sock
  interlock-watcher -c config.toml --metrics :9100 --log-format json
  INTERLOCK_BUS=rediss://user:secret@bus:6380/0 interlock-watcher --region west

Run two of them for one region: one acts, the other takes over within two seconds.
It only reads Docker, and needs the socket (or TCP endpoint) of a Swarm manager.
"""


@click.command(cls=ServiceCommand, epilog=EXAMPLES)
@common_options
@setting(
    "--docker",
    key="DockerURL",
    default_from="DOCKER_HOST",
    metavar="URL",
    default=lambda: os.environ.get("DOCKER_HOST") or DEFAULT_DOCKER,
    show_default=f"DOCKER_HOST, or {DEFAULT_DOCKER}",
    help="The Docker Engine of a Swarm manager: unix:// or tcp:// URL.",
)
@setting("--tls-ca", key="TLSCACert", metavar="FILE", help="CA certificate of a TCP endpoint.")
@setting("--tls-cert", key="TLSCert", metavar="FILE", help="Our client certificate.")
@setting("--tls-key", key="TLSKey", metavar="FILE", help="Our client key.")
@setting(
    "--allow-insecure/--verify", key="AllowInsecure", default=False, help="Skip the check of Docker's certificate."
)
@setting(
    "--poll-interval",
    key="PollInterval",
    type=Duration(),
    default="3s",
    help="Time between full listings; at least 2s, and stretched where listing is costly.",
)
@setting("--name", key="Name", metavar="NAME", default=socket.gethostname, show_default="host name",
         help="Name of this watcher, as leases and status show it.")  # fmt: skip
def main(
    *,
    common: Common,
    docker: str,
    tls_ca: str | None,
    tls_cert: str | None,
    tls_key: str | None,
    allow_insecure: bool,
    poll_interval: float,
    name: str,
) -> None:
    """Watch a Docker Swarm and keep what routing needs of it on the bus.

    Lists everything first, then follows events; what has not settled is read again often, everything from time to
    time. When Docker cannot be asked, nothing is withdrawn.
    """
    from interlock_watcher.app import Watcher, WatcherOptions  # noqa: PLC0415  # --help must not need the SDK

    if not common.region:
        raise ConfigError("the region is empty: give --region NAME (or INTERLOCK_REGION), or leave it out")
    if poll_interval < POLL_FLOOR:
        get_logger(service="watcher").warning("the poll interval is raised to 2s", given=poll_interval)
        poll_interval = POLL_FLOOR
    tls = Tls(ca=tls_ca or "", cert=tls_cert or "", key=tls_key or "", verify=not allow_insecure)
    options = WatcherOptions(
        docker_url=docker,
        bus_url=common.needed_bus(),
        region=common.region,
        poll_interval=poll_interval,
        name=name,
        tls=tls
        if not docker.lower().startswith("unix") and (tls_ca or tls_cert or tls_key or allow_insecure)
        else None,
        places=common.places,
    )
    registry = metrics.Metrics("watcher")
    lifecycle = Lifecycle("watcher")
    watcher = Watcher(options, lifecycle, registry)
    if common.metrics:
        lifecycle.on_close("metrics", metrics.serve(common.metrics, registry).close)
    watcher.start()
    sys.exit(lifecycle.wait())


if __name__ == "__main__":
    main()
