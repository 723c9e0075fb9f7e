"""Where a user's own template is found: by its name, or mounted at Interlock's place. Shell."""

from __future__ import annotations

from pathlib import Path

from interlock.errors import ConfigError
from interlock_extension.nginx.custom import MOUNTED, Template


def find(named: str, root: Path = Path("/")) -> Template | None:
    """The template of that name (a path, or a Docker config that is mounted at `/<name>` or at Interlock's place).

    Without a name, what is mounted at Interlock's place; None where nothing is. Raises `ConfigError`.
    """
    usual = root / MOUNTED.lstrip("/")
    places = [root / named.lstrip("/"), usual] if named else [usual]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        if not named:
            return None
        raise ConfigError(
            f"Template = {named!r}: neither {places[0]} nor {MOUNTED} is a file; mount the Docker config there "
            f"(docker service update --config-add source={Path(named).name},target={MOUNTED} <proxy service>)"
        )
    try:
        text = found.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"template {found}: {error}; give a readable text file") from error
    return Template(path=str(found), text=text)
