"""What a worker takes of config.toml: the table of its service cluster, under what the command line says."""

from __future__ import annotations

import pytest

from interlock.config.document import Document, read_document
from interlock.config.nginx import NGINX
from interlock.errors import ConfigError
from interlock_extension.nginx.config import NginxConfig, read_config
from interlock_extension.told import (
    grace_period,
    kind_of_proxy,
    only_cluster,
    passed_over,
    pool_name,
    pooled_clusters,
    target_port,
    template,
    template_place,
    told_by,
)

TEXT = """
[Extensions.east]
ServiceCluster = "east"
TargetPort = 81
proxystopgraceperiod = "1m5s"
[Extensions.east.Config]
readtimeout = 7
IPHash = true
Nonsense = 1
[Extensions.rest.Config]
ReadTimeout = 8
"""

HAPROXY = """
[Extensions.x]
Extension = "haproxy"
[Extensions.x.Config]
ServerTimeout = 7
ReadTimeout = 8
Nonsense = 1
"""

POOLS = """
[Extensions.east]
ServiceCluster = "east"
Extension = "f5"
[Extensions.west]
ServiceCluster = "west"
extension = "f5"
[Extensions.other]
ServiceCluster = "other"
"""


def document() -> Document:
    return read_document(TEXT, where="c.toml")


def test_the_table_of_the_service_cluster_counts() -> None:
    assert told_by(document(), "", "nginx", {}).options == {"ReadTimeout": 8}
    assert told_by(document(), "west", "nginx", {}).options == {}
    east = told_by(document(), "east", "nginx", {})
    assert east.options == {"readtimeout": 7, "IPHash": True}
    assert east.places["readtimeout"] == "c.toml:7: Extensions.east.Config.readtimeout"


def test_the_command_line_comes_first() -> None:
    told = told_by(document(), "east", "nginx", {"READTIMEOUT": 9})
    assert told.options == {"READTIMEOUT": 9, "IPHash": True}
    assert "readtimeout" not in told.places


def test_options_of_another_proxy_are_its_own_business() -> None:
    text = '[Extensions.x]\nExtension = "other"\n[Extensions.x.Config]\nNonsense = 1'
    assert told_by(read_document(text, where="c"), "", "other", {}).options == {"Nonsense": 1}


def test_of_haproxys_options_only_those_that_are_known() -> None:
    file = read_document(HAPROXY, where="c.toml")
    assert told_by(file, "", "haproxy", {}).options == {"ServerTimeout": 7}
    assert told_by(file, "", "haproxy", {"servertimeout": 8}).options == {"servertimeout": 8}


@pytest.mark.parametrize(
    ("text", "extension", "said"),
    [
        (TEXT, "haproxy", r"c\.toml:11: .*ReadTimeout: \[Extensions\.rest\] has options of nginx, .* run 'haproxy'; w"),
        (TEXT, "other", "has options of nginx"),
        (HAPROXY, "nginx", r"c\.toml:3: Extensions\.x\.Extension = 'haproxy': this worker is told to run 'nginx'; l"),
        (HAPROXY, "f5", "is told to run 'f5'"),
    ],
)  # fmt: skip
def test_a_table_of_another_kind_of_proxy_is_told_and_not_half_used(text: str, extension: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        told_by(read_document(text, where="c.toml"), "", extension, {"ServerTimeout": 5})


def test_a_table_without_options_is_for_any_kind() -> None:
    text = read_document("[Extensions.x]\nTargetPort = 81\n", where="c.toml")
    assert told_by(text, "", "haproxy", {"ServerTimeout": 5}).options == {"ServerTimeout": 5}


def test_the_kind_of_proxy_is_that_of_the_table() -> None:
    file = read_document(f'{HAPROXY}[Extensions.east]\nServiceCluster = "east"\n', where="c.toml")
    pools = read_document(POOLS, where="c.toml")
    assert kind_of_proxy(file, (), pool=False) == "haproxy"
    assert kind_of_proxy(file, ("east",), pool=False) == kind_of_proxy(file, ("west",), pool=False) == "nginx"
    assert kind_of_proxy(Document(), (), pool=False) == "nginx"
    assert kind_of_proxy(pools, (), pool=True) == kind_of_proxy(pools, ("west", "east"), pool=True) == "f5"
    with pytest.raises(ConfigError, match=r"c\.toml names f5 and nginx .* --extension NAME, such as f5"):
        kind_of_proxy(pools, ("west", "other"), pool=True)


def test_a_pool_is_not_given_the_table_of_another_kind() -> None:
    with pytest.raises(ConfigError, match=r"c\.toml:4: Extensions\.east\.Extension = 'f5'"):
        pooled_clusters(read_document(POOLS, where="c.toml"), "f6", ("other", "east"))


def test_port_and_grace_period() -> None:
    east, rest = (document().extension(cluster) for cluster in ("east", ""))
    assert (target_port(east), target_port(rest), target_port(None)) == (81, 8080, 8080)
    assert (grace_period(east), grace_period(rest), grace_period(None)) == (65.0, 3.0, 3.0)


def test_the_template_and_where_it_was_named() -> None:
    text = read_document('[Extensions.x]\nTemplate = " mine "', where="c.toml")
    table = text.extension("")
    assert template(table) == "mine"
    assert template_place(text, table) == {"Template": "c.toml:2: Extensions.x.Template"}
    assert (template(None), template_place(text, None)) == ("", {})


def test_defaults_are_those_of_the_registry() -> None:
    """What the documents say is what nginx gets, and each key of now has a field to go to."""
    now = {key.name.lower(): key for key in NGINX.keys if key.effect == "now"}
    fields = {name.replace("_", ""): name for name in NginxConfig.__struct_fields__}
    assert set(fields) == set(now)
    for name, field in fields.items():
        default = now[name].default
        if not default.startswith("("):
            options = (
                read_document(f"[Extensions.x.Config]\n{now[name].name} = {default}", where="c").extensions[0].config
            )
            read = read_config({entry.key: entry.value for entry in options.values()})
            assert getattr(read, field) == getattr(NginxConfig(), field), name


def test_a_file_whose_tables_are_for_other_clusters_is_told_with_the_nearest() -> None:
    text = '[Extensions.a]\nServiceCluster = "us-east"\n[Extensions.b]\nServiceCluster = "Asia"\n'
    file = read_document(text, where="c.toml")
    assert passed_over(file, "us-east") == passed_over(Document(), "us-east") == ""
    said = "c.toml: none of its tables [Extensions.…] is for the service cluster "
    assert passed_over(file, "US-EAST") == (
        f"{said}US-EAST, so the proxy has its defaults; [Extensions.a] is for us-east"
    )
    assert passed_over(file, "asia").endswith("[Extensions.b] is for Asia")
    assert passed_over(file, "") == f"{said}(unnamed), so the proxy has its defaults"


def test_a_pool_serves_what_is_named_or_else_the_tables_of_its_extension() -> None:
    document = read_document(POOLS, where="config.toml")
    assert pooled_clusters(document, "f5", ()) == {"east", "west"}
    assert pooled_clusters(document, "f5", ("other", "")) == {"other", ""}
    with pytest.raises(ConfigError, match=r"--cluster NAME, or say Extension = 'f6' .* \(config.toml has none\)"):
        pooled_clusters(document, "f6", ())


@pytest.mark.parametrize("name", ["", "a b", "*", "~", "a/b"])
def test_a_pools_name_is_part_of_keys_and_never_a_pattern(name: str) -> None:
    with pytest.raises(ConfigError, match="no pool can be called so"):
        pool_name(name)


def test_a_worker_beside_its_proxy_serves_one_cluster() -> None:
    assert (only_cluster(()), only_cluster(("east",))) == ("", "east")
    with pytest.raises(ConfigError, match="only a pool"):
        only_cluster(("east", "west"))
