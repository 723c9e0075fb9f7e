"""Kinds of values that are checked before a service starts with them."""

from __future__ import annotations

import pytest

from interlock.config.document import read_document
from interlock.errors import ConfigError


@pytest.mark.parametrize(
    "line",
    [
        'BusURL = "http://x"', 'DockerURL = "ftp://x"', 'MetricsAddr = "x"', 'MetricsAddr = ":99999"',
        'ListenAddr = "x"', '[Extensions.a.Config]\nKeepaliveTimeout = "٣s"', 'PollInterval = "٣s"',
        'PollInterval = "99999999999999999999h"', "[Extensions.a]\nProxyReplicas = " + "9" * 5000, "a = " + "[" * 3000,
    ],
)  # fmt: skip
def test_what_no_service_can_start_with_is_told_with_its_place(line: str) -> None:
    with pytest.raises(ConfigError, match=r"^c\.toml"):
        read_document(line, where="c.toml")


@pytest.mark.parametrize(
    "line",
    [
        'BusURL = "unix:///run/bus.sock"', 'BusURL = ""', 'DockerURL = "tcp://h:2375"', 'MetricsAddr = "[::1]:9100"',
        'ListenAddr = ":8080"', 'PollInterval = "10h"',
    ],
)  # fmt: skip
def test_what_one_can_start_with(line: str) -> None:
    read_document(line, where="c.toml")
