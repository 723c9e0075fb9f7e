"""Values of config.toml: anything is read, or refused with its place and remedy; what is read, nginx takes."""

from __future__ import annotations

import tomllib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.config.document import SECTIONS, examine
from interlock.config.haproxy import HAPROXY
from interlock.config.key import Key, Section
from interlock.config.nginx import NGINX
from interlock_extension.nginx.config import NginxConfig, read_config
from interlock_extension.nginx.control import NginxControl
from interlock_extension.nginx.render import NginxRenderer
from support.nginx_lab import open_nginx
from support.ports import free_port

HEADS = {
    "": "",
    NGINX.title: "[Extensions.x.Config]\n",
    HAPROXY.title: "[Extensions.x]\nExtension = 'haproxy'\n[Extensions.x.Config]\n",
}
TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
_WORDS = [
    "75s", "600ms", "0", "0s", "1h", "8k", "0k", "32m", "1G", "4 8k", "2 1k", "1 4", "auto", "7", "host", "ingress",
    "1.0", "off", "'$status';", "'a' \"b\" escape;", "'$status'", "'", ";", "a;b;", "{", "3s", "1m30s", "999999999h"
]  # fmt: skip
WORDS = st.sampled_from(_WORDS)
SCALARS = st.one_of(
    st.integers(-5, 2**40), st.sampled_from([1, 32, 64, 443, 600]), st.booleans(), st.floats(), TEXTS, WORDS
)
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=3), st.dictionaries(TEXTS, SCALARS, max_size=2))
KEYS = st.sampled_from([(section, key) for section in SECTIONS for key in section.keys if key.name != "Extensions"])


def _toml(value: object) -> str:
    if isinstance(value, str):
        escaped = "".join(c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08X}" for c in value)
        return f'"{escaped}"'
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml(key)} = {_toml(one)}" for key, one in value.items()) + "}"
    return str(value).lower() if isinstance(value, bool) else repr(value)


@settings(max_examples=400)
@given(KEYS, VALUES, st.integers(0, 5))
def test_a_value_is_read_or_refused_with_its_place_and_remedy(
    where: tuple[Section, Key], value: object, above: int
) -> None:
    section, key = where
    head = HEADS.get(section.title, "[Extensions.x]\n")
    document = examine("\n" * above + f"{head}{key.name} = {_toml(value)}\n", where="c.toml")
    line = above + head.count("\n") + 1
    found = [error for error in document.said("error") if f"{key.name} = " in error]
    assert len(found) == len(document.said("error"))
    for error in found:
        assert error.startswith(f"c.toml:{line}: ")
        assert f"; write {key.name} = " in error
        assert key.secret or f" = {value!r}: " in error
    entries = document.extensions[0] if document.extensions else None
    table = document.entries if not head else entries.config if "Config]" in head else entries.entries  # type: ignore[union-attr]  # there, then
    if key.kind.name != "table":
        assert (key.name.lower() in table) is not bool(found)


_NOT_HERE = {"User", "PidPath", "GlobalOptions", "HTTPOptions", "TCPOptions", "AccessLogPath", "ErrorLogPath"}
OPTIONS = [key for key in NGINX.keys if key.effect == "now" and key.name not in _NOT_HERE]


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> tuple[NginxRenderer, NginxControl]:
    return open_nginx(tmp_path_factory.mktemp("n") / "nginx", free_port())


def _readable(key: Key) -> st.SearchStrategy[object]:
    def fits(value: object) -> bool:
        try:
            return key.kind.read(value) is not None
        except Exception:
            return False

    # Of what fits by itself, as most of what is drawn does not.
    numbers = (0, 1, 2, 7, 40, 64, 700, 1023, 1024, 65_535, 2**20, 999_999, 2**31)
    example = tomllib.loads(f"example = {key.kind.example}")["example"]
    return st.sampled_from([value for value in (example, *_WORDS, *numbers, True, False) if fits(value)])


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_what_is_read_nginx_takes(nginx: tuple[NginxRenderer, NginxControl], data: st.DataObject) -> None:
    """Whatever its options, but for raw lines: those nginx itself is asked about."""
    renderer, control = nginx
    chosen = data.draw(st.lists(st.sampled_from(OPTIONS), min_size=1, max_size=6, unique_by=lambda key: key.name))
    options = {key.name: data.draw(_readable(key), label=key.name) for key in chosen}
    config = read_config(options)
    workers = 2 if config.worker_processes == "auto" else config.worker_processes
    config = msgspec.structs.replace(config, worker_processes=workers)
    assert control.aside.refused({}, NginxRenderer(config, renderer._facts)) is None


def test_defaults_are_what_nothing_gives() -> None:
    assert read_config({}) == NginxConfig()
