"""A user's template is tried by the real nginx before anything changes, and what it does not name stays ours."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from interlock.errors import ConfigError, ProxyUnavailable
from interlock_extension.machine import processes
from interlock_extension.nginx import family
from interlock_extension.nginx.render import MAIN
from support.nginx_lab import Backend, ask, files_for, open_nginx, view
from support.ports import free_port


@pytest.fixture
def written(tmp_path: Path) -> Path:
    return tmp_path / "t.conf"


@pytest.mark.parametrize(
    "text",
    [
        "{% extends base %}{% block unknown_host %}bogus_directive on;{% endblock %}",
        # What is wrong only where somebody is the default backend.
        '{% extends base %}{% block server %}{% if host == "_" %}bogus_directive on;{% endif %}{% endblock %}',
    ],
)
def test_it_is_tried_with_a_default_backend_and_without(tmp_path: Path, written: Path, text: str) -> None:
    written.write_text(text)
    with pytest.raises(ConfigError, match=r't\.conf: nginx refuses what it makes: unknown directive "bogus_directive"'):
        open_nginx(tmp_path / "nginx", free_port(), template=str(written))


@pytest.mark.root
def test_a_comment_without_a_line_break_leaves_the_user_of_the_workers(written: Path) -> None:
    written.write_text("{% extends base %}{% block top %}# reviewed{% endblock %}")
    # One that every user may pass through, which pytest's are not.
    with tempfile.TemporaryDirectory(prefix="il-") as folder:
        Path(folder).chmod(0o755)
        renderer, control = open_nginx(Path(folder) / "nginx", free_port(), template=str(written), User="daemon")
        try:
            control.start(files_for(renderer, view("a.example", 1)))
            (worker,) = processes.children(control.pid or 0)
            assert Path(f"/proc/{worker}").owner() == "daemon"
        finally:
            control.stop(1.0)


@pytest.mark.parametrize("directive", ["index a.html", "log_format mine '$status'"])
def test_a_directive_without_its_end_takes_no_host_with_it(tmp_path: Path, written: Path, directive: str) -> None:
    """Both take any number of words, and so the include of the hosts."""
    written.write_text(f"{{% extends base %}}{{% block http %}}{directive}{{% endblock %}}")
    name = directive.split(maxsplit=1)[0]
    with pytest.raises(
        ConfigError, match=rf't\.conf: nginx refuses what it makes: .*"{name}" is not terminated by ";"'
    ):
        open_nginx(tmp_path / "nginx", free_port(), template=str(written))


DETACHES = """{% if part == "main" %}
worker_processes 1; events {} http { server { listen 80 default_server; server_name _; } }
{% endif %}"""

WHOLE = """{# interlock-template: 1 #}
{% if part == "main" %}
{% if user %}
user {{ user }};
{% endif %}
daemon off;
pid nginx.pid;
worker_processes {{ config.worker_processes }};
include workplace.conf;
error_log refusals.log emerg;
events { }
http {
    include generation.conf;
    access_log off;
    server {
        listen unix:status.sock;
        location = /interlock/version { return 200 $il_version; }
    }
    include hosts/*.conf;
}
{% elif not redirect %}
{% for upstream in upstreams %}
upstream {{ upstream.name }} {
{% for server in upstream.servers %}
    server {{ server }};
{% endfor %}
}
{% endfor %}
server {
    listen {{ listen[0] }};
    server_name {{ server_name }};
{% for route in routes if route.upstream %}
    location {{ (route.path or "/") | quote }} { proxy_pass http://{{ route.upstream }}; }
{% endfor %}
}
{% endif %}
"""


def test_one_that_writes_the_whole_main_file_must_hold_what_a_worker_needs(tmp_path: Path, written: Path) -> None:
    written.write_text(DETACHES)
    with pytest.raises(
        ConfigError,
        match=r"t\.conf: the main file that it makes lacks (?:user \w+ \w+; )?daemon off; pid nginx\.pid; include "
        r"workplace\.conf; include generation\.conf; listen unix:status\.sock; return 200 \$il_version; include "
        r"hosts/\*\.conf; Without that",
    ):
        open_nginx(tmp_path / "nginx", free_port(), template=str(written))


@pytest.mark.parametrize(
    "line",
    [
        "daemon off;", "pid nginx.pid;", "worker_processes {{ config.worker_processes }};", "include workplace.conf;",
        "include generation.conf;", "listen unix:status.sock;", "return 200 $il_version;", "include hosts/*.conf;",
    ],
)  # fmt: skip
def test_each_line_that_a_worker_needs(tmp_path: Path, written: Path, line: str) -> None:
    assert WHOLE.count(line) == 1
    written.write_text(WHOLE.replace(line, f"\n# {line}\n"))
    rendered = line.replace("{{ config.worker_processes }}", "1")
    with pytest.raises(ConfigError, match=rf"lacks {re.escape(rendered)} Without that"):
        open_nginx(tmp_path / "nginx", free_port(), template=str(written))


def test_without_a_master_there_is_no_reload(tmp_path: Path, written: Path) -> None:
    written.write_text("{% extends base %}{% block main %}master_process off;{% endblock %}")
    with pytest.raises(ConfigError, match=r"t\.conf: master_process off: nginx could not be reloaded"):
        open_nginx(tmp_path / "nginx", free_port(), template=str(written))


def test_a_whole_template_with_what_a_worker_needs_serves(
    tmp_path: Path, written: Path, backend: Callable[..., Backend]
) -> None:
    """Written in another way, and reloaded."""
    text = WHOLE.replace("daemon off;", "daemon 'off' ;").replace("unix:status.sock;", '"unix:status.sock" backlog=8;')
    written.write_text(text)
    port = free_port()
    renderer, control = open_nginx(tmp_path / "nginx", port, template=str(written))
    one, two = backend("one"), backend("two")
    try:
        control.start(files_for(renderer, view("a.example", one.port)))
        assert ask(port, "a.example").text.startswith("one ")
        control.apply_snapshot(files_for(renderer, view("a.example", two.port)), "v")
        assert ask(port, "a.example").text.startswith("two ")
    finally:
        control.stop(1.0)


def test_an_nginx_that_detaches_itself_is_ended(tmp_path: Path) -> None:
    """As one would whose file is changed by hand."""
    folder = tmp_path / "nginx"
    renderer, control = open_nginx(folder, free_port())
    files = files_for(renderer, view("a.example", 1))
    # By its pid file it would be found by the next worker, without one it would not.
    for kept in (b"pid nginx.pid;", b"pid other.pid;"):
        main = files[MAIN].replace(b"daemon off;\n", b"").replace(b"pid nginx.pid;", kept)
        assert b"daemon" not in main
        with pytest.raises(ProxyUnavailable, match="ended right after its start"):
            control.start({**files, MAIN: main})
        assert family.orphans_of(folder.resolve()) == []
    control.stop(1.0)
