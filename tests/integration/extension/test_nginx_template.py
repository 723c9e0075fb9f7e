"""A user's template is tried by the real nginx before anything changes, and what it does not name stays ours."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from interlock.errors import ConfigError
from interlock_extension.nginx import processes
from support.nginx_lab import files_for, open_nginx, view
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
