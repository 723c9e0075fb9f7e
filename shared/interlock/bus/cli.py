"""`interlock acl` prints the bus' users; click and nothing else. Rules are in `acl`, files in `credentials`."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

import click

from interlock.bus import acl, credentials
from interlock.errors import ConfigError
from interlock.runtime.settings import ClusterName, ServiceCommand

_EXAMPLES = """\b
Examples:
  interlock acl --urls secrets/ > users.acl                                 # the unnamed service cluster only
  interlock acl --cluster "" --cluster internal --urls secrets/ > users.acl
  interlock acl --passwords secrets/ --server rediss://bus:6380/0 --urls urls/ > users.acl
\b
Then:
  docker secret create bus-acl users.acl           # redis-server --aclfile /run/secrets/bus-acl
  docker secret create bus-watcher secrets/watcher.url
  interlock-watcher --bus-file /run/secrets/bus-watcher
"""


@click.command(cls=ServiceCommand, epilog=_EXAMPLES)
@click.option("--region", default="default", show_default=True, help="The region whose keys the users may use.")
@click.option(
    "--cluster",
    "clusters",
    multiple=True,
    type=ClusterName(),
    metavar="NAME",
    help="A user for the proxies of this service cluster; may be given again.  [default: the unnamed one]",
)
@click.option(
    "--pool",
    "pools",
    multiple=True,
    type=ClusterName(),
    metavar="NAME",
    help="A user for the workers of this pool (interlock extension --pool); may be given again.",
)
@click.option(
    "--passwords",
    metavar="DIR|-",
    help="Passwords of your own: files <user>.password in a folder, or lines `user password` on stdin. The others are "
    "made here.",
)
@click.option(
    "--urls",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write the bus' URL for each user to <user>.url here (mode 0600). A user whose file is there keeps its "
    "password.",
)
@click.option(
    "--server", default="redis://bus:6379/0", show_default=True, metavar="URL", help="The bus in those URLs, no user."
)  # fmt: skip
def main(
    *,
    region: str,
    clusters: tuple[str, ...],
    pools: tuple[str, ...],
    passwords: str | None,
    urls: Path | None,
    server: str,
) -> None:
    """Print users of Redis 7 or Valkey (an aclfile) that may do what their role takes, and nothing else.

    The users are watcher, planner, proxy (for the unnamed service cluster) or proxy-NAME, pool-NAME, and operator,
    which reads only; the user `default` is off. The file holds hashes of passwords, no passwords.
    """
    if not region:
        raise ConfigError("--region is empty: give the region's name, or leave it out")
    if "" in pools:
        raise ConfigError("--pool is empty: give the pool's name, such as f5")
    users = acl.users(region, clusters or ("",), pools)
    names = [user.name for user in users]
    known = {
        **(credentials.kept(urls, names) if urls else {}),
        **(credentials.given(passwords, names) if passwords else {}),
    }
    missing = [name for name in names if name not in known]
    if missing and not urls:
        raise ConfigError(
            f"the passwords of {', '.join(missing)} would be known to nobody: give --urls DIR to have them written "
            "down, or --passwords"
        )
    known |= {name: secrets.token_urlsafe(32) for name in missing}
    text = acl.acl_file(users, known)
    found = {name: acl.user_url(server, name, known[name]) for name in names}
    if urls:
        credentials.write_down(urls, found)
    sys.stdout.write(text)
