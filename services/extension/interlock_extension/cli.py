"""The command line of the extension worker; click and nothing else."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import click

from interlock.model.names import Cluster
from interlock.runtime import logging
from interlock.runtime.settings import ClusterName, Common, Duration, ServiceCommand, common_options, setting
from interlock_extension import app
from interlock_extension.delivery.files import default_folder
from interlock_extension.given import given_options
from interlock_extension.told import (
    grace_period,
    kind_of_proxy,
    only_cluster,
    passed_over,
    pool_name,
    pooled_clusters,
    target_port,
    template_place,
    told_by,
)
from interlock_extension.told import template as own_template

_EXAMPLES = """\b
Examples:
  interlock-extension --bus redis://bus:6379/0
  interlock-extension --bus redis://bus:6379/0 --cluster production --http-port 80
  interlock-extension --bus unix:///run/interlock/bus.sock --listen 127.0.0.1:8080 --listen 127.0.0.1:8081
  interlock-extension --bus redis://bus:6379/0 --nginx /usr/sbin/nginx --option WorkerProcesses=4
  interlock-extension --bus redis://bus:6379/0 --extension haproxy --option MaxConnections=20000
  interlock-extension --bus redis://bus:6379/0 --option 'HTTPOptions=["gzip on;", "gzip_types text/css;"]'
  INTERLOCK_BUS=redis://bus:6379/0 interlock extension
  interlock-extension --bus redis://bus:6379/0 --config config.toml --extension f5 --pool
  interlock-extension --bus redis://bus:6379/0 --extension f5 --pool --cluster east --cluster west

The worker starts its proxy, or adopts the one that already runs from its --state-dir, and serves from what was last
good until it has read the plan. Killed hard, it leaves the proxy serving; stopped, it ends the proxy gracefully.

With --pool it acts for proxies elsewhere. Start as many workers as you like: they share the pool's service clusters by
lease, and when one dies the others take its clusters over within 2 seconds."""


@click.command(cls=ServiceCommand, epilog=_EXAMPLES)
@common_options
@setting(
    "--cluster",
    "clusters",
    multiple=True,
    metavar="NAME",
    type=ClusterName(),
    help="The service cluster to serve (label service_cluster); the unnamed one by default. A pool may be given "
    "several, and by default serves those whose table in config.toml names its extension.",
)
@setting(
    "--pool",
    is_flag=True,
    help="Act for proxies elsewhere, and share their service clusters by lease with the other workers of the pool, "
    "which --proxy-id names (by default as the extension).",
)
@setting(
    "--extension",
    "wanted",
    metavar="NAME",
    show_default="Extension of the table in config.toml, or nginx",
    help="The kind of proxy: nginx, haproxy, or another that is installed.",
)
@setting(
    "--state-dir",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where last good and the proxy's files are; one folder for each worker.  "
    "[default: interlock/extension-<region>-<cluster> in $XDG_STATE_HOME]",
)
@setting(
    "--http-port",
    type=click.IntRange(1, 65535),
    show_default="TargetPort of the extension in config.toml, or 8080",
    help="Serve HTTP on this port of all addresses.",
)
@setting(
    "--listen",
    multiple=True,
    metavar="ADDR:PORT",
    help="Serve on these addresses instead of --http-port; may be given again.",
)
@setting("--nginx", key="NginxPath", metavar="PATH", help="The nginx to run; found by itself when left out.")
@setting("--haproxy", key="HaproxyPath", metavar="PATH", help="The HAProxy to run; found by itself when left out.")
@setting(
    "--proxy-id",
    metavar="NAME",
    help="How this proxy, or this pool, is called in status and in x-proxy-id; the host's name by default.",
)
@setting(
    "--drain-budget",
    type=Duration(),
    default="2s",
    help="Time that Swarm guarantees between showing that it will stop a task on a network and SIGTERM; for one that "
    "is reached at a port of its node, 1s at most is counted.",
)
@setting(
    "--dns",
    metavar="ADDR[:PORT]",
    help="Docker's DNS, which confirms addresses while the bus is away; off for none.  "
    "[default: 127.0.0.11 where it is the first name server, else off]",
)
@setting("--access-log", metavar="PATH", help="Where requests are logged; off for nowhere.  [default: /dev/stdout]")
@setting(
    "--shared-state",
    is_flag=True,
    help="--state-dir is a volume that workers of this cluster share: take a free folder of it.",
)
@setting(
    "--stop-timeout",
    type=Duration(),
    show_default="ProxyStopGracePeriod of the extension in config.toml, or 3s",
    help="Time that requests in flight have to finish when the proxy is stopped.",
)
@setting(
    "--template",
    metavar="PATH",
    show_default="Template of the extension in config.toml, or /etc/docker/extension-template.conf where that is",
    help="A Jinja template of your own for the proxy's configuration, see docs/templates.md.",
)
@setting("--keep-proxy", is_flag=True, help="Leave the proxy running when the worker is stopped.")
@click.option(
    "--option",
    "options",
    multiple=True,
    metavar="NAME=VALUE",
    help="An option of the proxy by its name in config.toml, such as ReadTimeout=60; may be given again. A list is "
    """written as there: --option 'HTTPOptions=["gzip on;"]'; further ones of the same name add to it.""",
)
def main(
    *,
    common: Common,
    clusters: tuple[str, ...],
    pool: bool,
    wanted: str | None,
    state_dir: Path | None,
    http_port: int | None,
    listen: tuple[str, ...],
    nginx: str | None,
    haproxy: str | None,
    proxy_id: str | None,
    drain_budget: float,
    dns: str | None,
    access_log: str | None,
    keep_proxy: bool,
    shared_state: bool,
    stop_timeout: float | None,
    template: str | None,
    options: tuple[str, ...],
) -> None:
    """Run a proxy of one service cluster: follow its plan, bring each change into effect without losing a request."""
    bus_url = common.needed_bus()
    given = {**given_options(options), **_access_log(access_log)}
    cluster = "" if pool else only_cluster(clusters)
    extension = wanted or kind_of_proxy(common.document, clusters, pool=pool)

    def options_for(cluster: str) -> app.Options:
        table = common.document.extension(cluster)
        told = told_by(common.document, cluster, extension, given)
        return app.Options(
            bus_url=bus_url,
            cluster=Cluster(common.region, cluster),
            state_dir=state_dir or default_folder(Cluster(common.region, cluster)),
            extension=extension,
            listen=listen or (str(http_port or target_port(table)),),
            binary={"nginx": nginx, "haproxy": haproxy}.get(extension) or "",
            proxy_id=proxy_id or socket.gethostname(),
            drain_budget=drain_budget,
            metrics_addr=common.metrics,
            keep_proxy=keep_proxy,
            shared_state=shared_state,
            stop_timeout=grace_period(table) if stop_timeout is None else stop_timeout,
            dns=dns or "",
            proxy_options=told.options,
            option_places={**told.places, **({} if template else template_place(common.document, table))},
            template=template or own_template(table),
        )

    if pool:
        sys.exit(
            app.run_pool(
                app.PoolOptions(
                    bus_url=bus_url,
                    region=common.region,
                    pool=pool_name(proxy_id or extension),
                    name=socket.gethostname(),
                    extension=extension,
                    clusters=pooled_clusters(common.document, extension, clusters),
                    options_for=options_for,
                    state_dir=state_dir or default_folder(Cluster(common.region, f"pool-{proxy_id or extension}")),
                    shared_state=shared_state,
                    metrics_addr=common.metrics,
                )
            )
        )
    warning = passed_over(common.document, cluster)
    if warning:
        logging.get_logger().warning(warning)
    sys.exit(app.run(options_for(cluster)))


def _access_log(path: str | None) -> dict[str, object]:
    return {"AccessLogPath": path} if path else {}


if __name__ == "__main__":
    main()
