"""What the command line says of the proxy's options: `--option NAME=VALUE`, values as config.toml has them. Pure."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable

from interlock.errors import ConfigError

_WORDS = {"true": True, "false": False}
_MOST_SHOWN = 200


def given_options(pairs: Iterable[str]) -> dict[str, object]:
    """The options by name. Of one that is given again the last value counts; lists add up, in the order of the pairs.

    Raises `ConfigError`.
    """
    found: dict[str, object] = {}
    spelt: dict[str, str] = {}
    for pair in pairs:
        name, separator, text = pair.partition("=")
        if not separator:
            raise ConfigError(f"--option {pair!r}: no value; write NAME=VALUE, such as WorkerProcesses=4")
        # As in config.toml, a name is the same in any case.
        name = spelt.setdefault(name.lower(), name)
        value, before = _value(name, text, pair), found.get(name)
        found[name] = [*before, *value] if isinstance(value, list) and isinstance(before, list) else value
    return found


def _value(name: str, text: str, pair: str) -> object:
    if text.isascii() and text.isdigit():
        return int(text)
    if not text.lstrip().startswith("["):
        return _WORDS.get(text, text)
    try:
        read = tomllib.loads(f"list = {text.strip()}")
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(
            f"--option {pair[:_MOST_SHOWN]!r}: {error}; write a list as config.toml has it, quoted for the shell: "
            f'--option \'{name[:_MOST_SHOWN]}=["first", "second"]\''
        ) from error
    # A line break may begin a second key.
    return read["list"] if len(read) == 1 else text
