"""A user's template is tried by the real nginx before anything changes, and what it does not name stays ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock.errors import ConfigError
from support.nginx_lab import open_nginx
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
