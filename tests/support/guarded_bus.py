"""A bus with the users that `interlock acl` makes, for tests of what a role can do."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from interlock.bus.cli import main as acl
from support.bus_servers import Server, valkey_binary


class Guarded:
    """A bus that lets in the roles of the region `r` and `admin`, who may do anything."""

    def __init__(self, folder: Path) -> None:
        socket = folder / "bus.sock"
        made = CliRunner().invoke(
            acl, ["--region", "r", "--cluster", "", "--urls", str(folder / "urls"), "--server", f"unix://{socket}"]
        )
        assert made.exit_code == 0, made.output
        (folder / "users.acl").write_text(f"{made.stdout}user admin on nopass ~* &* +@all\n")
        self.urls = folder / "urls"
        self.admin = f"unix://admin:any@{socket}"
        self.server = Server(
            valkey_binary(), folder, "--aclfile", str(folder / "users.acl"), login="admin:any@"
        ).start()

    def file(self, role: str) -> str:
        """The file with a role's URL."""
        return str(self.urls / f"{role}.url")
