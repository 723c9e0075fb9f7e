"""The registry, continued: `[Extensions.<name>.Config]`, the options of HAProxy. Pure.

Names are those of Interlock's documents (2019), and those of nginx's table where they mean the same.
"""

from __future__ import annotations

from interlock.config.key import Key, Section
from interlock.config.kinds import choice, flag, nginx_size, nginx_time, number, number_or, raw_lines, text

MOST_THREADS = 64
"""HAProxy's own limit."""

LOGS = ("/dev/stdout", "/dev/stderr", "off")

HAPROXY = Section(
    title="[Extensions.<name>.Config] of HAProxy",
    about="Options of HAProxy, where the table says `Extension = \"haproxy\"`. Also on the command line: "
    "`interlock-extension --option ServerTimeout=60`.",
    keys=(
        Key(name="MaxConnections", kind=number(16, 1_000_000), default="1024",
            doc="Connections of clients at the same time."),
        Key(name="ConnectTimeout", kind=nginx_time(positive=True, whole_seconds=True), default='"300ms"',
            doc="For a connection to a service to be accepted. Ours bounds what a lost node costs."),
        Key(name="ClientTimeout", kind=number(1, 1_000_000), default="600",
            doc="Seconds for which a client may be silent within a request."),
        Key(name="ServerTimeout", kind=number(1, 1_000_000), default="600",
            doc="Seconds for which a service may be silent within a request."),
        Key(name="KeepaliveTimeout", kind=nginx_time(), default='"75s"', ours=True,
            doc="How long a client's idle connection is kept."),
        Key(name="ClientMaxBodySize", kind=nginx_size(of_files=True), default='"32m"', ours=True,
            doc="Largest body of a request that says its length; more is answered 413. 0: any."),
        Key(name="IPHash", kind=flag(), default="false", ours=True,
            doc="Choose the task by the client's address, for every host."),
        Key(name="HideInfoHeaders", kind=flag(), default="false", ours=True,
            doc="Leave the headers x-request-id, x-proxy-id, x-server-info, x-upstream-… out of answers."),
        Key(name="UnderscoresInHeaders", kind=flag(), default="false", ours=True,
            doc="Take headers whose name has an underscore."),
        Key(name="WorkerProcesses", kind=number_or("auto", MOST_THREADS), default='"auto"', ours=True,
            doc="HAProxy's threads; `auto`: one for each processor that we may use."),
        Key(name="AccessLogPath", kind=choice(*LOGS, why="HAProxy writes no files"), default='"/dev/stdout"', ours=True,
            doc="Where requests are logged; `off` for nowhere. HAProxy writes no files."),
        Key(name="GlobalOptions", kind=raw_lines('["tune.maxrewrite 2048"]'), default="[]",
            doc="Raw lines of HAProxy's section global."),
        Key(name="DefaultOptions", kind=raw_lines('["option tcp-smart-connect"]'), default="[]",
            doc="Raw lines of HAProxy's section defaults."),
        Key(name="PidPath", kind=text('"/var/run/proxy.pid"'), default="(none)",
            doc="A symbolic link to HAProxy's pid file in the state folder while it runs, where it can be made."),
        Key(name="AdminUser", kind=text(), default='""', effect="later", doc="Of the page of statistics."),
        Key(name="AdminPass", kind=text(), default='""', effect="later", secret=True,
            doc="Of the page of statistics."),
        Key(name="SSLOpts", kind=text(), default='""', effect="later", doc="Options of TLS listeners."),
        Key(name="SSLDefaultDHParam", kind=number(0, 16384), default="1024", effect="later",
            doc="Bits of the DH parameters."),
        Key(name="SSLVerify", kind=text('"required"'), default='"required"', effect="later",
            doc="Whether certificates of services are verified."),
        Key(name="SSLCiphers", kind=text('"HIGH:!aNULL:!MD5"'), default='"HIGH:!aNULL:!MD5"', effect="later",
            doc="Ciphers of TLS."),
        Key(name="SSLProtocols", kind=text('"TLSv1.2"'), default='"TLSv1.2"', effect="later", doc="Versions of TLS."),
    ),
)  # fmt: skip
