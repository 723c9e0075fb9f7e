"""What the main file must hold, whoever wrote it, for a worker to start nginx, to reload it and to prove that. Pure."""

from __future__ import annotations

from interlock.config.fragments import directives
from interlock_extension.nginx.render import GENERATION, STATUS_SOCKET, WORKPLACE

_SINGLE = ("master_process", "off")


def lacking(main: str, workers: int, user: tuple[str, str] | None) -> list[str]:
    """The directives without which a worker cannot do its part, as they are to be written.

    `workers`: how many nginx is to have; `user`: user and group that they must run as, None where nobody can choose.
    """
    needed = [
        *([f"user {' '.join(user)};"] if user else []),
        "daemon off;",
        "pid nginx.pid;",
        f"worker_processes {workers};",
        f"include {WORKPLACE};",
        f"include {GENERATION};",
        f"listen unix:{STATUS_SOCKET};",
        "return 200 $il_version;",
        "include hosts/*.conf;",
    ]
    held = {directive.words for directive in directives(main)}
    # A `listen` may have parameters.
    held |= {words[:2] for words in held}
    # In another language within the file, as Lua, quotes may mean something else: a line that is there is enough.
    lines = {line.strip() for line in main.splitlines()}
    return [each for each in needed if each not in lines and tuple(each.rstrip(";").split()) not in held]


def runs_no_workers(main: str) -> bool:
    """Whether nginx would serve without a master, so that nothing could be reloaded."""
    return any(directive.words == _SINGLE for directive in directives(main))
