"""Where an operator said an option of the proxy, for errors: pure."""

from __future__ import annotations

from collections.abc import Mapping


class Places:
    """`proxy`: as people call it."""

    def __init__(self, places: Mapping[str, str], proxy: str) -> None:
        self._places = {name.lower(): place for name, place in places.items()}
        self._proxy = proxy

    def __getitem__(self, key: str) -> str:
        """`config.toml:7: Extensions.default.Config.User`, or the name alone for one of the command line."""
        return self._places.get(key.lower(), f"{self._proxy} option {key}")
