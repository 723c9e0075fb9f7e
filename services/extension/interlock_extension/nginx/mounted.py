"""Where a user's own template is found: by its name, or mounted at Interlock's place. Shell."""

from __future__ import annotations

import os
from pathlib import Path

from interlock.errors import ConfigError
from interlock_extension.nginx.custom import MOUNTED, Template


def find(named: str, root: Path = Path("/"), *, said: str = "--template") -> Template | None:
    """The template of that name: a path, or a Docker config that is mounted at `/<name>` or at Interlock's place.

    Without a name, what is mounted at Interlock's place; None where nothing is. Raises `ConfigError`, also for a name
    with a slash that is no file: another file in its place would be a surprise. `said`: where it was named, for errors.
    """
    usual = root / MOUNTED.lstrip("/")
    if not named:
        places = [usual]
    elif "/" in named:
        places = [Path(named)]
    else:
        places = [Path(named), root / named, usual]
    found = next((place for place in places if os.path.isfile(place)), None)  # noqa: PTH113  # false, also without rights
    if found is None:
        if not named:
            return None
        raise ConfigError(f"{said} = {named!r}: {_remedy(named, places)}")
    try:
        # Without the mark with which some editors begin a file: nginx would take it for a directive.
        text = found.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"template {found}: {error}; give a readable text file") from error
    return Template(path=str(found), text=text)


def _remedy(named: str, places: list[Path]) -> str:
    if len(places) == 1:
        return f"{places[0].absolute()} is not a file; correct the path (relative ones begin at the working directory)"
    return (
        f"neither {places[0].absolute()} nor {places[1]} nor {MOUNTED} is a file; mount the Docker config there "
        f"(docker service update --config-add source={named},target={MOUNTED} <proxy service>)"
    )
