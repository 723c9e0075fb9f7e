"""The registry: every key of config.toml but nginx's own (`nginx`): what it holds, whether it takes effect. Pure.

`docs/config.md`, `interlock config` and every service read the same tables. After Interlock's documents; what only its
first or its unreleased version had is below them.
"""

from __future__ import annotations

from interlock.config.key import Key, Section
from interlock.config.kinds import (
    address,
    choice,
    cluster_name,
    docker_url,
    duration,
    flag,
    mapping,
    number,
    table,
    text,
    url,
    words,
)

CORE = Section(
    title="",
    about="The keys at the top of the file.",
    keys=(
        Key(name="ListenAddr", kind=address('":8080"'), default='":8080"', effect="later",
            doc="Where Interlock's gRPC API for extensions listens; ours meet on the bus."),
        Key(name="DockerURL", kind=docker_url('"unix:///var/run/docker.sock"'),
            default='"unix:///var/run/docker.sock"',
            doc="The Docker Engine that the watcher reads: a socket or a TCP endpoint of a Swarm manager."),
        Key(name="TLSCACert", kind=text(), default="(none)", doc="CA certificate of a TCP endpoint: a path."),
        Key(name="TLSCert", kind=text(), default="(none)", doc="The watcher's client certificate: a path."),
        Key(name="TLSKey", kind=text(), default="(none)", doc="The watcher's client key: a path."),
        Key(name="AllowInsecure", kind=flag(), default="false",
            doc="Do not check the certificate of Docker's endpoint."),
        Key(name="PollInterval", kind=duration(), default='"3s"',
            doc="Time between full listings; raised to 2s where it is less, and stretched where listing is costly."),
        Key(name="EndpointOverride", kind=text(), default="(none)", effect="later",
            doc="The gRPC endpoint that is handed to extensions."),
        Key(name="Extensions", kind=table(), default="(none)", doc="One table for each extension, see below."),
        Key(name="GRPCAddr", kind=text(), default="(none)", effect="none",
            doc="Of Interlock's development version only."),
        Key(name="EnableMetrics", kind=flag(), default="(none)", effect="none",
            doc="Of Interlock's development version only; see `MetricsAddr`."),
        Key(name="Plugins", kind=table(), default="(none)", effect="none",
            doc="Of Interlock's development version only; see `Extensions`."),
        Key(name="BusURL", kind=url("redis", "rediss", "unix", example='"redis://bus:6379/0"'),
            default="(none)", ours=True, secret=True,
            doc="The bus: a redis://, rediss:// or unix:// URL."),
        Key(name="BusFile", kind=text(), default="(none)", ours=True,
            doc="A file that holds the bus' URL, such as a Docker secret."),
        Key(name="Region", kind=text(), default='"default"', ours=True, doc="Name of the Swarm that is served."),
        Key(name="LogLevel", kind=choice("debug", "info", "warning", "error"), default='"info"', ours=True,
            doc="Least level to log."),
        Key(name="LogFormat", kind=choice("console", "json"), default='"console"', ours=True,
            doc="key=value for people, or JSON lines."),
        Key(name="MetricsAddr", kind=address('":9100"'), default="(none)", ours=True,
            doc="Where to serve Prometheus metrics."),
        Key(name="Name", kind=text(), default="(host name)", ours=True,
            doc="Name of the watcher in leases and status."),
        Key(name="NginxPath", kind=text(), default="(found)", ours=True, doc="The nginx to run."),
        Key(name="HaproxyPath", kind=text(), default="(found)", ours=True, doc="The HAProxy to run."),
    ),
)  # fmt: skip

_OBJECT = "our stacks (`deploy/`) say it so far"

EXTENSION = Section(
    title="[Extensions.<name>]",
    about="One extension: the service that makes a proxy's configuration. The name is free.",
    keys=(
        Key(name="Image", kind=text(), default="(none)", effect="later", doc=f"Image of the extension; {_OBJECT}."),
        Key(name="Args", kind=words(), default="[]", effect="later", doc="Arguments of the extension."),
        Key(name="Labels", kind=mapping(), default="{}", effect="later", doc="Labels of the extension's service."),
        Key(name="ContainerLabels", kind=mapping(), default="{}", effect="later", doc="Labels of its tasks."),
        Key(name="Networks", kind=words(), default="(of the services)", effect="later",
            doc="The networks that the proxy is attached to, and no others."),
        Key(name="Constraints", kind=words(), default="[]", effect="later", doc="Where the extension is placed."),
        Key(name="PlacementPreferences", kind=words(), default="[]", effect="later", doc="How it is spread."),
        Key(name="ServiceName", kind=text(), default="(random)", effect="later",
            doc="Name of the extension's service."),
        Key(name="ServiceCluster", kind=cluster_name(), default='""',
            doc="The service cluster for which this table counts: that of a worker's `--cluster`."),
        Key(name="Extension", kind=text('"f5"'), default="(none)", ours=True,
            doc="The kind of proxy whose pool (`--pool`) acts for this service cluster."),
        Key(name="Template", kind=text(), default="(built in)",
            doc="A Jinja template (docs/templates.md): a path, or the name of a Docker config that is mounted."),
        Key(name="Config", kind=table(), default="{}", doc="Options of the proxy, see below."),
    ),
)  # fmt: skip

PROXY = Section(
    title="[Extensions.<name>], the proxy",
    about="In the same table: the proxy that the extension configures, and Interlock's config service.",
    keys=(
        Key(name="ProxyImage", kind=text(), default="(none)", effect="later", doc=f"Image of the proxy; {_OBJECT}."),
        Key(name="ProxyArgs", kind=words(), default="[]", effect="later", doc="Arguments of the proxy."),
        Key(name="ProxyLabels", kind=mapping(), default="{}", effect="later", doc="Labels of the proxy's service."),
        Key(name="ProxyContainerLabels", kind=mapping(), default="{}", effect="later", doc="Labels of its tasks."),
        Key(name="ProxyServiceName", kind=text(), default="(random)", effect="later",
            doc="Name of the proxy's service."),
        Key(name="ProxyConfigPath", kind=text('"/etc/nginx/nginx.conf"'), default='"/etc/nginx/nginx.conf"',
            effect="later", doc="Where the generated file is mounted; ours is in the worker's state folder."),
        Key(name="ProxyReplicas", kind=number(0, 1_000_000), default="1", effect="later", doc="Number of proxies."),
        Key(name="ProxyStopSignal", kind=text('"SIGQUIT"'), default='"SIGQUIT"', effect="later",
            doc="Signal that stops the proxy; our worker drains nginx at SIGTERM too."),
        Key(name="ProxyStopGracePeriod", kind=duration(), default='"3s"',
            doc="What requests in flight have to finish when the proxy is stopped; `--stop-timeout` comes before it."),
        Key(name="ProxyConstraints", kind=words(), default="[]", effect="later", doc="Where the proxy is placed."),
        Key(name="ProxyPlacementPreferences", kind=words(), default="[]", effect="later", doc="How it is spread."),
        Key(name="ProxyUpdateDelay", kind=duration(), default='"0s"', effect="later",
            doc="Time between the updates of two proxies."),
        Key(name="PublishMode", kind=choice("ingress", "host"), default='"ingress"', effect="later",
            doc="How the proxy's ports are published."),
        Key(name="PublishedPort", kind=number(0, 65535), default="(random)", effect="later",
            doc="The port that is published for HTTP."),
        Key(name="TargetPort", kind=number(1, 65535), default="8080",
            doc="The port on which the proxy serves HTTP, where neither `--http-port` nor `--listen` is given."),
        Key(name="PublishedSSLPort", kind=number(0, 65535), default="(random)", effect="later",
            doc="The port that is published for TLS."),
        Key(name="TargetSSLPort", kind=number(1, 65535), default="443", effect="later",
            doc="The port on which the proxy serves TLS."),
        Key(name="HitlessServiceUpdate", kind=flag(), default="true", effect="none",
            doc="Updates without a restart of the proxy: ours always are."),
        Key(name="ConfigImage", kind=text(), default="(none)", effect="none",
            doc="Image of Interlock's config service, which ours needs not."),
        Key(name="ConfigServiceName", kind=text(), default='"ucp-interlock-config"', effect="none",
            doc="Name of that service."),
    ),
)  # fmt: skip

HAPROXY_ONLY = ("ClientTimeout", "ServerTimeout", "DefaultOptions")
"""Keys of `Config` that only Interlock's HAProxy has."""

FIRST_VERSION = {
    "ConfigPath": "ProxyConfigPath, which the worker's --state-dir does away with",
    "TemplatePath": "Template",
    "BackendOverrideAddress": "DockerURL, whose node addresses count",
    "MaxConn": "MaxConnections in [Extensions.<name>.Config]",
    "Port": "TargetPort in [Extensions.<name>]",
    "SSLPort": "TargetSSLPort in [Extensions.<name>]",
    "SSLCertPath": "the label com.docker.lb.ssl_cert",
    "SSLCert": "the label com.docker.lb.ssl_cert",
    "SSLServerVerify": "SSLVerify in [Extensions.<name>.Config]",
    "SyslogAddr": 'AccessLogPath = "syslog:server=…" in [Extensions.<name>.Config]',
    "DHParam": "SSLDefaultDHParam in [Extensions.<name>.Config]",
    "DHParamPath": "SSLDefaultDHParamPath in [Extensions.<name>.Config]",
    "NginxPlusEnabled": "nothing: NGINX Plus is not supported",
    "ProxyConnectTimeout": "ConnectTimeout in [Extensions.<name>.Config]",
    "ProxySendTimeout": "SendTimeout in [Extensions.<name>.Config]",
    "ProxyReadTimeout": "ReadTimeout in [Extensions.<name>.Config]",
    "StatInterval": "MetricsAddr, from which Prometheus reads",
}
"""Keys of Interlock 1 that nothing since reads, and what to write instead."""
