"""A user's own template: what it may change, what it may not, and how it is told."""

from __future__ import annotations

import textwrap
from pathlib import Path

import msgspec
import pytest

from interlock.errors import ConfigError, ConfigRejected
from interlock_extension.nginx.config import read_config
from interlock_extension.nginx.custom import Template
from interlock_extension.nginx.mounted import find
from interlock_extension.nginx.needed import lacking
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


@pytest.mark.parametrize("end", ["", "{{ '' }}", "{% if part %}{% endif %}", "\n{%- if 1 %}{% endif %}"])
@pytest.mark.parametrize(
    "block", ["top", "main", "events", "http", "unknown_host", "host_top", "upstream", "server", "location"]
)
def test_a_comment_at_the_end_of_a_block_hides_nothing_of_ours(block: str, end: str) -> None:
    def active(text: str) -> list[str]:
        written = renderer(text)
        both = written.shared(1, 1, default=False)[MAIN] + written.host(VIEW)
        lines = [line.strip() for line in both.decode().splitlines() if not line.strip().startswith("#")]
        return [line for line in lines if line]

    def replaced(content: str) -> str:
        return f"{{% if 1 %}}{{% extends base %}}{{% endif %}}{{% block {block} %}}{content}{{% endblock %}}"

    assert active(replaced(f"# reviewed{end}")) == active(replaced(""))


def test_a_block_that_ends_its_line_itself_is_written_as_it_is() -> None:
    mine = "{% extends base %}{% block top %}# Written by Interlock; changes are overwritten.\n{% endblock %}"
    assert main(mine) == main("{% extends base %}")
    inner = '{% extends base %}{% block server %}add_header x "{% block mine %}a{% endblock %}b";{% endblock %}'
    assert 'add_header x "ab";\n' in host(inner)


def test_values_in_blocks() -> None:
    text = (
        "{% extends base %}{% block location %}# {{ match }} {{ route.upstream }} {{ config.read_timeout }} "
        '{{ host | quote }} {{ route.services | join(",") | quote }}\n{% endblock %}'
    )
    assert '# ^~ "/" shop_example_' in host(text)
    assert ' 600 "shop.example" ""\n' in host(text)
    assert '# "" "/"\n' in host(
        '{% extends base %}{% block location %}# {{ route.path | interpolate }} {{ (route.path or "/") | quote }}'
        "\n{% endblock %}"
    )
    assert "only" in host(
        '{% extends base %}{% block server %}{% if host == "shop.example" %}only;{% endif %}{% endblock %}'
    )


def test_values_of_ours_are_written_also_where_they_are_empty() -> None:
    text = '{% extends base %}{% block upstream %}# "{{ upstream.balance }}{{ upstream.cookie }}"\n{% endblock %}'
    assert '# ""\n' in host(text)


def test_the_version_of_the_values_is_told() -> None:
    assert main("{% extends base %}{% block top %}# of {{ model }}\n{% endblock %}").startswith("# of 1\n")
    assert "# of 1\n" in host("{% extends base %}{% block server %}# of {{ model }}\n{% endblock %}")


def test_a_whole_template_of_ones_own() -> None:
    assert main("{{ part | quote }}\n") == '"main"\n'
    assert host("{{ part | quote }}\n") == '"host"\n'


def test_what_a_whole_main_file_must_hold_is_what_is_documented() -> None:
    page = (Path(__file__).parents[3] / "docs/templates.md").read_text()
    documented = (
        page.partition("refuses a template that leaves one out")[2].partition(":\n\n")[2].partition("\nWith ")[0]
    )
    facts = msgspec.structs.replace(FACTS, user=("nobody", "nogroup"))
    written = NginxRenderer(read_config({}), facts, Template(path="/my.j2", text=textwrap.dedent(documented)))
    main = written.shared(1, 1, default=False)[MAIN].decode()
    assert lacking(main, 1, ("nobody", "nogroup")) == []
    # Each of its lines is there for a reason.
    assert len(lacking("", 1, ("nobody", "nogroup"))) == main.count(";")


@pytest.mark.parametrize(
    ("text", "gives"),
    [
        ("{% extends base %}{% block top %}# mine\n{{ super() }}{% endblock %}", "# mine\n# Written by Interlock;"),
        ("{% macro m(x) %}<{{ x | quote }}>{% endmacro %}{{ m(part) }}\n", '<"main">\n'),
        ("{% macro m() %}<{{ caller() }}>{% endmacro %}{% call m() %}{{ part | quote }}{% endcall %}", '<"main">'),
        ("{% set x %}<{{ part | quote }}>{% endset %}{{ x }}{{ x }}", '<"main"><"main">'),
        ("{% for x in [[1, [[2, []]]]] recursive %}<{{ x[0] }}{{ loop(x[1]) }}>{% endfor %}", "<1<2>>"),
    ],
)
def test_what_is_made_of_safe_pieces_is_safe(text: str, gives: str) -> None:
    assert main(text).startswith(gives)


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


def test_a_comment_may_show_what_a_go_template_had() -> None:
    renderer("{# was {{ .Port }},\nin {{ range .Hosts }} #}{% extends base %}")
    with pytest.raises(ConfigError, match=r"/my.j2:3: .*Go template"):
        renderer("{# was {{ .Port }},\nor so #}\n{{ .Port }}{# #}")


def test_another_version_of_the_values_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"/my\.j2:2: it is written for version 2"):
        renderer("{# ours #}\n{# interlock-template: 2 #}")


@pytest.mark.parametrize(
    ("block", "hint"),
    [
        ("severs", "did you mean server?"),
        ("Server", "did you mean server?"),
        ("hosttop", "did you mean host_top?"),
        ("zzz", "there are top, main, events, unknown_host, http, host_top, upstream, server, location"),
    ],
)
def test_a_block_that_nothing_would_write_is_refused(block: str, hint: str) -> None:
    for outside, inside in (("", ""), ("{% if part == 'host' %}", "{% endif %}")):
        with pytest.raises(ConfigError) as refused:
            renderer(f"{{% extends base %}}\n{outside}{{% block {block} %}}x;{{% endblock %}}{inside}")
        assert str(refused.value) == (
            f"/my.j2:2: {{% block {block} %}}: no template of ours has that block; {hint} (docs/templates.md)"
        )


@pytest.mark.parametrize(
    "text",
    [
        "{% extends base %}{% block server %}{% block mine %}X;{% endblock %}{% endblock %}",
        "{% extends base %}{% block mine %}X;{% endblock %}{% block server %}{{ self.mine() }}{% endblock %}",
        "{% block mine %}X;{% endblock %}",
    ],
)
def test_a_block_of_ones_own_that_is_written_is_taken(text: str) -> None:
    assert host(text).count("X;") == 1


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
        ("{% for i in range(90000) %}{% for j in range(90000) %}{% endfor %}{% endfor %}", "OverflowError"),
        ('{% for i in "x" * 999999999 %}{% endfor %}', "SecurityError"),
        ("{{ 9 ** 9999999 }}", "SecurityError"),
        ("{% include '/etc/passwd' %}", "TemplateNotFound"),
        ("{{ 'a\nb' | quote }}", "control characters"),
        ("{{ routes | dictsort }}", "UndefinedError"),
        ("{{ listen | dictsort }}", "AttributeError"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "RecursionError"),
        ("{{ 'x' * 10 ** 17 }}", "SecurityError"),
        ("{% macro m(x) %}{{ x }}{% endmacro %}{{ m(part) }}", "without being escaped"),
        ("{% macro m() %}{{ caller() }}{% endmacro %}{% call m() %}{{ part }}{% endcall %}", "without being escaped"),
        ("{% call '{}'.format(part) %}{% endcall %}", "SecurityError"),
        ("{% set x %}{{ part }}{% endset %}{{ x }}", "without being escaped"),
        ("{% set x | replace('a', 'b') %}a{% endset %}{{ x }}", "without being escaped"),
        ("{% set x %}a{% endset %}{{ x ~ part }}", "without being escaped"),
        ("{% set x %}a{% endset %}{{ x + part }}", "without being escaped"),
        ("{% set x %}a{% endset %}{{ x.join([part, part]) }}", "without being escaped"),
        ("{% set x %}a{% endset %}{{ [part, part] | join(x) }}", "without being escaped"),
        ("{% set x %}a{% endset %}{{ x | replace('a', part) }}", "without being escaped"),
        ("{% set x %}a{% endset %}{{ x.replace('a', part) }}", "without being escaped"),
        ("{% set x %}a{% endset %}{{ x | upper }}", "without being escaped"),
        ("{% set x %}ab{% endset %}{{ x[1:] }}", "without being escaped"),
        ("{% set x %}%s{% endset %}{{ x % part }}", "without being escaped"),
        ("{% set x %}%s{% endset %}{{ x | format(part) }}", "without being escaped"),
        ("{{ ('{}' | quote).format(part) }}", "without being escaped"),
        ("{{ ('{}' | quote)['format'](part) }}", "without being escaped"),
        ("{{ (('{}' | quote) | attr('format'))(part) }}", "without being escaped"),
        ("{{ (['{}' | quote] | map(attribute='format') | first)(part) }}", "without being escaped"),
        ("{{ ('{a}' | quote).format_map({'a': part}) }}", "without being escaped"),
    ],
)
def test_what_a_template_may_not(text: str, why: str) -> None:
    with pytest.raises(ConfigRejected, match=r"/my\.j2") as refused:
        main(text)
    assert why in str(refused.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("\n{% filter replace('a', part) %}a{% endfilter %}", "/my.j2:2: .*filter.*endset"),
        ("\n{% autoescape true %}{{ part | quote }}{% endautoescape %}", "/my.j2:2: .*autoescape"),
        ("{% for a in [] %}" * 30 + "{% endfor %}" * 30, "/my.j2: SyntaxError"),
        ("{{ " + "(" * 3000 + ")" * 3000 + " }}", "/my.j2: RecursionError"),
    ],
)
def test_what_cannot_be_kept_safe_is_refused_at_once(text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        renderer(text)


@pytest.mark.parametrize("bad", ["{{ nothing }}", "{{ routes | dictsort }}", "{{ self.server() }}"])
def test_what_goes_wrong_with_one_host_is_that_hosts(bad: str) -> None:
    text = (
        f'{{% extends base %}}{{% block server %}}{{% if host == "shop.example" %}}{bad}{{% endif %}}{{% endblock %}}'
    )
    with pytest.raises(ConfigRejected) as refused:
        host(text)
    assert refused.value.culprit == "shop.example"
    renderer(text).host(view("other.example", 8000))


@pytest.mark.parametrize("text", ["{{ nothing }}", "{% extends base %}{% block server %}X;{% endblock %}"])
def test_a_host_that_is_not_served_is_written_without_the_template(text: str) -> None:
    assert renderer(text).unserved("shop.example") == renderer().unserved("shop.example")


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
    with pytest.raises(ConfigError, match=r"^c\.toml:3: Extensions\.x\.Template = 'other': neither"):
        find("other", tmp_path / "none", said="c.toml:3: Extensions.x.Template")
    (tmp_path / "mine").write_bytes(b"\xef\xbb\xbfmine")
    assert (find("mine", tmp_path) or Template(path="", text="")).text == "mine"
    (tmp_path / "mine").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="readable text"):
        find("mine", tmp_path)


def test_a_path_is_that_file_or_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, root = tmp_path / "here", tmp_path / "root"
    usual = root / "etc/docker/extension-template.conf"
    for folder in (here / "sub", usual.parent):
        folder.mkdir(parents=True)
    usual.write_text("usual")
    (root / "mine").write_text("mounted")
    (here / "mine").write_text("here")
    (here / "sub/mine").write_text("below")
    monkeypatch.chdir(here)

    def text(named: str) -> str:
        return (find(named, root) or Template(path="", text="")).text

    assert text("mine") == text("./mine") == text(str(here / "mine")) == "here"
    assert text("sub/mine") == "below"
    for mistyped in ("sub/mien", "./mien", str(here / "mien"), "sub/", "mine/x"):
        with pytest.raises(ConfigError, match="is not a file"):
            find(mistyped, root)
    (here / "mine").unlink()
    assert text("mine") == "mounted"
