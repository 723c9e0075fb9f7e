"""The registry itself, and what it says of nginx's language."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from interlock.config.document import SECTIONS, Entries, read_document
from interlock.config.fragments import directives, statements
from interlock.config.haproxy import HAPROXY
from interlock.config.key import Section
from interlock.config.kinds import seconds, size
from interlock.config.nginx import NGINX
from interlock.config.sections import CORE, EXTENSION, FIRST_VERSION, PROXY

# Contract 3.1 to 3.5, whole.
DOCUMENTED = {
    CORE.title: "ListenAddr DockerURL TLSCACert TLSCert TLSKey AllowInsecure PollInterval EndpointOverride Extensions "
    "GRPCAddr EnableMetrics Plugins",
    EXTENSION.title: "Image Args Labels ContainerLabels Networks Constraints PlacementPreferences ServiceName "
    "ServiceCluster Template Config",
    PROXY.title: "ProxyImage ProxyArgs ProxyLabels ProxyContainerLabels ProxyServiceName ProxyConfigPath ProxyReplicas "
    "ProxyStopSignal ProxyStopGracePeriod ProxyConstraints ProxyPlacementPreferences ProxyUpdateDelay PublishMode "
    "PublishedPort TargetPort PublishedSSLPort TargetSSLPort HitlessServiceUpdate ConfigImage ConfigServiceName",
    NGINX.title: "Version HTTPVersion User PidPath MaxConnections ConnectTimeout SendTimeout ReadTimeout IPHash "
    "AdminUser AdminPass SSLOpts SSLDefaultDHParam SSLDefaultDHParamPath SSLVerify WorkerProcesses RLimitNoFile "
    "SSLCiphers SSLProtocols HideInfoHeaders KeepaliveTimeout ClientMaxBodySize ClientBodyBufferSize "
    "ClientHeaderBufferSize LargeClientHeaderBuffers ClientBodyTimeout UnderscoresInHeaders UpstreamZoneSize "
    "ServerNamesHashBucketSize GlobalOptions HTTPOptions TCPOptions AccessLogPath ErrorLogPath MainLogFormat "
    "TraceLogFormat",
    HAPROXY.title: "PidPath MaxConnections ConnectTimeout ClientTimeout ServerTimeout AdminUser AdminPass SSLOpts "
    "SSLDefaultDHParam SSLVerify SSLCiphers SSLProtocols GlobalOptions DefaultOptions",
}


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.title or "core")
def test_every_documented_key_is_there_in_its_spelling(section: object) -> None:
    names = [key.name for key in section.keys if not key.ours]  # type: ignore[attr-defined]  # a Section
    assert sorted(names) == sorted(DOCUMENTED[section.title].split())  # type: ignore[attr-defined]  # as above


def test_no_name_has_two_meanings_in_one_table() -> None:
    for names in (
        [key.name for key in CORE.keys],
        [key.name for key in (*EXTENSION.keys, *PROXY.keys)],
        [key.name for key in NGINX.keys],
        [key.name for key in HAPROXY.keys],
    ):
        assert len({name.lower() for name in names}) == len(names)
    known = {key.name.lower() for section in (EXTENSION, PROXY, NGINX, HAPROXY) for key in section.keys}
    assert known.isdisjoint(name.lower() for name in FIRST_VERSION)


def test_every_key_says_what_it_is() -> None:
    for section in SECTIONS:
        for key in section.keys:
            assert key.doc.endswith("."), key.name
            assert "\n" not in key.doc, key.name


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("gzip on;", ["gzip;"]),
        ("a 1; # b 2;\n c 3;", ["a;", "c;"]),
        ("map $x $y { default 1; a 2; } z 1;", ["map{", "z;"]),
        ("""add_header x "a;b{c" always;""", ["add_header;"]),
        (r"""a 'it\'s; ' "\"";""", ["a;"]),
        ("a ${b} c;", ["a;"]),
        ("gzip on", ["gzip"]),
        ("}} a;", ["a;"]),
        ("", []),
        ("# only;", []),
        (";", [";"]),
    ],
)
def test_statements(text: str, found: list[str]) -> None:
    assert [f"{s.name}{s.ends}" for s in statements(text)] == found


def test_directives_of_all_levels() -> None:
    text = """map $a 'b c' { default "x\\"y" } # z;\n server { listen 1; return ${a}b"""
    found = [(d.words, d.depth, text[d.begin : d.end], d.ends) for d in directives(text)]
    assert found == [
        (("map", "$a", "b c"), 0, "map $a 'b c' {", "{"),
        (("default", 'x"y'), 1, 'default "x\\"y" }', ""),
        (("server",), 0, "server {", "{"),
        (("listen", "1"), 1, "listen 1;", ";"),
        (("return", "${a}b"), 1, "return ${a}b", ""),
    ]


def test_sizes_in_bytes() -> None:
    assert [size(text) for text in ("0", "1", "8k", "32m", "1G")] == [0, 1, 8192, 32 * 2**20, 2**30]
    assert seconds("90m") == 5400


def test_each_default_that_is_not_what_ucp_writes_is_in_the_guide() -> None:
    root = Path(__file__).parents[3]
    table = read_document((root / "tests/data/mke-config.toml").read_text(), where="mke").extensions[0]
    guide = (root / "docs/migrating.md").read_text()
    differing = {*_differing(PROXY, table.entries), *_differing(NGINX, table.config)}
    assert differing == {"ConnectTimeout", "ProxyStopGracePeriod", "TargetPort", "User", "PidPath"}
    assert [key for key in differing if f"\n| `{key}`" not in guide] == []


def _differing(section: Section, entries: Entries) -> list[str]:
    """Keys that take effect and whose default differs from what the file says; not what is each operator's own."""
    found = []
    for key in section.keys:
        entry = entries.get(key.name.lower())
        if entry is None or key.effect != "now" or isinstance(entry.value, list) or key.name.endswith("LogFormat"):
            continue
        default = None if key.default.startswith("(") else tomllib.loads(f"x = {key.default}")["x"]
        if default is None or key.kind.read(default) != key.kind.read(entry.value):
            found.append(key.name)
    return found
