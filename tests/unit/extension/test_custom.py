"""A user's own template: what it may change, what it may not, and how it is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock.errors import ConfigError, ConfigRejected
from interlock_extension.nginx.config import read_config
from interlock_extension.nginx.custom import Template
from interlock_extension.nginx.mounted import find
from interlock_extension.nginx.render import MAIN, Facts, NginxRenderer
from interlock_extension.nginx.samples import SAMPLES
from support.nginx_lab import view

FACTS = Facts(listen=("8080",), proxy_id="p", server_info="i", stub_status=True)
VIEW = view("shop.example", 8000)


def renderer(text: str = "") -> NginxRenderer:
    template = Template(path="/my.j2", text=text) if text else None
    return NginxRenderer(read_config({}), FACTS, template)


def main(text: str) -> str:
    return renderer(text).shared(1, 1, default=False)[MAIN].decode()


def host(text: str) -> str:
    return renderer(text).host(VIEW).decode()


def test_without_blocks_everything_is_ours() -> None:
    text = "{# interlock-template: 1 #}\n{% extends base %}\n"
    assert renderer(text).shared(9, 9, default=True) == renderer().shared(9, 9, default=True)
    for sample in (VIEW, *SAMPLES):
        assert renderer(text).host(sample) == renderer().host(sample)


def test_case_36_the_output_begins_with_the_marker() -> None:
    assert main("{% extends base %}{% block top %}# marker\n{% endblock %}").startswith("# marker\n")


@pytest.mark.parametrize("block", ["main", "events", "http", "unknown_host"])
def test_each_block_of_the_main_file(block: str) -> None:
    assert main(f"{{% extends base %}}{{% block {block} %}}X-{block};\n{{% endblock %}}").count(f"X-{block};") == 1


@pytest.mark.parametrize(("block", "times"), [("host_top", 1), ("upstream", 1), ("server", 1), ("location", 1)])
def test_each_block_of_a_host(block: str, times: int) -> None:
    assert host(f"{{% extends base %}}{{% block {block} %}}X-{block};\n{{% endblock %}}").count(f"X-{block};") == times


def test_values_in_blocks() -> None:
    text = (
        "{% extends base %}{% block location %}# {{ match }} {{ route.upstream }} {{ config.read_timeout }} "
        '{{ host | quote }} {{ route.services | join(",") | quote }}\n{% endblock %}'
    )
    assert '# ^~ "/" shop_example_' in host(text)
    assert ' 600 "shop.example" ""\n' in host(text)
    assert "only" in host(
        '{% extends base %}{% block server %}{% if host == "shop.example" %}only;{% endif %}{% endblock %}'
    )


def test_a_whole_template_of_ones_own() -> None:
    assert main("{{ part | quote }}\n") == '"main"\n'
    assert host("{{ part | quote }}\n") == '"host"\n'


@pytest.mark.parametrize(
    "text",
    [
        "{{ .Port }}", "{{ range .Hosts }}{{ end }}", "{{- if .IPHash }}x{{ end }}", "a\n{{ with $x }}",
        '{{template "x"}}', "{{ end }}", "{{- range $k, $v := .Hosts }}",
    ],
)  # fmt: skip
def test_a_go_template_is_refused_with_the_way_to_port_it(text: str) -> None:
    with pytest.raises(ConfigError, match=r"/my.j2:\d+: .*Go template.*docs/templates.md"):
        renderer(text)


def test_a_jinja_template_is_not_taken_for_a_go_template() -> None:
    renderer("{% extends base %}{% block top %}{{ endless | quote }}{{ config.user | quote }}{% endblock %}")


def test_another_version_of_the_values_is_refused() -> None:
    with pytest.raises(ConfigError, match="written for version 2"):
        renderer("{# interlock-template: 2 #}")


@pytest.mark.parametrize("text", ["{% if %}", "{% block a %}", "{{ x | nofilter }}", "{% for %}"])
def test_a_mistake_is_told_with_file_and_line(text: str) -> None:
    with pytest.raises(ConfigError, match=r"/my.j2:2: "):
        renderer(f"\n{text}")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("\n{{ nothing }}", "/my.j2:2: UndefinedError"),
        ("{{ config.access_log_path }}", "without being escaped"),
        ("{{ ''.__class__.__mro__ }}", "SecurityError"),
        ("{{ config.__class__ }}", "SecurityError"),
        ("{{ config.__init__.__globals__ }}", "SecurityError"),
        ("{{ listen.append(1) }}", "SecurityError"),
        ("{{ cycler.__init__.__globals__.os }}", "SecurityError"),
        ("{% for x in range(999999999) %}{% endfor %}", "OverflowError"),
        ("{{ 1 / 0 }}", "ZeroDivisionError"),
        ("{% include '/etc/passwd' %}", "TemplateNotFound"),
        ("{{ 'a\nb' | quote }}", "control characters"),
    ],
)
def test_what_a_template_may_not(text: str, why: str) -> None:
    with pytest.raises(ConfigRejected, match=r"/my\.j2") as refused:
        main(text)
    assert why in str(refused.value)


def test_what_goes_wrong_with_one_host_is_that_hosts() -> None:
    text = '{% extends base %}{% block server %}{% if host == "shop.example" %}{{ nothing }}{% endif %}{% endblock %}'
    with pytest.raises(ConfigRejected) as refused:
        host(text)
    assert refused.value.culprit == "shop.example"
    renderer(text).host(view("other.example", 8000))


def test_where_it_is_found(tmp_path: Path) -> None:
    assert find("", tmp_path) is None
    with pytest.raises(
        ConfigError, match=r"'mine'.*neither .*/mine nor .*extension-template.conf.*--config-add source=mine"
    ):
        find("mine", tmp_path)
    usual = tmp_path / "etc/docker/extension-template.conf"
    usual.parent.mkdir(parents=True)
    usual.write_text("usual")
    assert (find("", tmp_path) or Template(path="", text="")).text == "usual"
    assert (find("mine", tmp_path) or Template(path="", text="")).text == "usual"
    (tmp_path / "mine").write_text("mine")
    assert (find("mine", tmp_path) or Template(path="", text="")).text == "mine"
    (tmp_path / "mine").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="readable text"):
        find("mine", tmp_path)
